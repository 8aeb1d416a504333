package cassandratest

import (
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>cassandratest</groupId><artifactId>cassandratest</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>%[1]s</version></dependency>
%[2]s
</dependencies></project>
`

const (
	// The server logs through logback, which cassandra-all leaves to its user
	// since 4.0; 1.2 is the line that these releases ship with. Both halves are
	// named: with an older core, which 4.0 and 4.1 ask for, a thread that logs an
	// exception ends with a NoSuchMethodError.
	withLogback = `<dependency><groupId>ch.qos.logback</groupId><artifactId>logback-classic</artifactId><version>1.2.12</version></dependency>
<dependency><groupId>ch.qos.logback</groupId><artifactId>logback-core</artifactId><version>1.2.12</version></dependency>`
	// The server of a 3.11 loads classes of Thrift also where it does not speak it.
	withThrift = `<dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-thrift</artifactId><version>%s</version></dependency>`
)

// Jars returns the directory with the jars of a Cassandra release. They are
// fetched from Maven Central once and kept in $CBK_CACHE, else in the folder cbk
// of the user's cache directory. Processes may call it at the same time.
func Jars(version string) (string, error) {
	n, err := parseNumber(version)
	if err != nil {
		return "", err
	}
	text, err := project(version, n)
	if err != nil {
		return "", err
	}
	// What was asked for names them, so that another question is asked anew.
	name := fmt.Sprintf("%s-%x", version, sha256.Sum256([]byte(text)))[:len(version)+9]
	dir, err := cached(name, func(dir string) error { return fetchJars(text, dir) })
	if err != nil {
		return "", fmt.Errorf("fetch Cassandra %s: %w", version, err)
	}
	return dir, nil
}

// fetchJars has Maven fetch what a project depends on.
func fetchJars(project, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("mvn is not installed; Debian: apt-get install maven openjdk-17-jdk-headless")
	}
	path := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(path, []byte(project), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(mvn, "-q", "-B", "-f", path, "dependency:copy-dependencies", "-DoutputDirectory="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, lastLines(out, 20))
	}
	return nil
}

// project is what Maven is asked for.
func project(version string, n number) (string, error) {
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(version)); err != nil {
		return "", err
	}
	more := withLogback
	if !n.since(4, 0) {
		more = fmt.Sprintf(withThrift, escaped.String())
	}
	return fmt.Sprintf(pom, escaped.String(), more), nil
}

// classpath lists the jars one by one and in order: no wildcard and no folder,
// with which Java would refuse an archive of loaded classes.
func classpath(jars string) (string, error) {
	list, err := filepath.Glob(filepath.Join(jars, "*.jar"))
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("no jars in %s; remove it to fetch them again", jars)
	}
	sort.Strings(list)
	return strings.Join(list, ":"), nil
}

// lastLines returns the end of a log for an error message.
func lastLines(log []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
