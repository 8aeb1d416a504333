package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Binary is a build of cbk for Linux, to be copied to nodes.
type Binary struct {
	file    string
	sum     string // SHA-256 in hex
	machine string // as uname -m has it
}

// OpenBinary reads a build and what it runs on. That it is cbk, and this one, is
// for the caller to know.
func OpenBinary(file string) (*Binary, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	header, err := elf.NewFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s is no program for Linux: %w", file, err)
	}
	machine, known := machines[header.Machine]
	if !known {
		return nil, fmt.Errorf("%s is for %s, for which cbk is not made", file, header.Machine)
	}
	h := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &Binary{file: file, sum: hex.EncodeToString(h.Sum(nil)), machine: machine}, nil
}

// machines are those that make dist builds for, as uname -m names them.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64"}

// MachineError tells that a binary does not run on a host.
type MachineError struct {
	Host, Binary string
	Is, Needs    string // as uname -m has them: the host, the binary
}

// Error names both.
func (e *MachineError) Error() string {
	return fmt.Sprintf("%s is a %s, and %s is for %s", e.Host, e.Is, e.Binary, e.Needs)
}

// The scripts get their arguments as $1 and so on, never as text of their own.
const (
	// askScript prints the machine and, if there is a program at $1, its SHA-256.
	askScript = `uname -m; if test -f "$1" && test -x "$1"; then sha256sum < "$1"; fi`
	// pushScript puts what it reads at $1 if it has the SHA-256 $2. A connection that
	// breaks cuts the input short, which the hash tells. The name is taken by rename,
	// so that a cbk that runs goes on and one that starts is whole.
	pushScript = `set -e
tmp=$(mktemp "$1.XXXXXX")
trap 'rm -f "$tmp"' EXIT
trap 'exit 1' HUP INT TERM PIPE
cat > "$tmp"
sum=$(sha256sum < "$tmp")
if test "${sum%% *}" != "$2"; then
	echo "what arrived has SHA-256 ${sum%% *}, not $2" >&2
	exit 65
fi
chmod 755 "$tmp"
mv -f "$tmp" "$1"`
	exitWrongHash = 65 // EX_DATAERR
)

// errHash is the answer to a copy that is not what was to be copied.
var errHash = errors.New("copy is not what was to be copied")

// Push puts a binary where [Config].RemoteCbk says, unless it is there; copied tells
// which. It replaces it whole, once its hash has been compared there. As root, by
// sudo, it runs sh.
func (c *Cluster) Push(ctx context.Context, h Host, b *Binary) (copied bool, err error) {
	sum, err := c.ask(ctx, h, b)
	if err != nil || sum == b.sum {
		return false, err
	}
	f, err := os.Open(b.file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = c.run(ctx, h, c.script(pushScript, b.sum), Command{Stdin: f, EndInput: true})
	var exit *ExitError
	if errors.As(err, &exit) && exit.Code == exitWrongHash {
		return false, fmt.Errorf("%w: %w; has %s been changed meanwhile?", errHash, err, b.file)
	}
	return err == nil, err
}

// ask returns the hash of the program that is on a host, "" for none, if the host
// can run ours.
func (c *Cluster) ask(ctx context.Context, h Host, b *Binary) (string, error) {
	var said [][]byte
	err := c.run(ctx, h, c.script(askScript), Command{Line: func(line []byte) error {
		if len(said) == 2 {
			return errors.New("says more than its machine and a hash")
		}
		said = append(said, bytes.Clone(line))
		return nil
	}})
	if err != nil {
		return "", err
	}
	if len(said) == 0 || string(said[0]) != b.machine {
		return "", &MachineError{Host: h.Address, Binary: b.file, Is: lastLine(string(bytes.Join(said, nil))), Needs: b.machine}
	}
	if len(said) == 1 {
		return "", nil
	}
	sum, _, _ := bytes.Cut(said[1], []byte(" "))
	return string(sum), nil
}

// script are the words that run a script with the path of cbk and more.
func (c *Cluster) script(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script, "cbk-push", c.cfg.RemoteCbk}, args...)
}
