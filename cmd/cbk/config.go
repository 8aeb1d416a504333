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
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/node"
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

	recoveryFile string
}

type cassandraConfig struct {
	Config   string    `yaml:"config"`
	Nodetool []string  `yaml:"nodetool"`
	CQL      cqlConfig `yaml:"cql"`
	Start    []string  `yaml:"start"`
	Stop     []string  `yaml:"stop"`
}

type cqlConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// loadConfig reads the file and lays flags and environment over it. Unknown keys are errors: a misspelt key that is
// ignored is a setting that is not in force.
func loadConfig(c *cli.Context) (*config, error) {
	file := cmp.Or(c.String("config"), defaultConfigFile)
	cfg, err := readConfig(file)
	if errors.Is(err, fs.ErrNotExist) && !c.IsSet("config") {
		cfg, err = &config{}, nil
	}
	if err != nil {
		return nil, usageError("config: %w", err)
	}
	for flag, key := range map[string]*string{"repo": &cfg.Repository, "state-dir": &cfg.StateDir} {
		if c.String(flag) != "" {
			*key = c.String(flag)
		}
	}
	if err := cfg.overrideKey(c); err != nil {
		return nil, err
	}
	if cfg.StateDir == "" {
		cfg.StateDir, err = defaultStateDir()
	}
	if err == nil && cfg.Repository == "" {
		err = usageError("no repository: set --repo, CBK_REPO or repository: in %s", file)
	}
	return cfg, err
}

// overrideKey lays the flags that say what opens the repository over the file's keys: whichever is given, those of the
// file count no more.
func (c *config) overrideKey(ctx *cli.Context) error {
	given := 0
	for _, flag := range keyFlags {
		if ctx.String(flag) != "" {
			given++
		}
	}
	if given > 1 {
		return usageError("choose one of --%s", strings.Join(keyFlags, ", --"))
	}
	if given == 1 {
		c.KeyFile, c.PassphraseFile, c.KMS = ctx.String("key-file"), ctx.String("passphrase-file"), ctx.String("kms")
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
	cfg := &config{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cfg, nil
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

// node returns the settings of the Cassandra node, with the defaults of a packaged installation.
func (c *config) node() node.Config {
	k := c.Cassandra
	or := func(have, otherwise []string) []string {
		if len(have) > 0 {
			return have
		}
		return otherwise
	}
	return node.Config{
		YAML:     cmp.Or(k.Config, "/etc/cassandra/cassandra.yaml"),
		Nodetool: or(k.Nodetool, []string{"nodetool"}),
		CQL: node.CQLConfig{Host: cmp.Or(k.CQL.Host, "127.0.0.1"), Port: cmp.Or(k.CQL.Port, 9042),
			Username: k.CQL.Username, PasswordFile: k.CQL.PasswordFile},
		Start: or(k.Start, []string{"systemctl", "start", "cassandra"}),
		Stop:  or(k.Stop, []string{"systemctl", "stop", "cassandra"}),
	}
}
