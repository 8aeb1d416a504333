package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/cluster"
	"cbk/cassandra/node"
	"cbk/snapshot"
)

const (
	defaultConfigFile = "/etc/cbk/cbk.yaml"
	maxConfigFile     = 1 << 20
)

// config is the configuration file. A flag wins over the environment, the environment over the file.
type config struct {
	Repository     string          `yaml:"repository"`
	PassphraseFile string          `yaml:"passphrase_file"`
	KeyFile        string          `yaml:"key_file"`
	KMS            string          `yaml:"kms"`
	Node           string          `yaml:"node"`
	Mode           string          `yaml:"mode"`
	Recipe         string          `yaml:"recipe"`
	StateDir       string          `yaml:"state_dir"`
	Cassandra      cassandraConfig `yaml:"cassandra"`
	Limits         limitsConfig    `yaml:"limits"`
	MetricsFile    string          `yaml:"metrics_file"`
	FirstVersion   bool            `yaml:"first_version"`
	Retention      retentionConfig `yaml:"retention"`
	Cluster        cluster.Config  `yaml:"cluster"`

	recoveryFile string
	file         string            // that was read, "" where there is none
	origins      map[string]string // where the values in force come from, by key; see keys
}

type cassandraConfig struct {
	Config   string    `yaml:"config"`
	Nodetool []string  `yaml:"nodetool"`
	JMX      jmxConfig `yaml:"jmx"`
	CQL      cqlConfig `yaml:"cql"`
	Start    []string  `yaml:"start"`
	Stop     []string  `yaml:"stop"`

	FirstStart []string `yaml:"first_start"`
}

type cqlConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"`
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ServerName   string `yaml:"server_name"`
}

type jmxConfig struct {
	Host          string `yaml:"host"`
	Port          int    `yaml:"port"`
	Username      string `yaml:"username"`
	PasswordFile  string `yaml:"password_file"`
	SSL           bool   `yaml:"ssl"`
	SSLProperties string `yaml:"ssl_properties"`
}

// loadConfig returns the settings in force for a command that needs a repository.
func loadConfig(c *cli.Context) (*config, error) {
	cfg, err := settings(c)
	if err == nil && cfg.Repository == "" {
		err = usageError("no repository: set --repo, CBK_REPO or repository: in %s", cmp.Or(c.String("config"), defaultConfigFile))
	}
	return cfg, err
}

// settings reads the file, lays flags and environment over it, and the defaults beneath. Unknown keys are errors: a
// misspelt key that is ignored is a setting that is not in force.
func settings(c *cli.Context) (*config, error) {
	cfg, err := readConfig(cmp.Or(c.String("config"), defaultConfigFile))
	if errors.Is(err, fs.ErrNotExist) && !c.IsSet("config") {
		cfg, err = &config{origins: make(map[string]string)}, nil
	}
	if err != nil {
		return nil, usageError("config: %w", err)
	}
	for flag, key := range map[string]*string{"repo": &cfg.Repository, "state-dir": &cfg.StateDir} {
		if c.String(flag) != "" {
			cfg.set(key, c.String(flag), flagOrigin(c, flag))
		}
	}
	cfg.overrideFirstVersion(c)
	if err := cfg.overrideKey(c); err != nil {
		return nil, err
	}
	return cfg, cfg.setDefaults()
}

// overrideKey lays the flags that say what opens the repository over the file's keys: whichever is given, those of the
// file count no more.
func (c *config) overrideKey(ctx *cli.Context) error {
	var given []string
	for _, flag := range keyFlags {
		if ctx.String(flag) != "" {
			given = append(given, flag)
		}
	}
	if len(given) > 1 {
		return usageError("choose one of --%s", strings.Join(keyFlags, ", --"))
	}
	if len(given) == 1 {
		origin := flagOrigin(ctx, given[0])
		c.set(&c.KeyFile, ctx.String("key-file"), origin)
		c.set(&c.PassphraseFile, ctx.String("passphrase-file"), origin)
		c.set(&c.KMS, ctx.String("kms"), origin)
		c.recoveryFile = ctx.String("recovery-file")
	}
	return nil
}

func readConfig(file string) (*config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	cfg := &config{file: file, origins: make(map[string]string)}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	cfg.originsOf(&doc, "")
	for key, value := range cfg.keys() {
		if !value.IsZero() && cfg.origins[key] == "" {
			cfg.origins[key] = "file " + file // merged in by <<
		}
	}
	return cfg, nil
}

// setDefaults fills what nothing has set, with the defaults of a packaged installation.
func (c *config) setDefaults() (err error) {
	for key, value := range c.keys() {
		if value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0 {
			if origin := c.origins[key]; !strings.HasPrefix(origin, "flag") && !strings.HasPrefix(origin, "environment") {
				delete(c.origins, key) // an empty value in the file is none
			}
		}
	}
	if c.StateDir == "" {
		c.StateDir, err = defaultStateDir()
	}
	c.Mode, c.Recipe = cmp.Or(c.Mode, snapshot.ModeDifferential), cmp.Or(c.Recipe, snapshot.RecipeAuto)
	c.Retention.IncompleteGrace = cmp.Or(c.Retention.IncompleteGrace, snapshot.Span(snapshot.DefaultIncompleteGrace))
	c.Cluster = c.Cluster.WithDefaults()
	k := &c.Cassandra
	k.Config = cmp.Or(k.Config, "/etc/cassandra/cassandra.yaml")
	k.CQL.Host, k.CQL.Port = cmp.Or(k.CQL.Host, "127.0.0.1"), cmp.Or(k.CQL.Port, 9042)
	for command, otherwise := range map[*[]string][]string{&k.Nodetool: {"nodetool"},
		&k.Start: {"systemctl", "start", "cassandra"}, &k.Stop: {"systemctl", "stop", "cassandra"}} {
		if len(*command) == 0 {
			*command = otherwise
		}
	}
	if err == nil {
		if err = c.Cluster.Validate(); err != nil {
			err = usageError("config: %w", err)
		}
	}
	return err
}

func defaultStateDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/cbk", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", usageError("no state directory: set --state-dir: %w", err)
	}
	return filepath.Join(dir, "cbk"), nil
}

// node returns the settings of the Cassandra node.
func (c *config) node() node.Config {
	k := c.Cassandra
	return node.Config{YAML: k.Config, Nodetool: k.Nodetool, JMX: node.JMXConfig(k.JMX), CQL: node.CQLConfig(k.CQL), Start: k.Start, Stop: k.Stop,
		FirstStart: k.FirstStart}
}
