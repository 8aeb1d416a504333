package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// keepaliveInterval and keepaliveMisses end a dead connection within a minute: late
	// enough for a node in a long garbage collection of its kernel, early
	// enough that a retry still fits into a backup window.
	keepaliveInterval = 15 * time.Second
	keepaliveMisses   = 3
	// endAfter is what a cancelled command has to end by itself: clearing a
	// snapshot by nodetool takes a few seconds on a busy node.
	endAfter = 30 * time.Second
)

// ErrClosed is what a closed cluster answers.
var ErrClosed = errors.New("the cluster is closed")

// Options are what the configuration does not say.
type Options struct {
	Home        string       // the user's, of ~/
	User        string       // who runs this: the user on the nodes where nothing names another
	AgentSocket string       // SSH_AUTH_SOCK; "" is no agent
	AcceptNew   bool         // write unknown servers' keys down and go on
	Log         *slog.Logger // may be nil
}

// Host is a node as the ring tells it.
type Host struct {
	Address string
	DC      string
	Rack    string
}

// Cluster holds the connections to the servers of a cluster. Its methods may be
// called concurrently.
type Cluster struct {
	cfg    Config
	opt    Options
	log    *slog.Logger
	routes *router
	dials  singleflight.Group
	life   context.Context // of connections and attempts
	end    context.CancelFunc

	interval, grace time.Duration

	mu      sync.Mutex
	closed  bool
	conns   map[string]*conn
	known   map[string]*knownHosts
	running sync.WaitGroup
}

// New reads what is configured; it connects to nothing. Connections take values
// from ctx, but not its end: what is to be cleaned up on nodes after an
// interruption needs them too. [Cluster.Close] ends them.
func New(ctx context.Context, cfg Config, opt Options) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	routes, err := newRouter(cfg, opt.Home, opt.User)
	if err != nil {
		return nil, err
	}
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &Cluster{cfg: cfg, opt: opt, log: log, routes: routes, life: life, end: end, interval: keepaliveInterval, grace: endAfter,
		conns: make(map[string]*conn), known: make(map[string]*knownHosts)}, nil
}

// RemoteConfig is cbk's configuration file on a host, for --config.
func (c *Cluster) RemoteConfig(h Host) string {
	if own := c.cfg.node(h.Address).RemoteConfig; own != "" {
		return own
	}
	return c.cfg.RemoteConfig
}

// Close ends all connections and returns when nothing of them runs any more.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = nil
	c.mu.Unlock()
	c.end()
	for _, cn := range conns {
		cn.end(ErrClosed)
	}
	c.running.Wait()
	return nil
}

// begin runs fn beside, unless the cluster is closed. Close waits for it.
func (c *Cluster) begin(fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Go(fn)
	return true
}

// conn returns the connection to the last of these servers, which may be there
// already. Those who want the same one at the same time share the attempt and its
// error: a jump host that is down is asked once, not once for each node behind it.
func (c *Cluster) conn(ctx context.Context, hops []hop) (*conn, error) {
	key := routeKey(hops)
	attempt := c.dials.DoChan(key, func() (any, error) {
		c.mu.Lock()
		cn := c.conns[key]
		c.mu.Unlock()
		if cn != nil && !cn.over() {
			return cn, nil
		}
		return c.open(key, hops)
	})
	select {
	case r := <-attempt:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*conn), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// open makes a connection, keeps it for others and watches it.
func (c *Cluster) open(key string, hops []hop) (cn *conn, err error) {
	made := make(chan struct{})
	if !c.begin(func() {
		defer close(made)
		cn, err = c.connect(c.life, hops)
	}) {
		return nil, ErrClosed
	}
	<-made
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.conns[key] = cn
		c.running.Go(cn.watch)
		c.running.Go(func() { cn.keepalive(c.interval) })
	}
	c.mu.Unlock()
	if closed {
		cn.client.Close()
		return nil, ErrClosed
	}
	return cn, nil
}

// knownHosts returns what these files know, read once.
func (c *Cluster) knownHosts(files []string) (*knownHosts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(files, "\x00")
	if k := c.known[key]; k != nil {
		return k, nil
	}
	k, err := openKnownHosts(files, c.opt.AcceptNew)
	if err != nil {
		return nil, err
	}
	c.known[key] = k
	return k, nil
}

// isEnd tells whether an error is a connection's end.
func isEnd(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
