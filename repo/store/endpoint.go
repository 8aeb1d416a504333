package store

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Endpoint is what a store's server says of itself to anybody.
type Endpoint struct {
	URL   string              // without a path
	Chain []*x509.Certificate // its own certificate first; none without TLS
	Date  time.Time           // its clock, to the second; zero where it does not tell
}

// AskEndpoint asks the server of the store at a URL of Open, without any
// credentials and about no object. It returns nil for a store without a server.
// A certificate that does not hold is an error.
func AskEndpoint(ctx context.Context, rawURL string) (*Endpoint, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &Error{Op: "ask store", Name: redact(rawURL), Kind: ErrInvalid}
	}
	p := newParams(u)
	transport := newTransport(p.transport())
	defer transport.CloseIdleConnections()
	at := p.endpoint("endpoint")
	if p.err == nil && at == nil {
		at, p.err = ownEndpoint(ctx, u.Scheme, p)
	}
	if p.err != nil || at == nil {
		return nil, p.err
	}
	e, err := ask(ctx, &url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/"}, transport)
	if err != nil {
		return nil, &Error{Op: "ask store", Name: at.Host, Err: err}
	}
	return e, nil
}

// ownEndpoint is where a provider answers where the URL names no server; nil for
// a scheme without one.
func ownEndpoint(ctx context.Context, scheme string, p *params) (*url.URL, error) {
	switch scheme {
	case "s3":
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(p.text("region")), config.WithSharedConfigProfile(p.text("profile")))
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		if cfg.BaseEndpoint != nil {
			return url.Parse(*cfg.BaseEndpoint)
		}
		found, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, s3.EndpointParameters{Region: &cfg.Region})
		return &found.URI, err
	case "gs":
		return url.Parse("https://storage.googleapis.com")
	case "azblob":
		return url.Parse("https://" + cmp.Or(p.text("account"), os.Getenv("AZURE_STORAGE_ACCOUNT")) + ".blob.core.windows.net")
	}
	return nil, nil
}

// ask sends one request. Whatever the status, the answer has a date and came over
// a connection that shows its certificates.
func ask(ctx context.Context, at *url.URL, transport *http.Transport) (*Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, at.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	e := &Endpoint{URL: strings.TrimSuffix(at.String(), "/")}
	if answer.TLS != nil {
		e.Chain = answer.TLS.PeerCertificates
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		e.Date = date
	}
	return e, nil
}
