package cassandratest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Java returns the command that runs a Java class on Java 17, given its text, a class
// path, which may be empty, and options for the JVM. The class is compiled once for
// each text and class path.
func Java(ctx context.Context, class, text, classpath string, options ...string) (*exec.Cmd, error) {
	path, err := java()
	if err != nil {
		return nil, err
	}
	program, err := compile(ctx, class, text, classpath)
	if err != nil {
		return nil, err
	}
	if classpath != "" {
		program += ":" + classpath
	}
	return exec.CommandContext(ctx, path, append(slices.Clone(options), "-cp", program, class)...), nil
}

// compile turns the text of a Java class into a directory with its class files,
// once for each text and class path. It targets Java 11, the oldest that runs here.
func compile(ctx context.Context, class, text, classpath string) (string, error) {
	key := sha256.Sum256([]byte(classpath + "\x00" + text))
	dir, err := cached(fmt.Sprintf("java/%s-%x", class, key[:12]), func(dir string) error {
		return compileInto(ctx, dir, class, text, classpath)
	})
	if err != nil {
		return "", fmt.Errorf("compile %s.java: %w", class, err)
	}
	return dir, nil
}

func compileInto(ctx context.Context, dir, class, text, classpath string) error {
	javac, err := javac()
	if err != nil {
		return err
	}
	source := filepath.Join(dir, class+".java")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		return err
	}
	args := []string{"--release", "11", "-nowarn", "-d", dir}
	if classpath != "" {
		args = append(args, "-cp", classpath)
	}
	if out, err := exec.CommandContext(ctx, javac, append(args, source)...).CombinedOutput(); err != nil {
		return fmt.Errorf("javac: %w\n%s", err, lastLines(out, 20))
	}
	return nil
}

// javac finds the compiler beside java.
func javac() (string, error) {
	java, err := java()
	if err != nil {
		return "", err
	}
	path, err := exec.LookPath(filepath.Join(filepath.Dir(java), "javac"))
	if err != nil {
		return "", errors.New("javac is not installed; Debian: apt-get install openjdk-17-jdk-headless")
	}
	return path, nil
}

// moduleOptions open to Cassandra what Java hides since 9.
func moduleOptions() []string {
	var o []string
	for _, e := range exports {
		o = append(o, "--add-exports", e+"=ALL-UNNAMED")
	}
	for _, e := range opens {
		o = append(o, "--add-opens", e+"=ALL-UNNAMED")
	}
	return o
}

// toolRun is one run of a program: its arguments and the file for its output.
type toolRun struct {
	class, output string
	args          []string
}

// runTools runs programs in one JVM with the configuration of a node. It returns
// the indexes of those that failed and what they said on standard error.
func (n *Node) runTools(ctx context.Context, runs []toolRun) (failed []int, said string, err error) {
	p := n.cluster.platform.server
	program, err := compile(ctx, "Tools", toolsText, "")
	if err != nil {
		return nil, "", err
	}
	cp, err := classpath(p.jars)
	if err != nil {
		return nil, "", err
	}
	args := append([]string{"-Xmx768M", "-Dlogback.configurationFile=" + n.path("conf/logback-tools.xml")}, n.javaOptions(program+":"+cp)...)
	if !p.old {
		args = append(args, "-Djava.security.manager=allow")
	}
	var lines strings.Builder
	for _, r := range runs {
		fmt.Fprintln(&lines, strings.Join(append([]string{r.output, r.class}, r.args...), "\t"))
	}
	var errors bytes.Buffer
	cmd := exec.CommandContext(ctx, p.java, append(args, "Tools")...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(lines.String()), &errors
	out, err := cmd.Output()
	said = lastLines(errors.Bytes(), 200)
	if err != nil {
		return nil, "", fmt.Errorf("run the tools: %w\n%s", err, said)
	}
	failed, err = numbers(string(out))
	return failed, said, err
}

// numbers reads one number a line.
func numbers(text string) ([]int, error) {
	var all []int
	for _, line := range strings.Fields(text) {
		n, err := strconv.Atoi(line)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
