package fleet

import (
	"fmt"
	"slices"
	"strings"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
)

// Filter chooses nodes; an empty list lets all pass.
type Filter struct {
	DCs   []string
	Racks []string // NAME, or DC:NAME where data centres share names of racks
	Nodes []string // addresses or host ids
}

func (f Filter) passes(m ring.Member) bool {
	return passes(f.DCs, m.DC) && passes(f.Racks, m.Rack, m.DC+":"+m.Rack) && passes(f.Nodes, m.Address, m.HostID)
}

func passes(list []string, names ...string) bool {
	return len(list) == 0 || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(list, name) })
}

// unknown returns the first entry that means no member: a name that is misspelt must not leave nodes out.
func (f Filter) unknown(members []ring.Member) error {
	for _, part := range []struct {
		what string
		list []string
		of   func(name string) Filter
	}{
		{"data centre", f.DCs, func(n string) Filter { return Filter{DCs: []string{n}} }},
		{"rack", f.Racks, func(n string) Filter { return Filter{Racks: []string{n}} }},
		{"node", f.Nodes, func(n string) Filter { return Filter{Nodes: []string{n}} }},
	} {
		for _, name := range part.list {
			if !slices.ContainsFunc(members, part.of(name).passes) {
				return &UnknownError{What: part.what, Name: name}
			}
		}
	}
	return nil
}

// UnknownError says that a filter names what the ring does not have.
type UnknownError struct{ What, Name string }

// Error implements error.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("the ring has no NORMAL node of %s %s", e.What, e.Name)
}

// choose returns the members that a backup needs and those of them that the filter lets pass.
func choose(r ring.Ring, f Filter) (normal, chosen []ring.Member, err error) {
	if r.Absent != "" {
		return nil, nil, fmt.Errorf("the ring is not known: %s", r.Absent)
	}
	normal = r.Normal()
	if err := f.unknown(normal); err != nil {
		return nil, nil, err
	}
	for _, m := range normal {
		if f.passes(m) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, nil, fmt.Errorf("no NORMAL node of the ring's %d passes all filters", len(r.Members))
	}
	return normal, chosen, nil
}

func host(m ring.Member) cluster.Host {
	return cluster.Host{Address: m.Address, DC: m.DC, Rack: m.Rack}
}

func ids(members []ring.Member) map[string]bool {
	held := make(map[string]bool, len(members))
	for _, m := range members {
		held[m.HostID] = true
	}
	return held
}

// LacksError says that too few nodes could take part for the level that was asked for.
type LacksError struct {
	Level   ring.Level
	Lacks   []ring.Lack // of keyspaces, in their order
	Missing []string    // addresses of the nodes that are chosen and could not
}

// maxNamed is how many names stand in a message.
const maxNamed = 5

// Error names some keyspaces and nodes.
func (e *LacksError) Error() string {
	var keyspaces []string
	for _, l := range e.Lacks {
		s := l.Keyspace + " only at " + l.Level.String()
		if l.Unknown != "" {
			s = l.Keyspace + " of which it cannot be told: " + l.Unknown
		}
		keyspaces = append(keyspaces, s)
	}
	return fmt.Sprintf("without %s the backup would not have every range at %s: %s", few(e.Missing), e.Level, few(keyspaces))
}

func few(names []string) string {
	s := strings.Join(names[:min(maxNamed, len(names))], ", ")
	if more := len(names) - maxNamed; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// suffices proves that the nodes held reach a level in every keyspace, as far as all that were chosen would: what the user's
// filter leaves out does not count against them.
func suffices(r ring.Ring, chosen []ring.Member, held map[string]bool, level ring.Level) error {
	short := &LacksError{Level: level}
	for _, m := range chosen {
		if !held[m.HostID] {
			short.Missing = append(short.Missing, m.Address)
		}
	}
	if len(short.Missing) == 0 || level == ring.None {
		return nil
	}
	t, err := r.Topology()
	if err != nil {
		return err
	}
	best := make(map[string]ring.Level)
	for _, c := range t.Coverage(ids(chosen)) {
		best[c.Keyspace] = c.Level
	}
	for _, c := range t.Coverage(held) {
		if !c.Local && (c.Unknown != "" || c.Level < min(level, best[c.Keyspace])) {
			short.Lacks = append(short.Lacks, ring.Lack{Keyspace: c.Keyspace, Level: c.Level, Unknown: c.Unknown})
		}
	}
	if len(short.Lacks) > 0 {
		return short
	}
	return nil
}

// restorable is the level that all keyspaces reach with the nodes held.
func restorable(r ring.Ring, held map[string]bool) (ring.Level, error) {
	t, err := r.Topology()
	if err != nil {
		return ring.None, err
	}
	return ring.Restorable(t.Coverage(held)), nil
}
