package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

// knownHosts are the servers that some known_hosts files know.
type knownHosts struct {
	files     []string // the first is the one to write to
	acceptNew bool

	mu sync.Mutex
	db *knownhosts.HostKeyDB
}

// openKnownHosts reads the files that exist.
func openKnownHosts(files []string, acceptNew bool) (*knownHosts, error) {
	k := &knownHosts{files: files, acceptNew: acceptNew}
	return k, k.load()
}

func (k *knownHosts) load() error {
	var there []string
	for _, file := range k.files {
		if _, err := os.Stat(file); err == nil {
			there = append(there, file)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("known hosts: %w", err)
		}
	}
	db, err := knownhosts.NewDB(there...)
	if err != nil {
		return fmt.Errorf("known hosts: %w", err)
	}
	k.db = db
	return nil
}

// algorithms returns the kinds of key to ask a server for: those known of it. A
// server that has others too would show one that can be compared with nothing.
// Of an unknown server no certificate can be judged.
func (k *knownHosts) algorithms(h hop) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	algorithms := k.db.HostKeyAlgorithms(h.known)
	if len(algorithms) == 0 {
		return slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(a string) bool { return strings.Contains(a, "-cert-") })
	}
	// Certificates first: plain keys beside them are from before the authority.
	slices.SortStableFunc(algorithms, func(a, b string) int { return isCert(b) - isCert(a) })
	return algorithms
}

func isCert(algorithm string) int {
	if strings.Contains(algorithm, "-cert-") {
		return 1
	}
	return 0
}

// check is the ssh.HostKeyCallback for a server.
func (k *knownHosts) check(h hop) ssh.HostKeyCallback {
	return func(_ string, remote net.Addr, key ssh.PublicKey) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		err := k.db.HostKeyCallback()(h.known, remote, key)
		if err == nil {
			return nil
		}
		if knownhosts.IsHostUnknown(err) && k.acceptNew {
			return k.add(h.known, key)
		}
		return k.refusal(h, key, err)
	}
}

// refusal says why a key is not taken.
func (k *knownHosts) refusal(h hop, key ssh.PublicKey, err error) error {
	e := &HostKeyError{Host: h.label, Name: xknownhosts.Normalize(h.known), Changed: true, Known: k.files[0], Err: err}
	if key != nil {
		e.Fingerprint = key.Type() + " " + ssh.FingerprintSHA256(key)
	}
	var mismatch *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &mismatch) && len(mismatch.Want) == 0:
		e.Changed = false
	case errors.As(err, &mismatch):
		e.Known = fmt.Sprintf("%s:%d", mismatch.Want[0].Filename, mismatch.Want[0].Line)
	case errors.As(err, &revoked):
		e.Known = fmt.Sprintf("%s:%d", revoked.Revoked.Filename, revoked.Revoked.Line)
	}
	return e
}

// negotiation tells what a handshake failed by before a key was shown. Where there
// is no common kind of host key, the server has none of those that are known of it.
func (k *knownHosts) negotiation(h hop, err error) error {
	var none *ssh.AlgorithmNegotiationError
	if !errors.As(err, &none) {
		return &DialError{Host: h.label, Addr: h.addr(), Err: err}
	}
	if none.What != "host key" {
		return fmt.Errorf("%s: %w", h.label, err)
	}
	return k.refusal(h, nil, fmt.Errorf("known is a key of kind %s, and the server has %s",
		strings.Join(none.SupportedAlgorithms, ", "), strings.Join(none.RequestedAlgorithms, ", ")))
}

// add writes a server's key down. Others may write to the file at the same time.
func (k *knownHosts) add(name string, key ssh.PublicKey) (err error) {
	file := k.files[0]
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("known hosts: %w", err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("known hosts: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("known hosts: lock %s: %w", file, err)
	}
	line := xknownhosts.Line([]string{name}, key) + "\n"
	if !endsLine(f) {
		line = "\n" + line
	}
	if _, err := io.WriteString(f, line); err != nil {
		return fmt.Errorf("known hosts: %w", err)
	}
	return k.load()
}

// endsLine tells whether what is appended begins a line: the last one of a file
// that was edited may have no end.
func endsLine(f *os.File) bool {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return true
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, size-1)
	return err != nil || last[0] == '\n'
}
