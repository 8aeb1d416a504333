package ring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxTold bounds the names that the text of an error lists; its value has all.
const maxTold = 10

// Assignment is one node's part of a restore: the target takes the place of the
// source, with its rows and its tokens.
type Assignment struct {
	Source Member `json:"source"` // of the backup's ring
	Target string `json:"target"` // address or host name, as it was given
	// Member is the target in its own ring as it is before the restore. It has no
	// host id where that ring was not given.
	Member Member `json:"member"`
	Seed   bool   `json:"seed"`           // starts before those that are none
	Line   int    `json:"line,omitempty"` // of the host list, where one says so
}

// Mapping says for members of the backup's ring which node takes their place. No
// member and no target stands in it twice.
type Mapping struct {
	Assignments []Assignment `json:"assignments"` // in the order of the sources' host ids
	Renames     Renames      `json:"-"`
	// InPlace says that the cluster lives on: members without an assignment keep
	// the rows they have. Otherwise nobody has theirs after the restore.
	InPlace bool `json:"in_place"`
}

// HostOptions are what [MapHosts] may be told beside the list.
type HostOptions struct {
	// Subset allows that members of the backup's ring are not in the list. Their
	// rows are missing then, where no replica has them.
	Subset bool
	// Names are those of the members of the backup's ring, its node names.
	Names Names
	// Target are the members of the target's ring, and TargetNames their names
	// beside host id and address. Without members the targets are not looked up.
	Target      []Member
	TargetNames Names
	Renames     Renames
}

// UnmappedError says that members of the backup's ring have no target.
type UnmappedError struct{ Missing []Member }

// Error implements error.
func (e *UnmappedError) Error() string {
	names := make([]string, len(e.Missing))
	for i, m := range e.Missing {
		names[i] = m.title()
	}
	return fmt.Sprintf("%d nodes of the backup have no target: %s", len(names), some(names, ", "))
}

// title names a member for people.
func (m Member) title() string {
	if m.Address == "" {
		return m.HostID
	}
	return m.Address + " (" + m.HostID + ")"
}

// some joins the first names and counts the others.
func some(names []string, between string) string {
	if n := len(names) - maxTold; n > 0 {
		return strings.Join(names[:maxTold], between) + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, between)
}

// MapHosts maps by a host list. Sources are members that own ranges, by address,
// host id or one of the names in the options. A name that nobody or more than one
// has, or a node that has two lines, is a *ListError; a member without a line is
// an *UnmappedError unless a subset is asked for. Whether rows end where Cassandra
// looks for them is for [ReplicasKept] to prove.
func MapHosts(source *Topology, list HostList, o HostOptions) (Mapping, error) {
	m := Mapping{Renames: o.Renames}
	if err := o.Renames.check(source.owners); err != nil {
		return m, err
	}
	sources := lines{newDirectory(source.owners, o.Names), make(map[int]int)}
	targets := lines{newDirectory(o.Target, o.TargetNames), make(map[int]int)}
	for _, pair := range list {
		a := Assignment{Target: pair.Target, Seed: pair.Seed, Line: pair.Line}
		i, err := sources.take(pair.Source, pair.Line)
		if err != nil {
			return m, &ListError{pair.Line, fmt.Errorf("source %s %w of the backup's ring", pair.Source, err)}
		}
		a.Source = source.owners[i]
		if len(o.Target) > 0 {
			if i, err = targets.take(pair.Target, pair.Line); err != nil {
				return m, &ListError{pair.Line, fmt.Errorf("target %s %w of the target's ring", pair.Target, err)}
			}
			a.Member = o.Target[i]
		}
		m.Assignments = append(m.Assignments, a)
	}
	m.sort()
	if missing := sources.others(source.owners); len(missing) > 0 && !o.Subset {
		return m, &UnmappedError{missing}
	}
	return m, nil
}

// lines finds members and notes on which line each was named.
type lines struct {
	directory
	line map[int]int
}

func (l lines) take(name string, line int) (int, error) {
	found := l.find(name)
	switch len(found) {
	case 0:
		return 0, errors.New("is no member")
	case 1:
	default:
		return 0, fmt.Errorf("stands for %d members", len(found))
	}
	if before, twice := l.line[found[0]]; twice {
		return 0, fmt.Errorf("is named on line %d too, as the same member", before)
	}
	l.line[found[0]] = line
	return found[0], nil
}

func (l lines) others(members []Member) []Member {
	var others []Member
	for i, m := range members {
		if _, named := l.line[i]; !named {
			others = append(others, m)
		}
	}
	return others
}

func (m Mapping) sort() {
	slices.SortFunc(m.Assignments, func(a, b Assignment) int { return cmp.Compare(a.Source.HostID, b.Source.HostID) })
}

// Batches are the assignments in the order of their work, not more than n at a
// time and at least one: first the seeds, since the others need one to start from,
// and in no batch with them. Each assignment carries its own source, wherever it
// stands.
func (m Mapping) Batches(n int) [][]Assignment {
	var seeds, others []Assignment
	for _, a := range m.Assignments {
		if a.Seed {
			seeds = append(seeds, a)
		} else {
			others = append(others, a)
		}
	}
	n = max(n, 1)
	return slices.AppendSeq(slices.Collect(slices.Chunk(seeds, n)), slices.Chunk(others, n))
}

// After is the target's ring as it will be: each target with its source's tokens,
// in the data centre and rack where it stands; members that are no target as they
// are. The replication is the source's with the names of the target; a caller who
// keeps the target's schema puts its own there. A target that has never started
// has no tokens and needs none, but a host id: any that is its own, such as its
// address.
func (m Mapping) After(source *Topology, target Ring) (Ring, error) {
	after := target
	if name := shortClass(target.Partitioner); name != source.partitioner.name {
		return after, fmt.Errorf("the target's partitioner %q cannot hold rows of %s", target.Partitioner, source.partitioner.name)
	}
	after.Members = slices.Clone(target.Members)
	at := newDirectory(target.Members, nil)
	for _, a := range m.Assignments {
		found := at.find(a.Member.HostID)
		if a.Member.HostID == "" || len(found) != 1 {
			return after, fmt.Errorf("target %s is no member of the target's ring", a.Target)
		}
		member := &after.Members[found[0]]
		member.State, member.Tokens = Normal, slices.Clone(a.Source.Tokens)
	}
	after.Replication = make(map[string]map[string]string, len(source.replication))
	for keyspace, options := range source.replication {
		renamed, err := RenameReplication(options, m.Renames)
		if err != nil {
			return after, fmt.Errorf("keyspace %s: %w", keyspace, err)
		}
		after.Replication[keyspace] = renamed
	}
	return after, nil
}
