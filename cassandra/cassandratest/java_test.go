package cassandratest

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive writes a zip file with these names, each holding its own name.
func archive(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.whl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, name := range names {
		file, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if _, err := file.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramsOfAWheelGetTheRightToRun(t *testing.T) {
	dir := t.TempDir()
	if err := unzip(archive(t, "r/bin/java", "r/lib/jspawnhelper", "r/lib/modules", "r/lib/empty/", "other/file"), "r/", dir); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"bin/java": 0o755, "lib/jspawnhelper": 0o755, "lib/modules": 0o644} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "r/"+name {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAWheelCannotWriteElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in")
	if err := unzip(archive(t, "r/../out"), "r/", dir); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("error %v", err)
	}
}

func TestWhatJavaLacksIsNamed(t *testing.T) {
	t.Setenv("CBK_CACHE", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	if _, err := java11(); err == nil || !strings.Contains(err.Error(), "apt-get install python3-pip") {
		t.Errorf("without python: %v", err)
	}
	t.Setenv("JAVA_HOME", t.TempDir())
	if _, err := compile(t.Context(), "Tools", toolsText, ""); err == nil || !strings.Contains(err.Error(), "apt-get install openjdk-17-jdk-headless") {
		t.Errorf("without javac: %v", err)
	}
	left, err := filepath.Glob(os.Getenv("CBK_CACHE") + "/cassandra/*.part-*")
	if err != nil || len(left) != 0 {
		t.Errorf("parts are left: %v, %v", left, err)
	}
}

func TestAProgramThatDoesNotCompileShowsWhy(t *testing.T) {
	t.Setenv("CBK_CACHE", t.TempDir())
	if _, err := compile(t.Context(), "Broken", "class Broken { int x = nothing; }", ""); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("error %v", err)
	}
}

func TestAProgramRunsWithItsOptionsAndIsCompiledOnce(t *testing.T) {
	t.Setenv("CBK_CACHE", t.TempDir())
	const text = `class Said { public static void main(String[] args) { System.out.print(System.getProperty("said") + args[0]); } }`
	for _, said := range []string{"one", "two"} {
		cmd, err := Java(t.Context(), "Said", text, "", "-Dsaid="+said)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, "!")
		if out, err := cmd.Output(); err != nil || string(out) != said+"!" {
			t.Errorf("said %q, %v", out, err)
		}
	}
	compiled, err := filepath.Glob(os.Getenv("CBK_CACHE") + "/cassandra/java/Said-*/Said.class")
	if err != nil || len(compiled) != 1 {
		t.Errorf("compiled as %v, %v", compiled, err)
	}
}
