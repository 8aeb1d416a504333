//go:build dist

package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var machines = map[string]elf.Machine{"cbk-linux-amd64": elf.EM_X86_64, "cbk-linux-arm64": elf.EM_AARCH64}

// made returns a file of the directory that make dist has filled.
func made(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("CBK_DIST"), name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("run this by make dist: %v", err)
	}
	return path
}

// command runs a program that must succeed and returns what it prints.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestDistBinariesAreStaticAndOfTheirMachine(t *testing.T) {
	for name, machine := range machines {
		f, err := elf.Open(made(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine || f.Type != elf.ET_EXEC {
			t.Errorf("%s is %v for %v", name, f.Type, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s is not static: %v", name, p.Type)
			}
		}
	}
}

func TestDistChecksumsCoverEveryFile(t *testing.T) {
	sums := made(t, "SHA256SUMS")
	out := command(t, filepath.Dir(sums), "sha256sum", "--check", "--strict", "SHA256SUMS")
	for name := range machines {
		if !strings.Contains(out, name+": OK\n") {
			t.Errorf("%s has no checksum: %s", name, out)
		}
	}
}

func TestDistBinaryTellsItsVersion(t *testing.T) {
	dir := filepath.Dir(made(t, "SHA256SUMS"))
	version := os.Getenv("VERSION")
	for name := range machines {
		data, err := os.ReadFile(made(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if version == "" || !bytes.Contains(data, []byte(version)) {
			t.Errorf("%s does not hold its version %q", name, version)
		}
	}
	native := strings.TrimSpace(command(t, dir, "go", "env", "GOHOSTARCH"))
	if out := command(t, dir, "./cbk-linux-"+native, "version"); !strings.HasPrefix(out, "cbk "+version+",") {
		t.Errorf("it calls itself %s", out)
	}
}

// The second build runs on a copy of the source without its history, in another directory.
func TestDistIsTheSameFromAnotherDirectory(t *testing.T) {
	tree, again := t.TempDir(), t.TempDir()
	root := strings.TrimSpace(command(t, ".", "git", "rev-parse", "--show-toplevel"))
	command(t, root, "sh", "-c", `git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1"`, "sh", tree)
	command(t, tree, "make", "binaries", "DIST="+again)
	for name := range machines {
		first, err := os.ReadFile(made(t, name))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(again, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s: %d bytes, and %d others from another directory", name, len(first), len(second))
		}
	}
}
