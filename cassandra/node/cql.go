package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

const (
	// connectTimeout bounds one attempt to connect to a node on this machine.
	connectTimeout = 5 * time.Second
	// queryTimeout bounds one page of a query. A busy node answers the schema
	// of thousands of tables in a few seconds.
	queryTimeout = 30 * time.Second
	// pageRows keeps a page of DESCRIBE, at some KiB a row, below a MiB or so.
	pageRows = 100
)

// Identity is what a node says of itself.
type Identity struct {
	HostID      string // UUID in its usual text form
	Name        string // what people call the node: its broadcast address
	Cluster     string
	Version     string // release, as "5.0.6"
	Partitioner string // Java class name
	DC          string
	Rack        string
	Address     string   // broadcast address, without a port
	Tokens      []string // decimal, in numeric order
}

// quietLogger drops the driver's own log; what fails comes back as an error.
type quietLogger struct{}

// Print implements gocql.StdLogger.
func (quietLogger) Print(...any) {}

// Printf implements gocql.StdLogger.
func (quietLogger) Printf(string, ...any) {}

// Println implements gocql.StdLogger.
func (quietLogger) Println(...any) {}

// address is where the node answers CQL, as host:port.
func (n *Node) address() string {
	return net.JoinHostPort(n.cfg.CQL.Host, strconv.Itoa(n.cfg.CQL.Port))
}

func (n *Node) clusterConfig() (*gocql.ClusterConfig, error) {
	c := gocql.NewCluster(n.cfg.CQL.Host)
	c.Port = n.cfg.CQL.Port
	c.ProtoVersion = 4 // all of 2.2 to 6.0 speak it
	c.NumConns = 1
	c.Consistency = gocql.LocalOne
	c.Timeout = queryTimeout
	c.ConnectTimeout = connectTimeout
	c.PageSize = n.pageRows
	c.DisableInitialHostLookup = true
	c.HostFilter = gocql.WhiteListHostFilter(n.cfg.CQL.Host)
	t, err := n.tlsConfig()
	if err != nil {
		return nil, err
	}
	c.HostDialer = &pinnedDialer{address: n.address(), tls: t}
	c.Events.DisableNodeStatusEvents = true
	c.Events.DisableTopologyEvents = true
	c.Events.DisableSchemaEvents = true
	c.Logger = quietLogger{}
	return c, n.authenticate(c)
}

func (n *Node) authenticate(c *gocql.ClusterConfig) error {
	if n.cfg.CQL.Username == "" {
		return nil
	}
	b, err := ReadBounded(n.cfg.CQL.PasswordFile, 4<<10)
	if err != nil {
		return fmt.Errorf("read CQL password: %w; check cassandra.cql.password_file in the config", err)
	}
	password, _, _ := strings.Cut(string(b), "\n")
	c.Authenticator = gocql.PasswordAuthenticator{
		Username: n.cfg.CQL.Username,
		Password: strings.TrimSuffix(password, "\r"),
	}
	return nil
}

// connect opens a session of its own to the node.
func (n *Node) connect(ctx context.Context) (*gocql.Session, error) {
	return n.connectFor(ctx, queryTimeout)
}

// connectFor opens a session whose queries may take a while.
func (n *Node) connectFor(ctx context.Context, timeout time.Duration) (*gocql.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if n.cfg.CQL.Host == "" || n.cfg.CQL.Port < 1 || n.cfg.CQL.Port > 65535 {
		return nil, errors.New("no host and port for CQL; set cassandra.cql in the config")
	}
	// The filter resolves the name and panics where it cannot.
	if _, err := net.DefaultResolver.LookupHost(ctx, n.cfg.CQL.Host); err != nil {
		return nil, n.unreachable(err, "")
	}
	c, err := n.clusterConfig()
	if err != nil {
		return nil, err
	}
	c.Timeout = timeout
	s, err := c.CreateSession()
	if err != nil {
		return nil, n.unreachable(err, tlsAdvice(c.HostDialer.(*pinnedDialer).handshake(), err.Error()))
	}
	return s, nil
}

func (n *Node) unreachable(err error, advice string) error {
	said := strings.TrimPrefix(oneLine(err.Error()), "gocql: unable to create session: ")
	switch hangsUp := strings.Contains(said, "reset by peer") || strings.HasSuffix(said, "EOF"); {
	case advice != "":
	case hangsUp && !n.cfg.CQL.tls():
		advice = "does the node want TLS? then set cassandra.cql.ca_file in the config"
	default:
		advice = "is Cassandra running? check cassandra.cql in the config"
	}
	return fmt.Errorf("cannot reach CQL at %s: %s; %s", n.address(), said, advice)
}

// session returns the one session that queries share.
func (n *Node) session(ctx context.Context) (*gocql.Session, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open != nil {
		return n.open, nil
	}
	var s *gocql.Session
	var err error
	if !n.silent {
		s, err = n.connect(ctx)
		n.silent = err != nil && ctx.Err() == nil && n.cqlIsOff(ctx)
	}
	if n.silent {
		return nil, fmt.Errorf("cannot reach CQL at %s: %w; nodetool enablebinary turns it on", n.address(), ErrNoCQL)
	}
	n.open = s
	return s, err
}

// drop forgets the shared session, so that the next query connects afresh.
func (n *Node) drop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = false
	if n.open != nil {
		n.open.Close()
		n.open = nil
	}
}

// query runs a statement on the node itself and hands each row to the caller.
// A connection that has gone bad is left behind, for the next query to replace.
func (n *Node) query(ctx context.Context, row func(gocql.Scanner) error, stmt string, args ...any) error {
	s, err := n.session(ctx)
	if err != nil {
		return err
	}
	err = scan(ctx, s, row, stmt, args...)
	var answered gocql.RequestError
	if err != nil && !errors.As(err, &answered) {
		n.drop()
	}
	return err
}

func scan(ctx context.Context, s *gocql.Session, row func(gocql.Scanner) error, stmt string, args ...any) error {
	rows := s.Query(stmt, args...).WithContext(ctx).Iter().Scanner()
	for rows.Next() {
		if err := row(rows); err != nil {
			return errors.Join(err, rows.Err())
		}
	}
	return rows.Err()
}

// Identity asks the node who it is.
func (n *Node) Identity(ctx context.Context) (Identity, error) {
	local, err := n.local(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("read the node's identity: %w", err)
	}
	return local, nil
}
