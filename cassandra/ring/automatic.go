package ring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// AutoOptions are what [MapAuto] may be told.
type AutoOptions struct {
	Renames Renames
	// IgnoreRacks maps within a data centre whatever the racks, as far as they can
	// be the same. It fits where no replication looks at racks.
	IgnoreRacks bool
}

// RackCount is how many nodes stand in a rack.
type RackCount struct {
	DC     string `json:"dc"`             // both names are those at the target
	Rack   string `json:"rack,omitempty"` // empty for a whole data centre
	Source int    `json:"source"`
	Target int    `json:"target"`
}

// String says it in words.
func (c RackCount) String() string {
	what := "rack " + Rack{c.DC, c.Rack}.String()
	if c.Rack == "" {
		what = "data centre " + c.DC
	}
	return fmt.Sprintf("%s has %d nodes in the backup and %d at the target", what, c.Source, c.Target)
}

// ShapeError says that the target's ring has another shape than the backup's.
type ShapeError struct{ Racks []RackCount } // those that differ, in the order of their names

// Error implements error.
func (e *ShapeError) Error() string {
	texts := make([]string, len(e.Racks))
	for i, c := range e.Racks {
		texts[i] = c.String()
	}
	return "the target has another shape: " + some(texts, "; ")
}

// MapAuto maps each member that owns ranges to a node in the rack of the same
// name, after renames. Of the nodes there it takes the one with the same host id,
// else the same address, else the same tokens, else the next in the order of the
// host ids. Which one does not matter to the rows: racks and tokens decide where
// they are looked for. Where a rack has not as many nodes at the target the error
// is a *ShapeError, and where a node there is not NORMAL a *StateError.
func MapAuto(source *Topology, target Ring, o AutoOptions) (Mapping, error) {
	m := Mapping{Renames: o.Renames}
	if err := cmp.Or(o.Renames.check(source.owners), checkTargets(source, target)); err != nil {
		return m, err
	}
	from, to := make(map[Rack][]Member), make(map[Rack][]Member)
	for _, member := range source.owners {
		at := o.at(o.Renames.place(member))
		from[at] = append(from[at], member)
	}
	members := slices.SortedFunc(slices.Values(target.Members), func(a, b Member) int { return cmp.Compare(a.HostID, b.HostID) })
	for _, member := range members {
		at := o.at(Rack{member.DC, member.Rack})
		to[at] = append(to[at], member)
	}
	if err := sameShape(from, to); err != nil {
		return m, err
	}
	for at, sources := range from {
		m.Assignments = append(m.Assignments, o.pair(source.partitioner, sources, to[at])...)
	}
	m.sort()
	return m, nil
}

// checkTargets refuses a ring that does not stand still.
func checkTargets(source *Topology, target Ring) error {
	if target.Absent != "" {
		return fmt.Errorf("the members of the target's ring are not known: %s", target.Absent)
	}
	if len(target.Members) > maxMembers {
		return fmt.Errorf("the target's ring has %d members, more than %d", len(target.Members), maxMembers)
	}
	if name := shortClass(target.Partitioner); name != source.partitioner.name {
		return fmt.Errorf("the target's partitioner %q cannot hold rows of %s", target.Partitioner, source.partitioner.name)
	}
	for _, m := range target.Members {
		if m.State != Normal {
			return &StateError{m}
		}
	}
	return nil
}

func (o AutoOptions) at(r Rack) Rack {
	if o.IgnoreRacks {
		r.Rack = ""
	}
	return r
}

func sameShape(from, to map[Rack][]Member) error {
	racks := maps.Clone(from)
	maps.Copy(racks, to)
	var differ []RackCount
	for _, at := range slices.SortedFunc(maps.Keys(racks), Rack.compare) {
		if len(from[at]) != len(to[at]) {
			differ = append(differ, RackCount{at.DC, at.Rack, len(from[at]), len(to[at])})
		}
	}
	if len(differ) > 0 {
		return &ShapeError{differ}
	}
	return nil
}

// pair assigns to each source one of as many targets: those that agree in the
// first of these things before those that agree in the next, and the rest as they
// come.
func (o AutoOptions) pair(p partitioner, sources, targets []Member) []Assignment {
	rack := func(m Member) string { return m.Rack }
	renamed := func(m Member) string { return o.Renames.place(m).Rack }
	host := func(m Member) string { return nameKey(m.HostID) }
	address := func(m Member) string { return nameKey(m.Address) }
	tokens := func(m Member) string { return p.tokenKey(m.Tokens) }
	all := func(Member) string { return "all" }

	w := waiting{sources: sources, targets: targets}
	w.match(host, host)
	w.match(address, address)
	w.match(tokens, tokens)
	w.match(renamed, rack)
	w.match(all, all)
	return w.done
}

// waiting are members without their other half, and the pairs made so far.
type waiting struct {
	sources, targets []Member
	done             []Assignment
}

// match pairs those with the same key. An empty key is like no other.
func (w *waiting) match(source, target func(Member) string) {
	free := make(map[string][]int)
	for i, t := range w.targets {
		if key := target(t); key != "" {
			free[key] = append(free[key], i)
		}
	}
	var left []Member
	taken := make([]bool, len(w.targets))
	for _, s := range w.sources {
		fits := free[source(s)]
		if len(fits) == 0 {
			left = append(left, s)
			continue
		}
		t := w.targets[fits[0]]
		free[source(s)], taken[fits[0]] = fits[1:], true
		w.done = append(w.done, Assignment{Source: s, Target: cmp.Or(t.Address, t.HostID), Member: t})
	}
	w.sources = left
	w.leave(taken)
}

func (w *waiting) leave(taken []bool) {
	var left []Member
	for i, t := range w.targets {
		if !taken[i] {
			left = append(left, t)
		}
	}
	w.targets = left
}

// tokenKey is the same for the same set of tokens; empty where there are none or
// one is no token.
func (p partitioner) tokenKey(texts []string) string {
	keys := make([]string, len(texts))
	for i, text := range texts {
		t, err := p.parse(text)
		if err != nil {
			return ""
		}
		keys[i] = t.text
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}
