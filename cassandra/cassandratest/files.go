package cassandratest

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// What Cassandra 5.0 asks of a Java 17, after its jvm17-server.options. It covers
// what older releases ask of a Java 11, which warns of the packages it lacks.
var (
	exports = []string{
		"java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/java.lang.ref",
		"java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
		"java.rmi/sun.rmi.transport.tcp", "java.sql/java.sql", "jdk.unsupported/sun.misc",
	}
	opens = []string{
		"java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect",
		"java.base/java.net", "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
		"java.base/java.util.concurrent.atomic", "java.base/jdk.internal.loader", "java.base/jdk.internal.math",
		"java.base/jdk.internal.misc", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
		"java.base/jdk.internal.reflect", "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch",
		"jdk.management/com.sun.management.internal",
	}
)

// tools are the programs of the cassandra-all jar that a node's bin folder offers.
var tools = map[string]string{
	"sstabledump":     "SSTableExport",
	"sstablemetadata": "SSTableMetadataViewer",
	"sstableloader":   "BulkLoader",
	"sstableutil":     "StandaloneSSTableUtil",
}

const logback = `<configuration>
<appender name="F" class="ch.qos.logback.core.FileAppender"><file>%s</file>
<encoder><pattern>%%-5level [%%thread] %%date{ISO8601} %%F:%%L - %%msg%%n</pattern></encoder></appender>
<root level="%s"><appender-ref ref="F"/></root></configuration>
`

// write lays out the node's directory.
func (n *Node) write() error {
	for _, dir := range append([]string{"conf", "logs", "bin"}, n.dataDirs()...) {
		if err := os.MkdirAll(n.path(dir), 0o755); err != nil {
			return err
		}
	}
	conf := map[string]string{
		"conf/cassandra.yaml":              n.yaml(),
		"conf/cassandra-rackdc.properties": fmt.Sprintf("dc=%s\nrack=%s\n", n.dc, n.rack),
		"conf/logback.xml":                 fmt.Sprintf(logback, n.path("logs/system.log"), "INFO"),
		"conf/logback-tools.xml":           fmt.Sprintf(logback, n.path("logs/tools.log"), "WARN"),
		"conf/password":                    superPassword + "\n",
	}
	for name, text := range conf {
		if err := os.WriteFile(n.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if o := n.cluster.options; o.TLS || o.JMX {
		if err := n.writeSecrets(); err != nil {
			return fmt.Errorf("make certificates: %w", err)
		}
	}
	scripts, err := n.scripts()
	if err != nil {
		return err
	}
	for name, text := range scripts {
		if err := os.WriteFile(n.path("bin/"+name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) path(name string) string { return filepath.Join(n.Dir, name) }

func (n *Node) dataDirs() []string {
	dirs := []string{"data/data"}
	for i := 2; i <= n.cluster.options.DataDirs; i++ {
		dirs = append(dirs, fmt.Sprintf("data/data%d", i))
	}
	return dirs
}

// yaml is a small node's cassandra.yaml. Every node is a seed and none
// bootstraps, since the tokens are given: so all may start at the same time.
func (n *Node) yaml() string {
	o := n.cluster.options
	var data strings.Builder
	for _, dir := range n.dataDirs() {
		fmt.Fprintf(&data, "    - %s\n", n.path(dir))
	}
	more := ""
	if o.LocalSystem {
		more = "local_system_data_file_directory: " + n.path("data/local") + "\n"
	}
	if o.Auth {
		more += "authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n"
	}
	if o.TLS {
		more += n.encryption()
	}
	return fmt.Sprintf(`cluster_name: '%s'
num_tokens: %d
initial_token: '%s'
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
listen_address: %[4]s
rpc_address: %[4]s
storage_port: %d
native_transport_port: %d
data_file_directories:
%scommitlog_directory: %s
saved_caches_directory: %s
hints_directory: %s
cdc_raw_directory: %s
seed_provider:
    - class_name: org.apache.cassandra.locator.SimpleSeedProvider
      parameters:
          - seeds: '%s'
commitlog_sync: periodic
%sconcurrent_compactors: 1
concurrent_reads: 8
concurrent_writes: 8
disk_failure_policy: stop
commit_failure_policy: stop
auto_snapshot: %t
%s%s`, o.Cluster, len(n.tokens()), strings.Join(n.tokens(), ","), n.Address, storagePort, cqlPort, data.String(),
		n.path("data/commitlog"), n.path("data/saved_caches"), n.path("data/hints"), n.path("data/cdc_raw"),
		strings.Join(n.cluster.addresses(), ","), n.cluster.platform.number.yaml(), o.AutoSnapshot, more, strings.Join(append(o.ExtraYAML, ""), "\n"))
}

// tokens are those the options give the node. Otherwise the tokens of all nodes
// are spread evenly over the Murmur3 ring, the nodes taking turns.
func (n *Node) tokens() []string {
	o := n.cluster.options
	if n.index < len(o.Tokens) {
		return o.Tokens[n.index]
	}
	all := big.NewInt(int64(o.Nodes * o.Vnodes))
	var tokens []string
	for v := range o.Vnodes {
		t := new(big.Int).Lsh(big.NewInt(int64(v*o.Nodes+n.index)), 64)
		t.Div(t, all).Sub(t, new(big.Int).Lsh(big.NewInt(1), 63)).Add(t, big.NewInt(1))
		tokens = append(tokens, t.String())
	}
	return tokens
}
