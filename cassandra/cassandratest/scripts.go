package cassandratest

import (
	"fmt"
	"strconv"
	"strings"
)

// The pid file names this node's process only while that process has the node's
// directory on its command line: the number may be another's by then, and a dead
// process that nobody has waited for has no command line.
const runningScript = `running() { [ -s pid ] && grep -qsF %[1]s "/proc/$(cat pid)/cmdline"; }
`

const startScript = `# Starts the node and returns at once. Does nothing where it runs.
cd %[1]s && . bin/running || exit 1
running && exit 0
rm -f pid
setsid %[1]s/bin/cassandra >>logs/stdout 2>&1 </dev/null &
while [ ! -s pid ]; do sleep 0.05; done
setsid %[1]s/bin/watch "$(cat pid)" >/dev/null 2>&1 </dev/null &
`

const stopScript = `# Stops the node and returns when it has ended: in order, or by force after 30 s.
cd %[1]s && . bin/running || exit 1
running || exit 0
pid=$(cat pid)
kill -TERM "$pid"
tries=0
while running; do
	tries=$((tries+1))
	[ $tries -eq 300 ] && kill -KILL "$pid"
	[ $tries -eq 600 ] && { echo "node $pid does not end" >&2; exit 1; }
	sleep 0.1
done
`

const watchScript = `# Kills the node once nobody holds the lock of its address.
cd %[1]s && . bin/running || exit 1
while running && [ "$(cat pid)" = "$1" ]; do
	flock -n %[2]s true && kill -KILL "$1"
	sleep 1
done
`

// Options for the JVM come last from the environment, for makeArchive.
const serverScript = `cd %[1]s && echo $$ >pid.new && mv pid.new pid || exit 1
archive=
[ -s %[2]s ] && archive=-XX:SharedArchiveFile=%[2]s
exec %[3]s $archive %[4]s $CASSANDRATEST_JVM org.apache.cassandra.service.CassandraDaemon
`

// Like the real one, nodetool takes -D options first; host and port come from
// the arguments where they are given there.
const nodetoolScript = `defines=
while :; do case "$1" in -D*) defines="$defines $1"; shift;; *) break;; esac; done
for arg; do case "$arg" in -p|--port) exec %[1]s $defines %[2]s "$@";; esac; done
exec %[1]s $defines %[2]s -h 127.0.0.1 -p %[3]d "$@"
`

// scripts are the files of the bin folder, without their first line.
func (n *Node) scripts() (map[string]string, error) {
	p := n.cluster.platform
	server, err := classpath(p.server.jars)
	if err != nil {
		return nil, err
	}
	nodetool, err := classpath(p.nodetool.jars)
	if err != nil {
		return nil, err
	}
	dir, jvm := quote(n.Dir), quote(p.server.java)
	scripts := map[string]string{
		"running":   fmt.Sprintf(runningScript, quote(n.Dir+"/")),
		"start":     fmt.Sprintf(startScript, dir),
		"stop":      fmt.Sprintf(stopScript, dir),
		"watch":     fmt.Sprintf(watchScript, dir, quote(n.slot.lock)),
		"cassandra": fmt.Sprintf(serverScript, dir, quote(n.cluster.archive()), jvm, quote(append(n.serverOptions(), n.javaOptions(server)...)...)),
		"nodetool":  fmt.Sprintf(nodetoolScript, quote(p.nodetool.java), n.toolOptions(nodetool)+" org.apache.cassandra.tools.NodeTool", n.JMXPort),
	}
	for name, class := range tools {
		scripts[name] = fmt.Sprintf("exec %s %s org.apache.cassandra.tools.%s \"$@\"\n", jvm, n.toolOptions(server), class)
	}
	return scripts, nil
}

// toolOptions are those of a tool, as words of a shell command.
func (n *Node) toolOptions(classpath string) string {
	return quote(append([]string{"-Xmx256M", "-Dlogback.configurationFile=" + n.path("conf/logback-tools.xml")}, n.javaOptions(classpath)...)...)
}

// javaOptions are those of the server and the tools. Starting fast counts more
// here than running fast: a serial collector and the first compiler only.
func (n *Node) javaOptions(classpath string) []string {
	o := []string{
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss512k",
		"-Djdk.attach.allowAttachSelf=true", "-Djava.net.preferIPv4Stack=true",
		"-Dcassandra.config=file://" + n.path("conf/cassandra.yaml"),
		"-Dcassandra-rackdc.properties=file://" + n.path("conf/cassandra-rackdc.properties"),
		"-Dcassandra.storagedir=" + n.path("data"),
	}
	return append(append(o, moduleOptions()...), "-cp", classpath)
}

func (n *Node) serverOptions() []string {
	heap := n.cluster.options.Heap
	o := []string{
		"-Xms" + heap, "-Xmx" + heap, "-XX:MaxDirectMemorySize=512M",
		"-Dlogback.configurationFile=" + n.path("conf/logback.xml"),
		"-Dcassandra.logdir=" + n.path("logs"),
		"-Dcassandra.jmx.local.port=" + strconv.Itoa(n.JMXPort),
		"-Dcassandra-foreground=yes",
		"-Dcassandra.ring_delay_ms=" + strconv.Itoa(n.cluster.ringDelay()),
		"-Dcassandra.skip_wait_for_gossip_to_settle=0",
		"-Dcassandra.superuser_setup_delay_ms=0",
		"-Dcassandra.shutdown_announce_in_ms=0",
	}
	if n.cluster.options.JMX {
		o = append(o, n.jmxOptions()...)
	}
	if n.cluster.platform.server.old {
		return o
	}
	return append(o, "-Djava.security.manager=allow") // a Java 11 would look for a class of that name
}

// quote makes words of a shell command.
func quote(words ...string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(quoted, " ")
}
