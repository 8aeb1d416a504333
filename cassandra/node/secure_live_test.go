package node_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
)

// elsewhere gives a test a node with other options than the shared one, which
// makes room meanwhile: a machine for tests has memory for one.
func elsewhere(t *testing.T, o cassandratest.Options) {
	t.Helper()
	shared := live
	if err := shared.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := cassandratest.New(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Stop()
		live = shared
		if err := shared.Start(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	live = c.Nodes[0]
}

// oneLineWith tells whether an error is one line that has all the words.
func oneLineWith(err error, words ...string) bool {
	if err == nil || strings.Contains(err.Error(), "\n") {
		return false
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			return false
		}
	}
	return true
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestANodeBehindTLSAndJMXPasswords(t *testing.T) {
	elsewhere(t, cassandratest.Options{Cluster: "Secure", Auth: true, TLS: true, JMX: true})
	t.Run("CQL over TLS tells who the node is", func(t *testing.T) {
		id, err := connect(t, nil).Identity(t.Context())
		if err != nil || id.Cluster != "Secure" {
			t.Errorf("identity %v, error %v", id, err)
		}
	})
	t.Run("the chain is shown, whoever signed it", func(t *testing.T) {
		chain, err := connect(t, func(c *node.Config) { c.CQL.CAFile = "/etc/ssl/certs/ca-certificates.crt" }).TLSChain(t.Context())
		if err != nil || len(chain) != 2 || chain[0].Subject.CommonName != "node" || chain[1].Subject.CommonName != "authority of a test" {
			t.Errorf("chain %v, error %v", chain, err)
		}
	})
	t.Run("nodetool with user, password file and TLS takes a snapshot and tells the ring", func(t *testing.T) {
		n := connect(t, nil)
		if err := n.Snapshot(t.Context(), "secure", "system_auth", "system"); err != nil {
			t.Fatal(err)
		}
		tables, err := n.SnapshotTables("secure")
		for _, table := range tables {
			if table.Keyspace != "system_auth" && table.Keyspace != "system" {
				t.Errorf("%s was not asked for", table.Keyspace)
			}
		}
		if r, err2 := n.Ring(t.Context()); err != nil || err2 != nil || len(tables) == 0 || len(r.Normal()) != 1 {
			t.Errorf("%d tables, ring %v, errors %v, %v", len(tables), r, err, err2)
		}
		if err := n.ClearSnapshot(t.Context(), "secure"); err != nil {
			t.Error(err)
		}
		if v, err := n.Release(t.Context()); v != cassandratest.Version || err != nil {
			t.Errorf("release %q, error %v", v, err)
		}
	})
	t.Run("failures", failuresOfSecureConnections)
}

func failuresOfSecureConnections(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		what string
		edit func(*node.Config)
		want []string
	}{
		{"an authority that did not sign", func(c *node.Config) { c.CQL.CAFile = "/etc/ssl/certs/ca-certificates.crt" }, []string{"cassandra.cql.ca_file"}},
		{"no file of authorities", func(c *node.Config) { c.CQL.CAFile = file("absent", "") + "x" }, []string{"cassandra.cql.ca_file", "no such file"}},
		{"a file without a certificate", func(c *node.Config) { c.CQL.CAFile = file("ca", "none") }, []string{"cassandra.cql.ca_file", "PEM"}},
		{"a name the certificate is not for", func(c *node.Config) { c.CQL.ServerName = "elsewhere.example" }, []string{"cassandra.cql.host", "elsewhere.example"}},
		{"no TLS at all", func(c *node.Config) { c.CQL.CAFile = "" }, []string{"want TLS", "cassandra.cql.ca_file"}},
		{"a key that does not fit", func(c *node.Config) { c.CQL.CertFile, c.CQL.KeyFile = c.CQL.CAFile, file("key", "none") }, []string{"cassandra.cql.cert_file"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			_, err := connect(t, tt.edit).Identity(t.Context())
			t.Log(err)
			if !oneLineWith(err, tt.want...) {
				t.Errorf("error %v has no %q", err, tt.want)
			}
		})
	}
	jmx := []struct {
		what string
		edit func(*node.JMXConfig)
		want []string
	}{
		{"a wrong password", func(c *node.JMXConfig) { c.PasswordFile = file("wrong", "keeper wrong\n") }, []string{"Invalid username or password", "cassandra.nodetool and cassandra.jmx"}},
		{"a user whom the file does not know", func(c *node.JMXConfig) { c.PasswordFile = file("other", "keepers jmx-secret\n") }, []string{"cassandra.jmx.password_file"}},
		{"JMX without TLS", func(c *node.JMXConfig) { c.SSL, c.SSLProperties = false, "" }, []string{"Failed to connect"}},
		{"no certificate of our own", func(c *node.JMXConfig) { c.SSLProperties = file("empty", "") }, []string{"Failed to connect"}},
	}
	for _, tt := range jmx {
		t.Run(tt.what, func(t *testing.T) {
			err := connect(t, func(c *node.Config) { tt.edit(&c.JMX) }).ClearSnapshot(t.Context(), "none")
			t.Log(err)
			if !oneLineWith(err, tt.want...) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v has no %q", err, tt.want)
			}
		})
	}
}

func TestANodeThatWantsAClientsCertificate(t *testing.T) {
	elsewhere(t, cassandratest.Options{TLS: true, ClientAuth: true})
	if _, err := connect(t, nil).Identity(t.Context()); err != nil {
		t.Error(err)
	}
	_, err := connect(t, func(c *node.Config) { c.CQL.CertFile, c.CQL.KeyFile = "", "" }).Identity(t.Context())
	t.Log(err)
	if !oneLineWith(err, "cassandra.cql.cert_file") {
		t.Errorf("without a certificate: error %v", err)
	}
}

func TestANodeWithoutTLSIsNamedAsSuch(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	copyFile(t, "/etc/ssl/certs/ca-certificates.crt", ca, 0o600)
	_, err := connect(t, func(c *node.Config) { c.CQL.CAFile = ca }).Identity(t.Context())
	t.Log(err)
	if !oneLineWith(err, "speaks no TLS", "cassandra.cql.ca_file") {
		t.Errorf("error %v", err)
	}
}
