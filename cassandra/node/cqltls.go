package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/gocql/gocql"
)

// maxPEM holds the bundle of all public authorities, some 220 KiB, with room.
const maxPEM = 4 << 20

func (c CQLConfig) tls() bool { return c.CAFile != "" || c.CertFile != "" || c.ServerName != "" }

func (c CQLConfig) check() error {
	switch {
	case c.CertFile == "" && c.KeyFile != "":
		return configError("cql.cert_file", "missing, while cassandra.cql.key_file is set")
	case c.CertFile != "" && c.KeyFile == "":
		return configError("cql.key_file", "missing, while cassandra.cql.cert_file is set")
	}
	return nil
}

// tlsConfig is nil where TLS is not spoken.
func (n *Node) tlsConfig() (*tls.Config, error) {
	c := n.cfg.CQL
	if !c.tls() {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if t.ServerName == "" {
		t.ServerName = c.Host
	}
	if c.CAFile != "" {
		pem, err := ReadBounded(c.CAFile, maxPEM)
		if err != nil {
			return nil, configError("cql.ca_file", "%v", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, configError("cql.ca_file", "%s has no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile == "" {
		return t, nil
	}
	own, err := n.ownCertificate()
	t.Certificates = []tls.Certificate{own}
	return t, err
}

func (n *Node) ownCertificate() (tls.Certificate, error) {
	c := n.cfg.CQL
	cert, err := ReadBounded(c.CertFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, configError("cql.cert_file", "%v", err)
	}
	key, err := ReadBounded(c.KeyFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, configError("cql.key_file", "%v", err)
	}
	if err := n.warnIfOpen("cassandra.cql.key_file", c.KeyFile); err != nil {
		return tls.Certificate{}, err
	}
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return own, configError("cql.cert_file", "%s with %s: %v", c.CertFile, c.KeyFile, err)
	}
	return own, nil
}

// pinnedDialer connects to one address, whichever host the driver asks for: the
// driver learns other addresses of the node, and of its peers, from the cluster.
// It speaks TLS where it has a configuration for that.
type pinnedDialer struct {
	address string
	tls     *tls.Config

	mu     sync.Mutex
	failed error // of the last handshake
}

// DialHost implements gocql.HostDialer.
func (d *pinnedDialer) DialHost(ctx context.Context, _ *gocql.HostInfo) (*gocql.DialedHost, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	// The driver bounds no handshake of a dialer that is not its own.
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host, err := gocql.WrapTLS(ctx, conn, d.address, d.tls)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
	return host, err
}

func (d *pinnedDialer) handshake() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// tlsAdvice says which key to look at after a failure of TLS, or nothing. A
// refusal of our certificate comes after the handshake, in the driver's words.
func tlsAdvice(handshake error, said string) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(handshake, &authority):
		return "cassandra.cql.ca_file has no authority that signed the node's certificate"
	case errors.As(handshake, &name):
		return "the node's certificate is for another name; set cassandra.cql.host, or server_name beside it, to one it is for"
	case errors.As(handshake, &invalid):
		return "the node's certificate does not hold; see cassandra.cql.ca_file and the dates of the certificate"
	case errors.As(handshake, &record):
		return "the node speaks no TLS at this port; remove cassandra.cql.ca_file and cert_file, or set cassandra.cql.port"
	case strings.Contains(said, "remote error: tls:"):
		return "the node refuses our certificate, or wants one; set cassandra.cql.cert_file and key_file"
	}
	return ""
}

// TLSChain shows what the node presents for CQL, its own certificate first, and
// none where TLS is not configured. It judges nothing: an expired certificate is
// what one wants to see.
func (n *Node) TLSChain(ctx context.Context) ([]*x509.Certificate, error) {
	t, err := n.tlsConfig()
	if err != nil || t == nil {
		return nil, err
	}
	t.InsecureSkipVerify = true // nothing is sent over this connection
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: t}).DialContext(ctx, "tcp", n.address())
	if err != nil {
		return nil, fmt.Errorf("shake hands with %s: %s", n.address(), oneLine(err.Error()))
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}
