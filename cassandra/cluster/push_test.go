package cluster_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

// program writes a file that begins as a program for some machine does.
func program(t *testing.T, machine elf.Machine, size int) string {
	t.Helper()
	var b bytes.Buffer
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Shentsize: 64}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	b.Write(bytes.Repeat([]byte{0, 1, '\n', 255}, size/4))
	file := filepath.Join(t.TempDir(), "cbk")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// here is the machine that the tests run on, as the servers do.
func here(t *testing.T) elf.Machine {
	t.Helper()
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	return self.Machine
}

func binaryOf(t *testing.T, file string) *cluster.Binary {
	t.Helper()
	b, err := cluster.OpenBinary(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABinaryIsCopiedWholeAndOnlyOnce(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	dir := t.TempDir()
	s.cfg.RemoteCbk = filepath.Join(dir, "it's a cbk")
	c := s.open()
	for i, want := range []struct {
		file   string
		copied bool
	}{{program(t, here(t), 5<<20), true}, {"", false}, {program(t, here(t), 100), true}, {"", false}} {
		if want.file != "" {
			s.spare = want.file
		}
		copied, err := c.Push(t.Context(), s.host, binaryOf(t, s.spare))
		if err != nil || copied != want.copied {
			t.Fatalf("push %d copied: %t, %v", i, copied, err)
		}
		mustEqual(t, s.cfg.RemoteCbk, s.spare)
	}
	if err := os.Chmod(s.cfg.RemoteCbk, 0o600); err != nil {
		t.Fatal(err)
	}
	if copied, err := c.Push(t.Context(), s.host, binaryOf(t, s.spare)); err != nil || !copied {
		t.Errorf("one that cannot be run was left: %v", err)
	}
	mustEqual(t, s.cfg.RemoteCbk, s.spare)
	onlyFile(t, dir, "it's a cbk")
}

func mustEqual(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(file)
	wanted, wantErr := os.ReadFile(want)
	info, statErr := os.Stat(file)
	if err := errors.Join(err, wantErr, statErr); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, wanted) || info.Mode().Perm() != 0o755 {
		t.Errorf("%s has %d bytes and mode %s", file, len(got), info.Mode())
	}
}

func onlyFile(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, "|") != strings.Join(names, "|") {
		t.Errorf("%s holds %q", dir, got)
	}
}

func TestACopyWithAnotherHashReplacesNothing(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	dir := t.TempDir()
	s.cfg.RemoteCbk = filepath.Join(dir, "cbk")
	if err := os.WriteFile(s.cfg.RemoteCbk, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := program(t, here(t), 1000)
	b := binaryOf(t, file)
	if err := os.WriteFile(file, []byte("somebody builds it anew"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied, err := s.open().Push(t.Context(), s.host, b)
	if copied || err == nil || !strings.Contains(err.Error(), "has "+file+" been changed meanwhile?") || cluster.MayPass(err) {
		t.Errorf("copied: %t, %v", copied, err)
	}
	if got, err := os.ReadFile(s.cfg.RemoteCbk); err != nil || string(got) != "old" {
		t.Errorf("the host has %q: %v", got, err)
	}
	onlyFile(t, dir, "cbk")
}

func TestABinaryForAnotherMachineIsNotCopied(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	dir := t.TempDir()
	s.cfg.RemoteCbk = filepath.Join(dir, "cbk")
	other := elf.EM_AARCH64
	if here(t) == other {
		other = elf.EM_X86_64
	}
	_, err := s.open().Push(t.Context(), s.host, binaryOf(t, program(t, other, 100)))
	var machine *cluster.MachineError
	if !errors.As(err, &machine) || machine.Host != "node-1" || machine.Is == machine.Needs || machine.Is == "" {
		t.Errorf("error is %v", err)
	}
	onlyFile(t, dir)
}

func TestAHostWithoutRoomForTheBinaryIsAnError(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	s.cfg.RemoteCbk = filepath.Join(t.TempDir(), "absent", "cbk")
	_, err := s.open().Push(t.Context(), s.host, binaryOf(t, program(t, here(t), 100)))
	var exit *cluster.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), s.cfg.RemoteCbk) {
		t.Errorf("error is %v", err)
	}
}

func TestAHostThatSaysMoreThanItsMachineIsNotPushedTo(t *testing.T) {
	s, _ := newSite(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "uname"), []byte("#!/bin/sh\necho Welcome\necho to this\necho x86_64\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := s.Start(sshtest.Options{Env: []string{"PATH=" + bin + ":/usr/bin:/bin"}})
	s.know(v.Line())
	s.cfg.Nodes = []cluster.NodeConfig{{Address: "node-1", SSHHost: v.IP, SSHPort: v.Port}}
	s.cfg.RemoteCbk = filepath.Join(t.TempDir(), "cbk")
	if copied, err := s.open().Push(t.Context(), s.host, binaryOf(t, program(t, here(t), 100))); copied || err == nil {
		t.Errorf("copied: %t, %v", copied, err)
	}
}

func TestOnlyAProgramForLinuxIsABinary(t *testing.T) {
	script := filepath.Join(t.TempDir(), "cbk")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"a script":                      {script, "is no program for Linux"},
		"for a machine without a build": {program(t, elf.EM_S390, 10), "is for EM_S390, for which cbk is not made"},
	} {
		if _, err := cluster.OpenBinary(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cluster.OpenBinary(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}
