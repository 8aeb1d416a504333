package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrEmptyPolicy is matched when nothing says what is to stay.
var ErrEmptyPolicy = errors.New("the policy keeps nothing: give one of keep-last, keep-hourly, keep-daily, keep-weekly, keep-monthly, keep-within, max-count")

// Policy says which backups stay, of each series by itself. A rule that is zero does not count; a backup stays when one of
// the others keeps it. Only complete backups count.
type Policy struct {
	KeepLast    int           // the newest
	KeepHourly  int           // the newest of each of so many hours (of UTC) that have one
	KeepDaily   int           // … days
	KeepWeekly  int           // … weeks of ISO 8601
	KeepMonthly int           // … months
	KeepWithin  time.Duration // all that are younger than that, counted from the newest
	MaxCount    int           // of those kept by the rules above, or of all where there is none, the newest
	// IncompleteGrace is how old an incomplete backup must be before it goes; zero: DefaultIncompleteGrace.
	IncompleteGrace time.Duration
}

// DefaultIncompleteGrace is the age below which an incomplete backup may still become complete: a node that was down over
// a long weekend, and the day it takes to catch up. It is what gc waits before it ends a silent session.
const DefaultIncompleteGrace = 7 * 24 * time.Hour

// Check refuses a policy that says nothing, or what makes no sense.
func (p *Policy) Check() error {
	for _, n := range []int{p.KeepLast, p.KeepHourly, p.KeepDaily, p.KeepWeekly, p.KeepMonthly, p.MaxCount} {
		if n < 0 {
			return fmt.Errorf("policy with a number of %d", n)
		}
	}
	switch {
	case p.KeepWithin < 0 || p.IncompleteGrace < 0:
		return errors.New("policy with a time below zero")
	case !p.rules() && p.MaxCount == 0:
		return ErrEmptyPolicy
	}
	return nil
}

// rules reports whether there is another rule than MaxCount.
func (p *Policy) rules() bool {
	return p.KeepLast+p.KeepHourly+p.KeepDaily+p.KeepWeekly+p.KeepMonthly > 0 || p.KeepWithin > 0
}

// TrustTime says whose times tell how old backups are.
type TrustTime string

// Sources of time. Where nobody has chosen, nodes are believed as long as the store does not contradict them.
const (
	TrustAgreed  TrustTime = ""
	TrustClaimed TrustTime = "claimed" // by the nodes
	TrustStore   TrustTime = "store"   // when the store got the roots
)

// CheckTrustTime refuses what is none.
func CheckTrustTime(t TrustTime) error {
	if t != TrustAgreed && t != TrustClaimed && t != TrustStore {
		return fmt.Errorf("trust-time %q: %s or %s", t, TrustStore, TrustClaimed)
	}
	return nil
}

// Retention is what a plan is made from.
type Retention struct {
	Policy  Policy
	Backups []Backup // as List returns them
	Holds   []Hold
	Locked  map[string]time.Time // by root name: until when the store lets nobody delete it
	Now     time.Time
	Trust   TrustTime

	// Cluster and HostID, where set, choose: other backups are left alone. HostID means the ring that this host was ever in.
	Cluster, HostID string
}

// Plan says of every backup whether it stays, and why.
type Plan struct {
	Series  []Series
	Left    int      // backups of other clusters than those chosen
	Refused []string // why none of it may be done
}

// Series are backups that follow each other: of one cluster, that is one ring with the hosts it had over time, and of one
// choice of tables.
type Series struct {
	Cluster   string
	Selection string // Selection.ID
	Verdicts  []Verdict
}

// Verdict is what becomes of a backup.
type Verdict struct {
	Backup
	Moment time.Time // of the backup, as far as times are trusted
	Keep   bool
	Why    []string
}

// Plan decides. It looks at nothing but its input, so the same input gives the same plan.
func (r *Retention) Plan() (*Plan, error) {
	if err := errors.Join(r.Policy.Check(), CheckTrustTime(r.Trust)); err != nil {
		return nil, err
	}
	p := &Plan{}
	chosen := r.choose(p)
	r.refuse(p, chosen)
	for _, lineage := range lineages(chosen) {
		p.Series = append(p.Series, r.judge(lineage)...)
	}
	return p, nil
}

// choose returns the backups that the plan is about, taken apart by ring.
func (r *Retention) choose(p *Plan) (chosen []Backup) {
	h := make(map[string]hosts)
	var all []Backup
	for i := range r.Backups {
		parts := r.Backups[i].Rings()
		all = append(all, parts...)
		for _, b := range parts {
			if h[b.Cluster] == nil {
				h[b.Cluster] = make(hosts)
			}
			b.join(h[b.Cluster])
		}
	}
	id := strings.ToLower(r.HostID)
	for _, b := range all {
		if r.Cluster != "" && b.Cluster != r.Cluster || id != "" && h[b.Cluster].find(b.Nodes[0].host()) != h[b.Cluster].find(id) {
			p.Left++
			continue
		}
		chosen = append(chosen, b)
	}
	return chosen
}

// lineages groups backups by cluster: those of one label whose rings share hosts, be it by way of others.
func lineages(all []Backup) (groups [][]Backup) {
	h := make(map[string]hosts)
	for i := range all {
		if h[all[i].Cluster] == nil {
			h[all[i].Cluster] = make(hosts)
		}
		all[i].join(h[all[i].Cluster])
	}
	type key struct{ cluster, host string }
	at := make(map[key]int)
	for _, b := range all {
		k := key{b.Cluster, h[b.Cluster].find(b.Nodes[0].host())}
		if _, ok := at[k]; !ok {
			at[k] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[k]] = append(groups[at[k]], b)
	}
	slices.SortStableFunc(groups, func(x, y []Backup) int { return cmp.Compare(x[0].Cluster, y[0].Cluster) })
	return groups
}

// selection returns the choice of tables of a backup; ok is false where its nodes chose differently.
func (b *Backup) selection() (id string, ok bool) {
	for i, e := range b.Nodes {
		own := e.SelectionID
		if e.Catalogue.Selected && own == "" {
			own = "unknown"
		}
		if i > 0 && own != id {
			return "", false
		}
		id = own
	}
	return id, true
}

// whole reports whether a backup counts: nothing is missing of what its nodes chose alike, or known to be lost.
func (b *Backup) whole() bool {
	_, ok := b.selection()
	return ok && b.Complete() && b.Intact()
}

// sound reports whether none of its SSTables was damaged on its node.
func (b *Backup) sound() bool {
	_, damaged := b.Flaws()
	return damaged == 0
}

// moment returns when a backup was made, for its place among others, and when it ended, for its age.
func (r *Retention) moment(b *Backup) (at, ended time.Time) {
	if r.Trust != TrustStore {
		return b.Started(), b.Finished()
	}
	for _, e := range b.Nodes {
		if e.Stored.After(at) {
			at = e.Stored
		}
	}
	return at, at
}
