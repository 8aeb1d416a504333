package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// params reads the query of a store URL. The first fault is kept; done reports
// it, or a parameter that nobody asked for.
type params struct {
	query url.Values
	known []string
	err   error
}

func newParams(u *url.URL) *params {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		err = fmt.Errorf("%w URL query", ErrInvalid)
	}
	return &params{query: query, err: err}
}

func (p *params) fail(name, want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w URL: parameter %s must be %s", ErrInvalid, name, want)
	}
}

// text returns a parameter, "" if it is not given.
func (p *params) text(name string) string {
	p.known = append(p.known, name)
	if len(p.query[name]) > 1 {
		p.fail(name, "given once")
	}
	return p.query.Get(name)
}

// flag returns a parameter that is true or false.
func (p *params) flag(name string, missing bool) bool {
	switch p.text(name) {
	case "":
		return missing
	case "true":
		return true
	case "false":
		return false
	}
	p.fail(name, "true or false")
	return false
}

// oneOf returns a parameter that is one of some words, "" if not given.
func (p *params) oneOf(name string, words ...string) string {
	v := p.text(name)
	if v != "" && !slices.Contains(words, v) {
		p.fail(name, strings.Join(words, " or "))
	}
	return v
}

// number returns a parameter between 1 and limit, 0 if not given.
func (p *params) number(name string, limit int) int {
	v := p.text(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > limit {
		p.fail(name, fmt.Sprintf("a number from 1 to %d", limit))
	}
	return n
}

// endpoint returns the root URL of a server, nil if not given.
func (p *params) endpoint(name string) *url.URL {
	v := p.text(name)
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		p.fail(name, "like https://host:port")
		return nil
	}
	return u
}

// done reports the first fault.
func (p *params) done() error {
	for name := range p.query {
		if p.err == nil && !slices.Contains(p.known, name) {
			p.err = fmt.Errorf("%w URL: unknown parameter %q", ErrInvalid, name)
		}
	}
	return p.err
}

// place is where in a bucket a repository lies.
func place(u *url.URL) (bucket, prefix string, err error) {
	prefix = strings.Trim(u.Path, "/")
	if u.Host == "" || u.Port() != "" {
		return "", "", fmt.Errorf("%w URL: want %s://bucket/path", ErrInvalid, u.Scheme)
	}
	if prefix == "" {
		return u.Host, "", nil
	}
	if err := checkName(prefix); err != nil {
		return "", "", fmt.Errorf("%w URL: path in the bucket: letters, digits and ._-+=@ only", ErrInvalid)
	}
	return u.Host, prefix + "/", nil
}

// connectTimeout ends a connect or TLS handshake: a firewall that drops
// packets must look like one, not like a slow store.
const connectTimeout = 10 * time.Second

// transport reads the parameters ca (a PEM file of further authorities) and
// tls_verify, and returns a function that sets up a transport accordingly.
// HTTP/2 stays off: over one connection a stalled stream cannot be told from
// the others, and many connections carry more.
func (p *params) transport() func(*http.Transport) {
	verify := p.flag("tls_verify", true)
	roots := p.authorities(p.text("ca"))
	return func(t *http.Transport) {
		t.DialContext = (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext
		t.TLSHandshakeTimeout = connectTimeout
		t.MaxIdleConnsPerHost = 64
		t.ForceAttemptHTTP2 = false
		t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if roots != nil {
			t.TLSClientConfig.RootCAs = roots
		}
		t.TLSClientConfig.InsecureSkipVerify = !verify
	}
}

func (p *params) authorities(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	pool, poolErr := x509.SystemCertPool()
	if err = errors.Join(err, poolErr); err != nil {
		p.err = errors.Join(p.err, fmt.Errorf("read certificate authorities: %w", err))
		return nil
	}
	if !pool.AppendCertsFromPEM(pem) {
		p.fail("ca", "a file with PEM certificates")
	}
	return pool
}

func newTransport(setUp func(*http.Transport)) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	setUp(t)
	return t
}
