package ring

import (
	"fmt"
	"slices"
)

// Lack is a keyspace of which the nodes at hand have less than was asked for.
type Lack struct {
	Keyspace string  `json:"keyspace"`
	Level    Level   `json:"level"`            // what every range reaches
	Ranges   []Range `json:"ranges,omitempty"` // below the level asked for, as Coverage lists them
	// Missing are the host ids, in their order, of the replicas of those ranges
	// that are not at hand: with all of them nothing would lack.
	Missing []string `json:"missing,omitempty"`
	Unknown string   `json:"unknown,omitempty"` // why it cannot be told
}

// Lacking tells what would lack a level if only the nodes whose host ids are held
// were restored, in the order of the keyspaces: of those named, or of all where
// none is. Keyspaces of LocalStrategy lack nothing, see [Restorable]. It is an
// error if the ring has not a keyspace that is named.
func (t *Topology) Lacking(held map[string]bool, level Level, keyspaces []string) ([]Lack, error) {
	for _, keyspace := range keyspaces {
		if _, known := t.replication[keyspace]; !known {
			return nil, fmt.Errorf("the ring has no keyspace %q", keyspace)
		}
	}
	var lacks []Lack
	missing := make(map[string][]string)
	for _, c := range t.Coverage(held) {
		if c.Local || c.Level >= level || len(keyspaces) > 0 && !slices.Contains(keyspaces, c.Keyspace) {
			continue
		}
		l := Lack{Keyspace: c.Keyspace, Level: c.Level, Ranges: c.Uncovered[level], Unknown: c.Unknown}
		if r, err := parseReplication(t.replication[c.Keyspace]); err == nil && c.Unknown == "" {
			if _, done := missing[r.key()]; !done {
				missing[r.key()] = t.missing(r, held, level)
			}
			l.Missing = missing[r.key()]
		}
		lacks = append(lacks, l)
	}
	return lacks, nil
}

// missing are the replicas, not held, of the ranges below a level.
func (t *Topology) missing(r Replication, held map[string]bool, level Level) []string {
	p, err := t.Place(r)
	if err != nil {
		return nil // Coverage has said so
	}
	has, lacks := make([]bool, len(t.owners)), make([]bool, len(t.owners))
	for o, m := range t.owners {
		has[o] = held[m.HostID]
	}
	for i := range t.tokens {
		if p.level(i, has) >= level {
			continue
		}
		for _, o := range p.of(i) {
			lacks[o] = lacks[o] || !has[o]
		}
	}
	var ids []string
	for o, m := range t.owners {
		if lacks[o] {
			ids = append(ids, m.HostID)
		}
	}
	return ids
}
