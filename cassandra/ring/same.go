package ring

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Kinds of changes between two looks at one ring.
const (
	Joined         = "joined"  // owns ranges and did not
	Joins          = "joins"   // is about to own ranges
	Left           = "left"    // owned ranges and does not
	TokensChanged  = "tokens"  // owns other ranges than it did
	StateChanged   = "state"   // as one that leaves
	DCChanged      = "dc"      // stands in another data centre
	RackChanged    = "rack"    // stands in another rack
	AddressChanged = "address" // goes by another address
)

// Change is what happened to one member since a backup.
type Change struct {
	Kind    string `json:"kind"` // one of the kinds above
	HostID  string `json:"host_id"`
	Address string `json:"address"` // of today, or the last known
	// Was and Is tell what has changed: a name, a state, or how many tokens.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
}

// String says it in words.
func (c Change) String() string {
	who := "node " + Member{HostID: c.HostID, Address: c.Address}.title()
	switch c.Kind {
	case Joined:
		return who + " has joined"
	case Joins:
		return who + " is joining"
	case Left:
		return who + " has left"
	}
	return fmt.Sprintf("%s has changed its %s from %s to %s", who, c.Kind, c.Was, c.Is)
}

// ChangedError says that a ring is not any more what it was at the backup.
type ChangedError struct{ Changes []Change }

// Error implements error.
func (e *ChangedError) Error() string {
	texts := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		texts[i] = c.String()
	}
	return "the ring has changed since the backup: " + some(texts, "; ")
}

// SameTopology tells what has changed in a ring since the backup, in the order of
// the host ids. There is nothing where each member owns the same ranges in the
// same place under the same address, in the same state.
func SameTopology(backup, now *Topology) []Change {
	var changes []Change
	was, is := byHost(backup.owners), byHost(now.owners)
	joining := byHost(now.joining)
	for _, m := range now.joining {
		changes = append(changes, Change{Kind: Joins, HostID: m.HostID, Address: m.Address})
	}
	for _, m := range now.owners {
		if _, known := was[hostKey(m)]; !known {
			changes = append(changes, Change{Kind: Joined, HostID: m.HostID, Address: m.Address})
		}
	}
	for _, m := range backup.owners {
		if after, here := is[hostKey(m)]; here {
			changes = append(changes, backup.partitioner.changes(m, after)...)
		} else if _, again := joining[hostKey(m)]; !again {
			changes = append(changes, Change{Kind: Left, HostID: m.HostID, Address: m.Address})
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.HostID, b.HostID) })
	return changes
}

// hostKey is the host id in lower case: two looks may have written it both ways.
func hostKey(m Member) string { return strings.ToLower(m.HostID) }

func byHost(members []Member) map[string]Member {
	by := make(map[string]Member, len(members))
	for _, m := range members {
		by[hostKey(m)] = m
	}
	return by
}

// changes compares one member at two times.
func (p partitioner) changes(was, is Member) []Change {
	var changes []Change
	note := func(kind, before, after string) {
		changes = append(changes, Change{kind, is.HostID, is.Address, before, after})
	}
	if p.tokenKey(was.Tokens) != p.tokenKey(is.Tokens) {
		before, after := p.countTokens(was.Tokens, is.Tokens)
		note(TokensChanged, before, after)
	}
	if was.State != is.State {
		note(StateChanged, was.State, is.State)
	}
	if was.DC != is.DC {
		note(DCChanged, was.DC, is.DC)
	}
	if was.Rack != is.Rack {
		note(RackChanged, was.Rack, is.Rack)
	}
	if nameKey(was.Address) != nameKey(is.Address) {
		note(AddressChanged, was.Address, is.Address)
	}
	return changes
}

// countTokens tells the tokens themselves where each side has one, and else how
// many there are: a node may have hundreds.
func (p partitioner) countTokens(was, is []string) (before, after string) {
	if len(was) == 1 && len(is) == 1 {
		return was[0], is[0]
	}
	kept := make(map[string]bool, len(was))
	for _, text := range was {
		kept[p.tokenKey([]string{text})] = true
	}
	others := 0
	for _, text := range is {
		if !kept[p.tokenKey([]string{text})] {
			others++
		}
	}
	return fmt.Sprint(len(was)), fmt.Sprintf("%d, %d of them others", len(is), others)
}

// MapInPlace maps members of the backup's ring to themselves: all, or those whose
// host ids or addresses are chosen. It is proven that each of them owns the very ranges that it
// owned at the backup, and is NORMAL; and for all, that nobody joined or left.
// What is not so is a *ChangedError or a *StateError. Places and addresses may have
// changed: whether rows are still looked for where they were is for [ReplicasKept]
// to prove.
func MapInPlace(backup, now *Topology, chosen []string) (Mapping, error) {
	m := Mapping{InPlace: true}
	if backup.partitioner.name != now.partitioner.name {
		return m, fmt.Errorf("the ring's partitioner is %s, not %s as at the backup", now.partitioner.name, backup.partitioner.name)
	}
	wanted, err := backup.choose(chosen)
	if err != nil {
		return m, err
	}
	broken := slices.DeleteFunc(SameTopology(backup, now), func(c Change) bool {
		return !c.moves() || wanted != nil && !wanted[strings.ToLower(c.HostID)]
	})
	if len(broken) > 0 {
		return m, &ChangedError{broken}
	}
	is := byHost(now.owners)
	for _, was := range backup.owners {
		if wanted != nil && !wanted[hostKey(was)] {
			continue
		}
		member := is[hostKey(was)]
		if member.State != Normal {
			return m, &StateError{member}
		}
		m.Assignments = append(m.Assignments, Assignment{Source: was, Target: cmp.Or(member.Address, member.HostID), Member: member})
	}
	return m, nil
}

// choose are the keys of members by host id or address; nil for nobody.
func (t *Topology) choose(ids []string) (map[string]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	known := newDirectory(t.owners, nil)
	chosen := make(map[string]bool)
	for _, id := range ids {
		found := known.find(id)
		if len(found) != 1 {
			return nil, fmt.Errorf("%s is no member of the backup's ring", id)
		}
		chosen[hostKey(t.owners[found[0]])] = true
	}
	return chosen, nil
}

// moves tells whether a member owns other ranges than it did, or will.
func (c Change) moves() bool {
	return c.Kind == Joined || c.Kind == Joins || c.Kind == Left || c.Kind == TokensChanged
}

// StateError says that a node to be restored is not NORMAL: its ranges are about
// to be others'.
type StateError struct{ Member Member }

// Error implements error.
func (e *StateError) Error() string {
	return fmt.Sprintf("node %s is %s, not %s", e.Member.title(), e.Member.State, Normal)
}
