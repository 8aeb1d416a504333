package node

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"

	"github.com/gocql/gocql"
)

// Config says how to reach a node. The keys in messages are those of the
// section cassandra: in the configuration file.
type Config struct {
	YAML     string    // path of cassandra.yaml
	Nodetool []string  // nodetool and its first arguments
	JMX      JMXConfig // how nodetool reaches the node, where its arguments do not say so
	CQL      CQLConfig // where the node answers CQL
	Start    []string  // command that starts Cassandra; needed by StartCassandra only
	Stop     []string  // command that stops Cassandra; needed by StopCassandra only
	// FirstStart is a command that sets and clears what a first start needs, where cassandra.yaml is managed elsewhere.
	FirstStart []string
}

// CQLConfig says where and as whom to speak CQL.
type CQLConfig struct {
	Host         string // name or address
	Port         int    // 1 to 65535
	Username     string // empty: no authentication
	PasswordFile string // its first line is the password

	// TLS is spoken where one of these is set. The node's certificate must be for
	// ServerName or, where that is empty, for Host.
	CAFile     string // PEM; authorities to trust instead of the system's
	CertFile   string // PEM; our certificate, where the node asks for one
	KeyFile    string // PEM; its private key
	ServerName string
}

// Node is one Cassandra node. Its methods may be called concurrently.
type Node struct {
	cfg      Config
	log      *slog.Logger
	layout   Layout
	pageRows int

	mu     sync.Mutex
	open   *gocql.Session // nil until the first query, and again after a failure
	silent bool           // CQL is off, said nodetool

	warned sync.Map // configuration keys that were warned of
}

// New reads the node's cassandra.yaml. It connects to nothing and runs nothing.
// What the configuration asks for in vain or not safely is a *ConfigError.
func New(cfg Config, log *slog.Logger) (*Node, error) {
	if cfg.YAML == "" {
		return nil, errors.New("no path of cassandra.yaml; set cassandra.config in the config")
	}
	if err := errors.Join(checkNodetool(cfg.Nodetool), cfg.JMX.check(), cfg.CQL.check()); err != nil {
		return nil, err
	}
	layout, err := readLayout(cfg.YAML)
	if err != nil {
		return nil, err
	}
	if len(cfg.Nodetool) > 0 { // options of nodetool stand before the subcommand
		cfg.Nodetool = append(slices.Clone(cfg.Nodetool), cfg.JMX.arguments()...)
	}
	return &Node{cfg: cfg, log: log, layout: layout, pageRows: pageRows}, nil
}

// Close ends the connections. A Node may be used again afterwards; it connects anew.
func (n *Node) Close() { n.drop() }

// Layout tells where the node's directories are.
func (n *Node) Layout() Layout { return n.layout }

// A tag becomes part of paths and commands, so it is held to what needs no
// quoting anywhere. Cassandra itself would take far more.
var tagForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func checkTag(tag string) error {
	if !tagForm.MatchString(tag) || tag[0] == '-' {
		return fmt.Errorf("snapshot tag %q is not 1 to 64 of a-z, 0-9 and dash, starting with no dash", tag)
	}
	return nil
}
