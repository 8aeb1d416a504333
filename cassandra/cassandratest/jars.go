package cassandratest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is the release that is run where [Options] names none.
const Version = "5.0.6"

// The server logs through logback, which cassandra-all leaves to its user; 1.2
// is the line that Cassandra 5.0 ships with.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>cassandratest</groupId><artifactId>cassandratest</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>%s</version></dependency>
<dependency><groupId>ch.qos.logback</groupId><artifactId>logback-classic</artifactId><version>1.2.12</version></dependency>
</dependencies></project>
`

// Jars returns the directory with the jars of a Cassandra release. They are
// fetched from Maven Central once and kept in $CBK_CACHE, else in the folder cbk
// of the user's cache directory. Processes may call it at the same time.
func Jars(version string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, version)
	unlock, err := lockFile(dir+".lock", true)
	if err != nil {
		return "", fmt.Errorf("lock the cache of jars: %w", err)
	}
	defer unlock()
	// The directory appears by rename, so it is whole where it exists.
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := fetchJars(version, dir); err != nil {
		return "", fmt.Errorf("fetch Cassandra %s: %w", version, err)
	}
	return dir, nil
}

func cacheDir() (string, error) {
	root := os.Getenv("CBK_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory: %w; set CBK_CACHE", err)
		}
		root = filepath.Join(user, "cbk")
	}
	dir := filepath.Join(root, "cassandra")
	return dir, os.MkdirAll(dir, 0o755)
}

func fetchJars(version, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("mvn is not installed; Debian: apt-get install maven openjdk-17-jdk-headless")
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), version+".part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(version)); err != nil {
		return err
	}
	project := filepath.Join(tmp, "pom.xml")
	if err := os.WriteFile(project, fmt.Appendf(nil, pom, escaped.String()), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(mvn, "-q", "-B", "-f", project, "dependency:copy-dependencies", "-DoutputDirectory="+tmp)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, lastLines(out, 20))
	}
	return os.Rename(tmp, dir)
}

// java finds the Java to run everything with.
func java() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java"), nil
	}
	path, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("java is not installed; Debian: apt-get install openjdk-17-jdk-headless maven")
	}
	return path, nil
}

// lockFile takes the lock on a file, which is created where it is missing. It
// waits for the lock or, told not to, fails with EWOULDBLOCK.
func lockFile(path string, wait bool) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lastLines returns the end of a log for an error message.
func lastLines(log []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
