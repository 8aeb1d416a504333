package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKeyFile bounds a key or certificate file; an RSA key of 16384 bits has 13 KiB.
const maxKeyFile = 64 << 10

// identity is what a private key file and its certificate have.
type identity struct {
	file   string
	public ssh.PublicKey // nil where the file is encrypted and does not tell
	signer ssh.Signer    // nil where only the agent can sign
	cert   *ssh.Certificate
}

// readIdentity reads a key file, which may also be the public half of a key that the
// agent has, and the certificate beside it.
func readIdentity(file string) (identity, error) {
	id := identity{file: file}
	b, err := readSmall(file, maxKeyFile)
	if err != nil {
		return id, err
	}
	var locked *ssh.PassphraseMissingError
	id.signer, err = ssh.ParsePrivateKey(b)
	switch {
	case err == nil:
		id.public = id.signer.PublicKey()
	case errors.As(err, &locked):
		if id.public = locked.PublicKey; id.public == nil {
			id.public, _ = readPublic(file + ".pub") // old formats hide it
		}
	default:
		public, _, _, _, notPublic := ssh.ParseAuthorizedKey(b)
		if notPublic != nil {
			return id, fmt.Errorf("%s: %w", file, err)
		}
		id.public = public
	}
	id.cert, err = readCert(file + "-cert.pub")
	return id, err
}

func readPublic(file string) (ssh.PublicKey, error) {
	b, err := readSmall(file, maxKeyFile)
	if err != nil {
		return nil, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return public, nil
}

// readCert reads a certificate, which need not be there.
func readCert(file string) (*ssh.Certificate, error) {
	public, err := readPublic(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%s is no certificate", file)
	}
	return cert, nil
}

// offer collects what is shown to a server, in the order of showing: servers end
// the connection after six keys that they do not know, so that those named for the
// server come first.
type offer struct {
	signers []ssh.Signer
	names   []string // of the signers, for messages
	notes   []string // what cannot be offered and why
	shown   map[string]bool
	agent   net.Conn // to sign with; nil where there is none
}

// close ends what the agent's signers need.
func (o *offer) close() {
	if o.agent != nil {
		o.agent.Close()
	}
}

func (o *offer) add(s ssh.Signer, name string) {
	if key := string(s.PublicKey().Marshal()); !o.shown[key] {
		o.shown[key] = true
		o.signers, o.names = append(o.signers, s), append(o.names, name)
	}
}

// addIdentity offers a key and before it its certificate, signed by the file or by
// the agent.
func (o *offer) addIdentity(id identity, held map[string]ssh.Signer) error {
	signer := id.signer
	if signer == nil && id.public != nil {
		signer = held[string(id.public.Marshal())]
	}
	if signer == nil {
		o.notes = append(o.notes, fmt.Sprintf("%s is encrypted or a public key and ssh-agent has it not: ssh-add it", id.file))
		return nil
	}
	if id.cert != nil {
		certified, err := ssh.NewCertSigner(id.cert, signer)
		if err != nil {
			return fmt.Errorf("%s-cert.pub: %w", id.file, err)
		}
		o.add(certified, id.file+"-cert.pub")
	}
	o.add(signer, id.file)
	return nil
}

// offerFor returns what to show to a server, to be closed when all is signed.
func (c *Cluster) offerFor(ctx context.Context, h hop) (*offer, error) {
	o := &offer{shown: make(map[string]bool)}
	keys := c.agentKeys(ctx, o)
	held := make(map[string]ssh.Signer)
	for _, s := range keys {
		held[string(s.PublicKey().Marshal())] = s
	}
	for _, file := range c.identityFiles(h) {
		id, err := readIdentity(file)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !h.named:
			if len(h.identities) > 0 {
				o.notes = append(o.notes, file+" does not exist")
			}
			continue
		case err == nil:
			err = o.addIdentity(id, held)
		}
		if err != nil {
			o.close()
			return nil, fmt.Errorf("%s: identity: %w", h.label, err)
		}
	}
	for _, s := range keys {
		if !h.only {
			o.add(s, agentName(s))
		}
	}
	return o, nil
}

// identityFiles are those of the configuration or ssh's own, newest kind first.
func (c *Cluster) identityFiles(h hop) []string {
	if len(h.identities) > 0 {
		return h.identities
	}
	var files []string
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		files = append(files, filepath.Join(c.opt.Home, ".ssh", name))
	}
	return files
}

// agentKeys asks the agent for its keys. One that does not answer is a note: the key
// files may do.
func (c *Cluster) agentKeys(ctx context.Context, o *offer) []ssh.Signer {
	if c.opt.AgentSocket == "" {
		o.notes = append(o.notes, "no ssh-agent (SSH_AUTH_SOCK)")
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.opt.AgentSocket)
	if err != nil {
		o.notes = append(o.notes, fmt.Sprintf("ssh-agent: %v", err))
		return nil
	}
	o.agent = conn
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	keys, err := agent.NewClient(conn).Signers()
	if err != nil {
		o.notes = append(o.notes, fmt.Sprintf("ssh-agent: %v", err))
	}
	return keys
}

// agentName is how a message names a key of the agent.
func agentName(s ssh.Signer) string {
	return "ssh-agent's " + ssh.FingerprintSHA256(s.PublicKey())
}
