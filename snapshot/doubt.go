package snapshot

import (
	"fmt"
	"slices"
	"time"
)

// maxSkew is how far a node's clock and the store's may be apart before nobody knows how old a backup is: more than any
// time zone that somebody forgot, less than the least period that a policy is made of for long.
const maxSkew = 24 * time.Hour

// refuse says why the plan may not be carried out.
func (r *Retention) refuse(p *Plan, chosen []Backup) {
	say := func(format string, args ...any) { p.Refused = append(p.Refused, fmt.Sprintf(format, args...)) }
	type key struct{ cluster, name string }
	met := make(map[key]string) // a host of it
	for i := range chosen {
		b := &chosen[i]
		if b.Partial {
			say("this key sees only some nodes of %s", b.Name)
		}
		k := key{b.Cluster, b.Name}
		if other := met[k]; other != "" {
			say("%s is of two rings that share no host, both called %s: choose one by --host-id %s or %s", b.Name, b.Cluster, other, b.Nodes[0].host())
		}
		met[k] = b.Nodes[0].host()
	}
	switch r.Trust {
	case TrustAgreed:
		r.doubt(chosen, say)
	case TrustClaimed:
		r.future(chosen, say)
	case TrustStore:
		r.copied(chosen, say)
	}
}

// doubt refuses where nodes and store disagree.
func (r *Retention) doubt(chosen []Backup, say func(string, ...any)) {
	n, first := 0, ""
	for i := range chosen {
		for _, e := range chosen[i].Nodes {
			d := e.Stored.Sub(e.Finished)
			if !e.Stored.IsZero() && d.Abs() <= maxSkew {
				continue
			}
			if n++; n > 1 {
				continue
			}
			first = fmt.Sprintf("%s of node %s says it ended %s, the store got it %s", e.Backup, e.Node, stamp(e.Finished), stamp(e.Stored))
		}
	}
	if n > 0 {
		say("times disagree by more than a day for %d node snapshots: %s; a copied repository has the times of the copy: --trust-time claimed; a node's clock was wrong: --trust-time store", n, first)
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "nobody knows when"
	}
	return t.UTC().Format(time.RFC3339)
}

// future refuses to believe a clock that is ahead: its backup would count as the newest for ever.
func (r *Retention) future(chosen []Backup, say func(string, ...any)) {
	for i := range chosen {
		if at := chosen[i].Finished(); at.Sub(r.Now) > maxSkew {
			say("%s claims to have ended %s, which has not come yet: trust the store's times, or delete it by name", chosen[i].Name, stamp(at))
			return
		}
	}
}

// copied refuses to believe a store that got together what was made apart, see bunch.
func (r *Retention) copied(chosen []Backup, say func(string, ...any)) {
	for _, lineage := range lineages(chosen) {
		slices.SortFunc(lineage, func(x, y Backup) int { a, _ := r.moment(&x); b, _ := r.moment(&y); return a.Compare(b) })
		for i := range lineage {
			if at, _ := r.moment(&lineage[i]); at.IsZero() {
				say("the store does not tell when it got %s", lineage[i].Name)
				return
			}
			if i+3 <= len(lineage) && r.bunch(lineage[i:i+3]) {
				say("the store got %s, %s and %s one right after the other, and they claim to be of different days: its times are those of a copy", lineage[i].Name, lineage[i+1].Name, lineage[i+2].Name)
				return
			}
		}
	}
}

// bunch reports whether three backups lie much closer together in the store than they claim to have been made: each half a
// day farther from the next than the store got all three. One step of a clock parts two like that, a copy any three.
func (r *Retention) bunch(three []Backup) bool {
	first, _ := r.moment(&three[0])
	last, _ := r.moment(&three[2])
	apart := last.Sub(first) + maxSkew/2
	claims := []time.Time{three[0].Started(), three[1].Started(), three[2].Started()}
	slices.SortFunc(claims, time.Time.Compare)
	return claims[1].Sub(claims[0]) > apart && claims[2].Sub(claims[1]) > apart
}
