package sshtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Lab is what servers and clients of a test share.
type Lab struct {
	Home   string // of the client
	User   string // who logs in
	HostCA ssh.Signer
	UserCA ssh.Signer

	t    testing.TB
	dir  string
	sshd string
}

// Key is a key pair with its files NAME and NAME.pub.
type Key struct {
	File    string
	Signer  ssh.Signer
	Private crypto.PrivateKey
}

// New makes a lab, which goes with the test.
func New(t testing.TB) *Lab {
	t.Helper()
	l := &Lab{t: t, dir: t.TempDir(), sshd: sshd(t)}
	l.Home = filepath.Join(l.dir, "home")
	must(t, os.MkdirAll(filepath.Join(l.Home, ".ssh"), 0o700))
	must(t, os.WriteFile(l.authorized(), nil, 0o600))
	u, err := user.Current()
	must(t, err)
	l.User = u.Username
	l.HostCA, l.UserCA = l.Key("host-ca", "ed25519", "").Signer, l.Key("user-ca", "ed25519", "").Signer
	return l
}

// sshd finds the server, which must be called by its whole path.
func sshd(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if path, err := exec.LookPath(name); err == nil {
			if os.Geteuid() == 0 {
				must(t, os.MkdirAll("/run/sshd", 0o755)) // where sshd locks itself up; root's only
			}
			return path
		}
	}
	t.Fatal("sshd is not installed; Debian: apt-get install openssh-server")
	return ""
}

func (l *Lab) authorized() string { return filepath.Join(l.dir, "authorized_keys") }

// Key makes a key pair of a kind: ed25519, ecdsa or rsa. With a passphrase the file is
// encrypted.
func (l *Lab) Key(name, kind, passphrase string) *Key {
	l.t.Helper()
	private := generate(l.t, kind)
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, name)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, name, []byte(passphrase))
	}
	must(l.t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(l.t, err)
	k := &Key{File: filepath.Join(l.dir, name), Signer: signer, Private: private}
	must(l.t, os.WriteFile(k.File, pem.EncodeToMemory(block), 0o600))
	must(l.t, os.WriteFile(k.File+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644))
	return k
}

func generate(t testing.TB, kind string) crypto.PrivateKey {
	t.Helper()
	var key crypto.PrivateKey
	var err error
	switch kind {
	case "ed25519":
		_, private, e := ed25519.GenerateKey(rand.Reader)
		key, err = &private, e
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no kind of key %s", kind)
	}
	must(t, err)
	return key
}

// Authorize lets a key in at every server of the lab.
func (l *Lab) Authorize(keys ...*Key) {
	l.t.Helper()
	f, err := os.OpenFile(l.authorized(), os.O_APPEND|os.O_WRONLY, 0o600)
	must(l.t, err)
	defer f.Close()
	for _, k := range keys {
		_, err := f.Write(ssh.MarshalAuthorizedKey(k.Signer.PublicKey()))
		must(l.t, err)
	}
}

// Certify has an authority sign a key, for users or hosts of these names, and writes
// the certificate beside the key.
func (l *Lab) Certify(k *Key, authority ssh.Signer, kind uint32, names ...string) {
	l.t.Helper()
	now := time.Now()
	cert := &ssh.Certificate{Key: k.Signer.PublicKey(), CertType: kind, KeyId: filepath.Base(k.File), ValidPrincipals: names,
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix())}
	must(l.t, cert.SignCert(rand.Reader, authority))
	must(l.t, os.WriteFile(k.File+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o644))
}

// Agent starts an ssh-agent that holds these keys and returns its socket.
func (l *Lab) Agent(keys ...*Key) string {
	l.t.Helper()
	// A socket's path has at most 107 bytes, which those of tests may have.
	dir, err := os.MkdirTemp("", "cbk-agent-")
	must(l.t, err)
	socket := filepath.Join(dir, "s")
	// The agent is setgid, which takes the signal of a parent's death from it. So it
	// ends with a pipe, however the test does.
	cmd := exec.Command("sh", "-c", `ssh-agent -D -a "$0" >/dev/null & cat; kill $!; wait`, socket)
	leash, err := cmd.StdinPipe()
	must(l.t, err)
	must(l.t, cmd.Start())
	l.t.Cleanup(func() {
		leash.Close()
		cmd.Wait()
		os.RemoveAll(dir)
	})
	var conn net.Conn
	Until(l.t, "ssh-agent answers", func() bool {
		conn, err = net.Dial("unix", socket)
		return err == nil
	})
	defer conn.Close()
	client := agent.NewClient(conn)
	for _, k := range keys {
		must(l.t, client.Add(agent.AddedKey{PrivateKey: k.Private, Comment: filepath.Base(k.File)}))
	}
	return socket
}

// patience is what anything that must happen may take: a test machine may be busy.
const patience = 60 * time.Second

// Until waits until something is so and fails the test where it does not come.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
