package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// conn is a connection to one server. It is closed once and then done.
type conn struct {
	client *ssh.Client
	done   chan struct{}

	mu  sync.Mutex
	why error // it ended
}

// end closes the connection for a reason; the first one counts.
func (c *conn) end(why error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = why
	}
	c.mu.Unlock()
	c.client.Close()
}

// cause returns why the connection ended.
func (c *conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

func (c *conn) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// watch returns when the connection has ended.
func (c *conn) watch() {
	err := c.client.Wait()
	if err == nil {
		err = errors.New("closed by the server")
	}
	c.end(err)
	close(c.done)
}

// keepalive ends a connection that does not answer. A TCP connection to a host that
// has lost its power stays open for hours.
func (c *conn) keepalive(interval time.Duration) {
	for {
		select {
		case <-c.done:
			return
		case <-time.After(interval):
		}
		answer := make(chan struct{})
		go func() {
			defer close(answer)
			c.client.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer, an error the end
		}()
		select {
		case <-answer:
		case <-time.After(keepaliveMisses * interval):
			c.end(fmt.Errorf("no answer for %s", keepaliveMisses*interval))
		}
		<-answer
	}
}

// connect makes a connection to the last of these servers, by way of the others.
func (c *Cluster) connect(ctx context.Context, hops []hop) (*conn, error) {
	h := hops[len(hops)-1]
	var via *conn
	if len(hops) > 1 {
		jump, err := c.conn(ctx, hops[:len(hops)-1])
		if err != nil {
			return nil, err
		}
		via = jump
	}
	timeout := c.cfg.SSH.Timeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer in %s", timeout))
	defer cancel()
	raw, err := dial(ctx, via, h.addr())
	if err != nil {
		return nil, &DialError{Host: h.label, Addr: h.addr(), Err: causeOr(ctx, err)}
	}
	return c.handshake(ctx, raw, h)
}

func dial(ctx context.Context, via *conn, addr string) (net.Conn, error) {
	if via != nil {
		return via.client.DialContext(ctx, "tcp", addr)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// causeOr is why something failed: the context where that has ended.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// handshake proves the server to us and us to the server.
func (c *Cluster) handshake(ctx context.Context, raw net.Conn, h hop) (*conn, error) {
	known, err := c.knownHosts(h.knownFiles)
	if err != nil {
		raw.Close()
		return nil, err
	}
	o, err := c.offerFor(ctx, h)
	if err != nil {
		raw.Close()
		return nil, err
	}
	defer o.close()
	// Deadlines do not work on a connection through another server, and none holds
	// for an agent that asks its user; closing does.
	stop := context.AfterFunc(ctx, func() {
		raw.Close()
		o.close()
	})
	check, verdict, proven := known.check(h), error(nil), false
	cfg := &ssh.ClientConfig{User: h.user, HostKeyAlgorithms: known.algorithms(h),
		Auth: []ssh.AuthMethod{ssh.PublicKeys(o.signers...)},
		HostKeyCallback: func(name string, remote net.Addr, key ssh.PublicKey) error {
			verdict = check(name, remote, key)
			proven = verdict == nil
			return verdict
		}}
	client, channels, requests, err := ssh.NewClientConn(raw, h.known, cfg)
	ended := !stop()
	switch {
	case ended:
		raw.Close() // perhaps a second time
		return nil, &DialError{Host: h.label, Addr: h.addr(), Err: context.Cause(ctx)}
	case verdict != nil:
		return nil, verdict
	case err != nil && proven && !isEnd(err):
		return nil, &AuthError{Host: h.label, User: h.user, Offered: o.names, Notes: o.notes, Err: err}
	case err != nil:
		return nil, known.negotiation(h, err)
	}
	return &conn{client: ssh.NewClient(client, channels, requests), done: make(chan struct{})}, nil
}
