package ring

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Level is how many replicas of every range are at hand.
type Level int

// The levels, each with all that the ones before it have.
const (
	None   Level = iota // of some range no replica
	One                 // of every range one or more
	Quorum              // of every range as many as Cassandra's QUORUM asks for
	All                 // of every range all
)

// String is the level as users write it: NONE, ONE, QUORUM or ALL.
func (l Level) String() string {
	switch l {
	case None:
		return "NONE"
	case One:
		return "ONE"
	case Quorum:
		return "QUORUM"
	case All:
		return "ALL"
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Upper and lower case are one.
func (l *Level) UnmarshalText(text []byte) error {
	for level := None; level <= All; level++ {
		if strings.EqualFold(level.String(), string(text)) {
			*l = level
			return nil
		}
	}
	return fmt.Errorf("level %.20q is not one, quorum or all", text)
}

// Coverage says how much of a keyspace some nodes hold together.
type Coverage struct {
	Keyspace string `json:"keyspace"`
	// Level is the highest that every range reaches.
	Level Level `json:"level"`
	// Replicas is the number of replicas of each range. Where it is 0 no data
	// centre of the keyspace has a node, and the level is NONE.
	Replicas int `json:"replicas"`
	// Ranges counts the ring's ranges by how many of their replicas are at hand.
	Ranges Tally `json:"ranges"`
	// Uncovered lists for each level above Level the ranges below it, in the order
	// of their starts and joined where they touch. Keyspaces may share a list.
	Uncovered map[Level][]Range `json:"uncovered,omitempty"`
	// Local marks a keyspace of LocalStrategy: each node is the only one to hold
	// its own rows, so the level is ALL or NONE and no range tells what is missing.
	Local bool `json:"local,omitempty"`
	// Missing are, for a local keyspace, the NORMAL members that are not at hand.
	Missing []string `json:"missing,omitempty"`
	// Unknown says why the coverage cannot be told; the level is NONE then.
	Unknown string `json:"unknown,omitempty"`
}

// Tally counts ranges by the highest level each reaches.
type Tally struct {
	None   int `json:"none"`
	One    int `json:"one"` // but no quorum
	Quorum int `json:"quorum"`
	All    int `json:"all"`
}

// Restorable is the level that all keyspaces reach. Local ones do not count: a
// node's own rows are of no use to another one, and a cluster does without them.
func Restorable(keyspaces []Coverage) Level {
	level := All
	for _, c := range keyspaces {
		if !c.Local {
			level = min(level, c.Level)
		}
	}
	return level
}

// Coverage tells for each keyspace of the ring, in the order of their names, what
// the nodes whose host ids are held cover. Keyspaces with the same replication
// are worked out once.
func (t *Topology) Coverage(held map[string]bool) []Coverage {
	done := make(map[string]Coverage)
	all := make([]Coverage, 0, len(t.replication))
	for _, keyspace := range slices.Sorted(maps.Keys(t.replication)) {
		r, err := parseReplication(t.replication[keyspace])
		if err != nil {
			all = append(all, Coverage{Keyspace: keyspace, Unknown: err.Error()})
			continue
		}
		c, ok := done[r.key()]
		if !ok {
			c = t.cover(r, held)
			done[r.key()] = c
		}
		c.Keyspace = keyspace
		all = append(all, c)
	}
	return all
}

func (t *Topology) cover(r Replication, held map[string]bool) Coverage {
	if r.Strategy == LocalStrategy {
		return t.local(held)
	}
	p, err := t.Place(r)
	if err != nil {
		return Coverage{Unknown: err.Error()}
	}
	return p.Coverage(held)
}

func (t *Topology) local(held map[string]bool) Coverage {
	c := Coverage{Local: true, Level: All, Replicas: 1}
	for _, id := range t.normal {
		if !held[id] {
			c.Level, c.Missing = None, append(c.Missing, id)
		}
	}
	return c
}

// Coverage tells what the nodes whose host ids are held cover. Its keyspace has
// no name.
func (p *Placement) Coverage(held map[string]bool) Coverage {
	has := make([]bool, len(p.topology.owners))
	for o, m := range p.topology.owners {
		has[o] = held[m.HostID]
	}
	c := Coverage{Level: All, Replicas: p.each}
	below := map[Level]*stretches{One: {}, Quorum: {}, All: {}}
	for i := range p.topology.tokens {
		level := p.level(i, has)
		c.Level = min(c.Level, level)
		c.Ranges.count(level)
		for l := level + 1; l <= All; l++ {
			below[l].add(i)
		}
	}
	for l, s := range below {
		if len(s.all) == 0 {
			continue
		}
		if c.Uncovered == nil {
			c.Uncovered = make(map[Level][]Range)
		}
		c.Uncovered[l] = s.ranges(p.topology)
	}
	return c
}

// level is what one range reaches. A quorum of factors that the ring has not the
// nodes for is all of its replicas.
func (p *Placement) level(i int, has []bool) Level {
	n := 0
	for _, o := range p.of(i) {
		if has[o] {
			n++
		}
	}
	switch {
	case n == 0:
		return None
	case n == p.each:
		return All
	case int64(n) >= p.quorum:
		return Quorum
	}
	return One
}

func (t *Tally) count(l Level) {
	switch l {
	case None:
		t.None++
	case One:
		t.One++
	case Quorum:
		t.Quorum++
	case All:
		t.All++
	}
}

// stretches are runs of ranges that follow each other: first and last index.
type stretches struct{ all [][2]int }

// add appends range i, which lies behind all others.
func (s *stretches) add(i int) {
	if n := len(s.all); n > 0 && s.all[n-1][1] == i-1 {
		s.all[n-1][1] = i
		return
	}
	s.all = append(s.all, [2]int{i, i})
}

// ranges joins the runs to ranges. A run that ends with the ring's last range and
// one that begins with its first are one, which goes over the end of the ring.
func (s *stretches) ranges(t *Topology) []Range {
	runs := s.all
	if n := len(runs); n > 1 && runs[0][0] == 0 && runs[n-1][1] == t.Len()-1 {
		runs[n-1][1] = runs[0][1]
		runs = runs[1:]
	} else if runs[0][0] == 0 {
		runs = append(runs[1:], runs[0]) // range 0 starts at the last token
	}
	ranges := make([]Range, len(runs))
	for i, run := range runs {
		ranges[i] = Range{t.Range(run[0]).Start, t.Range(run[1]).End}
	}
	return ranges
}
