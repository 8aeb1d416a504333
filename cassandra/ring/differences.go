package ring

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxDifferences bounds what is told of ranges one by one. All are counted.
const maxDifferences = 20

// Difference is a range whose replicas after the restore are not those that get
// its rows.
type Difference struct {
	Keyspaces []string `json:"keyspaces"` // all with that replication
	Range     Range    `json:"range"`
	// Want are the nodes that get the rows, Got those that Cassandra will ask for
	// them, by the targets' names and in the order of the ring.
	Want []string `json:"want"`
	Got  []string `json:"got"`
}

// KeyspaceDifference counts the ranges of one keyspace.
type KeyspaceDifference struct {
	Keyspace string `json:"keyspace"`
	Ranges   int    `json:"ranges"` // that differ
	Of       int    `json:"of"`     // all of the ring
}

// Shortage is a replication that the target has not the nodes for, while the
// backup's ring had more of them.
type Shortage struct {
	Keyspace string `json:"keyspace"`
	DC       string `json:"dc,omitempty"` // at the target; empty for the whole ring
	Factor   int    `json:"factor"`
	Nodes    int    `json:"nodes"`
	Was      int    `json:"was"` // nodes of the backup's ring
}

// Untold is a keyspace of which it cannot be told where its rows lie.
type Untold struct {
	Keyspace string `json:"keyspace"`
	Reason   string `json:"reason"`
}

// Differences are what a restore would do to the replicas of a ring's ranges. All
// lists but First are in the order of the keyspaces.
type Differences struct {
	Keyspaces []KeyspaceDifference `json:"keyspaces,omitempty"` // that differ
	First     []Difference         `json:"first,omitempty"`     // not more than 20
	Short     []Shortage           `json:"short,omitempty"`
	Untold    []Untold             `json:"untold,omitempty"`
}

// None tells whether every range ends on exactly its replicas.
func (d Differences) None() bool {
	return len(d.Keyspaces) == 0 && len(d.Short) == 0 && len(d.Untold) == 0
}

func (d *Differences) sort() {
	slices.SortFunc(d.Keyspaces, func(a, b KeyspaceDifference) int { return cmp.Compare(a.Keyspace, b.Keyspace) })
	slices.SortStableFunc(d.Short, func(a, b Shortage) int { return cmp.Compare(a.Keyspace, b.Keyspace) })
	slices.SortFunc(d.Untold, func(a, b Untold) int { return cmp.Compare(a.Keyspace, b.Keyspace) })
}

// String tells the differences for people, line by line, the counts first. It is
// empty where there are none.
func (d Differences) String() string {
	var b strings.Builder
	for _, k := range d.Keyspaces {
		fmt.Fprintf(&b, "keyspace %s: the replicas of %d of %d ranges would differ\n", k.Keyspace, k.Ranges, k.Of)
	}
	for _, s := range d.Short {
		fmt.Fprintln(&b, s)
	}
	for _, u := range d.Untold {
		fmt.Fprintf(&b, "keyspace %s: where its rows lie cannot be told: %s\n", u.Keyspace, u.Reason)
	}
	for _, f := range d.First {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// String says it in words.
func (s Shortage) String() string {
	where := "the target"
	if s.DC != "" {
		where = "data centre " + s.DC
	}
	return fmt.Sprintf("keyspace %s: %d replicas do not fit %s: %d nodes, at the backup %d", s.Keyspace, s.Factor, where, s.Nodes, s.Was)
}

// String says it in words.
func (d Difference) String() string {
	return fmt.Sprintf("%s of %s: rows would be on %s, looked for on %s", d.Range, some(d.Keyspaces, ", "), nodes(d.Want), nodes(d.Got))
}

func nodes(names []string) string {
	if len(names) == 0 {
		return "no node"
	}
	return some(names, ", ")
}
