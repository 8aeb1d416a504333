package cassandratest

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is the release that is run where [Options] names none.
const Version = "5.0.6"

// nodetoolOf3 is the release whose nodetool speaks to a 3.11: that one's own
// asks for classes that Java has hidden since 9.
const nodetoolOf3 = "4.0.19"

// number is the beginning of a release's name, which decides what it understands.
type number struct{ major, minor int }

// parseNumber reads "5.0.6" as 5.0.
func parseNumber(version string) (number, error) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return number{}, fmt.Errorf("release %q is not of the form 5.0.6", version)
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return number{}, fmt.Errorf("release %q: %w", version, err)
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return number{}, fmt.Errorf("release %q: %w", version, err)
	}
	return number{major, minor}, nil
}

// since tells whether the release is as new as that or newer.
func (n number) since(major, minor int) bool {
	return n.major > major || n.major == major && n.minor >= minor
}

// program is a set of jars and the Java that runs them.
type program struct {
	jars string // directory
	java string // path of the binary
	old  bool   // Java 11, not 17
}

// platform is what it takes to run one release.
type platform struct {
	number   number
	server   program // Cassandra and its tools for SSTables
	nodetool program
}

// newPlatform fetches what a release needs where it is not there. Releases up to
// 4.1 run on Java 11. That one is a runtime without the modules of a JMX client,
// so that nodetool runs on Java 17 everywhere.
func newPlatform(version string) (platform, error) {
	n, err := parseNumber(version)
	if err != nil {
		return platform{}, err
	}
	p := platform{number: n}
	if p.server.java, err = java(); err != nil {
		return platform{}, err
	}
	if p.server.jars, err = Jars(version); err != nil {
		return platform{}, err
	}
	p.nodetool = p.server
	if !n.since(4, 0) {
		if p.nodetool.jars, err = Jars(nodetoolOf3); err != nil {
			return platform{}, err
		}
	}
	if n.since(5, 0) {
		return p, nil
	}
	p.server.old = true
	p.server.java, err = java11()
	return p, err
}

// yaml is the part of cassandra.yaml whose names differ: units stand in the
// names before 4.1 and in the values since.
func (n number) yaml() string {
	if n.since(4, 1) {
		return `commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 128MiB
memtable_heap_space: 48MiB
memtable_offheap_space: 48MiB
key_cache_size: 0MiB
materialized_views_enabled: true
`
	}
	lines := `commitlog_sync_period_in_ms: 10000
commitlog_segment_size_in_mb: 8
commitlog_total_space_in_mb: 128
memtable_heap_space_in_mb: 48
memtable_offheap_space_in_mb: 48
key_cache_size_in_mb: 0
enable_materialized_views: true
`
	if !n.since(4, 0) {
		// Mapped files of a 3.11 need classes that Java has hidden since 9; and it
		// speaks CQL only when told.
		lines += "start_native_transport: true\ndisk_access_mode: standard\nstart_rpc: false\n"
	}
	return lines
}
