package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// cacheDir is where programs are kept between test runs.
func cacheDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CBK_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(user, "cbk")
	}
	dir = filepath.Join(dir, "servers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// cached returns the file rel in the cached folder name; make fills the folder
// if it is not there yet. Test processes run side by side, so one makes it and
// the others wait.
func cached(t testing.TB, name, rel string, make func(dir string) error) string {
	t.Helper()
	cache := cacheDir(t)
	unlock := lock(t, filepath.Join(cache, name+".lock"))
	defer unlock()
	done := filepath.Join(cache, name)
	if _, err := os.Stat(done); err == nil {
		return filepath.Join(done, rel)
	}
	temp, err := os.MkdirTemp(cache, name+".tmp")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	if err := make(temp); err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	if err := os.Rename(temp, done); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(done, rel)
}

func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// goProgram builds the main package of a module at a version.
func goProgram(t testing.TB, name, module, version string) string {
	t.Helper()
	return cached(t, name+"-"+version, name, func(dir string) error {
		mod := filepath.Join(dir, "src")
		if err := os.Mkdir(mod, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(mod, "go.mod"), []byte("module build\n\ngo 1.26.0\n"), 0o644); err != nil {
			return err
		}
		if err := run(mod, "go", "get", module+"@"+version); err != nil {
			return err
		}
		return run(mod, "go", "build", "-o", filepath.Join(dir, name), module)
	})
}

// npmProgram installs an npm package at a version.
func npmProgram(t testing.TB, name, version, rel string) string {
	t.Helper()
	return cached(t, name+"-"+version, rel, func(dir string) error {
		return run(dir, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", name+"@"+version)
	})
}

func run(dir string, command string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", command, args, err, out)
	}
	return nil
}
