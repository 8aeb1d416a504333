package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
)

// epoch is midnight of day 0 of the backups in these tests, a Friday and the first of a month.
var epoch = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func days(n float64) time.Time { return epoch.Add(time.Duration(n * float64(day))) }

// entryAt is the snapshot of a node that took an hour and came to the store when it ended. It saw a ring of these hosts.
func entryAt(name, host string, at time.Time, sees ...string) Entry {
	r := &ring.Ring{}
	for _, id := range sees {
		r.Members = append(r.Members, member(id, ring.Normal))
	}
	end := at.Add(time.Hour)
	return Entry{Catalogue: Catalogue{Backup: name, Cluster: "shop", HostID: host, Node: "node-" + host[:1], Started: at, Finished: end},
		Root: "snapshots/" + host + "/" + name, Stored: end, seen: r}
}

// made is a complete backup of one node, changed as told.
func made(name string, at float64, changes ...func(*Backup)) Backup {
	b := Backup{Name: name, Cluster: "shop", Nodes: []Entry{entryAt(name, hostA, days(at), hostA)}}
	for _, change := range changes {
		change(&b)
	}
	return b
}

func lacking(b *Backup) {
	other := map[string]string{hostA: hostB, hostC: "dddddddd-0000-4000-8000-000000000004"}[b.Nodes[0].HostID]
	b.Missing = []ring.Member{member(other, ring.Normal)}
	b.Nodes[0].seen.Members = append(b.Nodes[0].seen.Members, b.Missing...)
}
func lackingTable(b *Backup)  { b.Nodes[0].MissingTables = 1 }
func ringUnknown(b *Backup)   { b.unsure, b.Nodes[0].seen = true, nil }
func hurt(b *Backup)          { b.Nodes[0].DamagedSSTables = 1 }
func ofBank(b *Backup)        { b.Cluster, b.Nodes[0].Cluster = "bank", "bank" }
func ofTables(b *Backup)      { b.Nodes[0].Catalogue.Selected, b.Nodes[0].SelectionID = true, "some" }
func ofOtherTables(b *Backup) { b.Nodes[0].Catalogue.Selected, b.Nodes[0].SelectionID = true, "other" }
func elsewhere(b *Backup) {
	b.Nodes[0] = entryAt(b.Name, hostC, b.Nodes[0].Started, hostC)
}
func storedAt(at float64) func(*Backup) {
	return func(b *Backup) { b.Nodes[0].Stored = days(at) }
}
func claiming(at float64) func(*Backup) {
	return func(b *Backup) { b.Nodes[0].Started, b.Nodes[0].Finished = days(at), days(at).Add(time.Hour) }
}

// daily are complete backups d0, d1, …, one a day.
func daily(n int, changes ...func(*Backup)) (out []Backup) {
	for i := range n {
		out = append(out, made(fmt.Sprintf("d%d", i), float64(i), changes...))
	}
	return out
}

// left names the backups that a plan keeps, oldest first within their series.
func left(p *Plan) (names []string) {
	for _, s := range p.Series {
		for _, v := range s.Verdicts {
			if v.Keep {
				names = append(names, v.Name)
			}
		}
	}
	return names
}

func doomed(p *Plan) (out []Verdict) {
	for _, s := range p.Series {
		for _, v := range s.Verdicts {
			if !v.Keep {
				out = append(out, v)
			}
		}
	}
	return out
}

// restorable returns the oldest and the newest complete backup that stay of a series; nil where none does.
func (s *Series) restorable() (oldest, newest *Verdict) {
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		if !v.Keep || !v.whole() {
			continue
		}
		if oldest == nil {
			oldest = v
		}
		newest = v
	}
	return oldest, newest
}

func plan(t interface {
	Helper()
	Fatal(...any)
}, r Retention) *Plan {
	t.Helper()
	if r.Now.IsZero() {
		r.Now = days(60)
	}
	p, err := r.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPolicyKeeps(t *testing.T) {
	last := func(n int) Policy { return Policy{KeepLast: n} }
	hold := Hold{Kind: HoldLegal, Backup: "d0", Cluster: "shop", Reason: "case 7", By: "ann", Added: days(1)}
	expired := Hold{Kind: HoldRestore, Backup: "d0", Cluster: "shop", Reason: "restore", By: "ann", Added: days(1), Expires: days(8)}
	removed := hold
	removed.Removed = &Removal{}
	for _, c := range []struct {
		what string
		give Retention
		want string
	}{
		{"the last ones", Retention{Backups: daily(5), Policy: last(2)}, "d3 d4"},
		{"all where there are fewer", Retention{Backups: daily(2), Policy: last(5)}, "d0 d1"},
		{"no more than so many", Retention{Backups: daily(5), Policy: Policy{MaxCount: 3}}, "d2 d3 d4"},
		{"no more than so many of what other rules keep", Retention{Backups: daily(9), Policy: Policy{KeepLast: 1, KeepWeekly: 5, MaxCount: 2}}, "d2 d8"},
		{"the newest of each day", Retention{Backups: []Backup{made("a", 0.1), made("b", 0.9), made("c", 1.2), made("d", 3.1), made("e", 3.2)}, Policy: Policy{KeepDaily: 3}}, "b c e"},
		{"days of UTC, in whatever zone a node told them", Retention{Backups: []Backup{made("a", 0.1), made("b", 1.1, func(b *Backup) {
			b.Nodes[0].Started = b.Nodes[0].Started.In(time.FixedZone("", -4*3600)) // the evening before, there
		})}, Policy: Policy{KeepDaily: 2}}, "a b"},
		{"the newest of each hour", Retention{Backups: []Backup{made("a", 0), made("b", 0.02), made("c", 0.05)}, Policy: Policy{KeepHourly: 2}}, "b c"},
		{"the newest of each week", Retention{Backups: daily(12), Policy: Policy{KeepWeekly: 2}}, "d9 d11"},
		{"the newest of each month", Retention{Backups: daily(40), Policy: Policy{KeepMonthly: 2}}, "d30 d39"},
		{"what any of the rules keeps", Retention{Backups: daily(40), Policy: Policy{KeepMonthly: 2, KeepLast: 2}}, "d30 d38 d39"},
		{"what is young, counted from the newest", Retention{Backups: daily(9), Policy: Policy{KeepWithin: 3 * day}}, "d6 d7 d8"},
		{"more where the clock here is behind", Retention{Backups: daily(9), Policy: Policy{KeepWithin: 3 * day}, Now: days(5)}, "d3 d4 d5 d6 d7 d8"},
		{"the last good one, after three that failed", Retention{Backups: []Backup{made("good", 0), made("f1", 1, lacking), made("f2", 2, lackingTable), made("f3", 3, ringUnknown)}, Policy: Policy{MaxCount: 3}}, "good f1 f2 f3"},
		{"failed ones beside those it counts", Retention{Backups: append(daily(3), made("f", 3, lacking)), Policy: last(2)}, "d1 d2 f"},
		{"no failed one of old, when a later one is complete", Retention{Backups: append(daily(1, lacking), made("good", 20)), Policy: last(2)}, "good"},
		{"a failed one while it may become complete", Retention{Backups: append(daily(1, lacking), made("good", 2)), Policy: last(2)}, "d0 good"},
		{"a failed one no longer than is said", Retention{Backups: append(daily(1, lacking), made("good", 2)), Policy: Policy{KeepLast: 2, IncompleteGrace: day}}, "good"},
		{"all failed ones where none is complete", Retention{Backups: daily(3, lacking), Policy: last(1)}, "d0 d1 d2"},
		{"the last one without damage", Retention{Backups: slices.Concat(daily(2), []Backup{made("h1", 2, hurt), made("h2", 3, hurt), made("h3", 4, hurt)}), Policy: last(2)}, "d1 h2 h3"},
		{"what is held", Retention{Backups: daily(4), Policy: last(1), Holds: []Hold{hold}}, "d0 d3"},
		{"nothing for a hold that was removed", Retention{Backups: daily(4), Policy: last(1), Holds: []Hold{removed}}, "d3"},
		{"nothing for a hold that has ended", Retention{Backups: daily(4), Policy: last(1), Holds: []Hold{expired}}, "d3"},
		{"what a restore needs", Retention{Backups: daily(4), Policy: last(1), Holds: []Hold{expired}, Now: days(8.5)}, "d0 d3"},
		{"what is under object lock", Retention{Backups: daily(4), Policy: last(1), Locked: map[string]time.Time{"snapshots/" + hostA + "/d1": days(61)}}, "d1 d3"},
		{"nothing for a lock that is over", Retention{Backups: daily(4), Policy: last(1), Locked: map[string]time.Time{"snapshots/" + hostA + "/d1": days(59)}}, "d3"},
		{"each cluster by itself", Retention{Backups: []Backup{made("a", 0), made("b", 1, ofBank), made("c", 2), made("d", 3)}, Policy: last(1)}, "b d"},
		{"only the cluster that is chosen", Retention{Backups: []Backup{made("a", 0), made("b", 1), made("c", 2, ofBank), made("d", 3, ofBank)}, Policy: last(1), Cluster: "bank"}, "d"},
		{"backups of chosen tables by themselves", Retention{Backups: []Backup{made("all", 0), made("s1", 1, ofTables), made("s2", 2, ofTables), made("s3", 3, ofTables)}, Policy: last(2)}, "all s2 s3"},
		{"each choice of tables by itself", Retention{Backups: []Backup{made("s", 0, ofTables), made("o1", 1, ofOtherTables), made("o2", 2, ofOtherTables)}, Policy: last(1)}, "o2 s"},
		{"a failed one of chosen tables until those or all are there", Retention{Backups: []Backup{made("s", 0, ofTables, lackingTable), made("o", 20, ofOtherTables)}, Policy: last(1)}, "o s"},
		{"none of chosen tables that failed, when one of all is complete", Retention{Backups: []Backup{made("s", 0, ofTables, lackingTable), made("all", 20)}, Policy: last(1)}, "all"},
		{"clusters of one label apart when they never shared a host", Retention{Backups: []Backup{made("a", 0), made("b", 1, elsewhere), made("c", 2), made("d", 3)}, Policy: last(1)}, "d b"},
		{"only the ring of the host that is chosen", Retention{Backups: []Backup{made("a", 0), made("b", 1, elsewhere), made("c", 2), made("d", 3, elsewhere)}, Policy: last(1), HostID: strings.ToUpper(hostC)}, "d"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := plan(t, c.give)
			if diff := cmp.Diff(strings.Fields(c.want), left(p)); diff != "" || len(p.Refused) > 0 {
				t.Errorf("refused %q (-want +got):\n%s", p.Refused, diff)
			}
		})
	}
}

func TestAClusterKeepsItsNameWhenAllItsNodesWereReplacedOneByOne(t *testing.T) {
	one, two := made("d0", 0), made("d2", 2)
	two.Nodes = []Entry{entryAt("d2", hostC, days(2), hostC)}
	both := Backup{Name: "d1", Cluster: "shop", Nodes: []Entry{entryAt("d1", hostA, days(1), hostA, hostC), entryAt("d1", hostC, days(1), hostA, hostC)}}
	p := plan(t, Retention{Backups: []Backup{one, both, two}, Policy: Policy{KeepLast: 1}})
	if diff := cmp.Diff([]string{"d2"}, left(p)); diff != "" {
		t.Errorf("nodes that left follow the cluster's policy (-want +got):\n%s", diff)
	}
	p = plan(t, Retention{Backups: []Backup{one, two}, Policy: Policy{KeepLast: 1}})
	if diff := cmp.Diff([]string{"d0", "d2"}, left(p)); diff != "" {
		t.Errorf("without the backup between nobody knows that it is one cluster (-want +got):\n%s", diff)
	}
}

// three is a complete backup of three nodes.
func three(name string, at float64) Backup {
	all := []string{hostA, hostB, hostC}
	b := Backup{Name: name, Cluster: "shop"}
	for _, host := range all {
		b.Nodes = append(b.Nodes, entryAt(name, host, days(at), all...))
	}
	return b
}

// without is a backup of fewer nodes, after others were taken out of the ring.
func without(b Backup, hosts ...string) Backup {
	b.Nodes = slices.DeleteFunc(b.Nodes, func(e Entry) bool { return slices.Contains(hosts, e.HostID) })
	for i := range b.Nodes {
		b.Nodes[i].seen = &ring.Ring{Members: slices.DeleteFunc(slices.Clone(b.Nodes[i].seen.Members), func(m ring.Member) bool { return slices.Contains(hosts, m.HostID) })}
	}
	return b
}

func TestBackupsOfAStolenKeyPushNothingOut(t *testing.T) {
	forged := func(name string, at float64) Backup { return made(name, at) } // of host A, which says it is alone
	for _, c := range []struct {
		what string
		give []Backup
		want string
	}{
		{"made after the others", []Backup{three("d0", 0), three("d1", 1), forged("x1", 1.1), forged("x2", 1.2), forged("x3", 1.3)}, "d0 d1 x1 x2 x3"},
		{"made between the others", []Backup{three("d0", 0), forged("x1", 0.1), three("d1", 1), forged("x2", 1.2), three("d2", 2)}, "x1 d1 x2 d2"},
		{"instead of an incomplete one", []Backup{three("d0", 0), made("i", 1, func(b *Backup) { *b = without(three("i", 1), hostC); lacking(b) }), forged("x1", 20)}, "d0 i x1"},
		{"a node was taken out", []Backup{three("d0", 0), three("d1", 1), without(three("d2", 2), hostC), without(three("d3", 3), hostC)}, "d2 d3"},
		{"a cluster has grown", []Backup{forged("d0", 0), three("d1", 1), three("d2", 2)}, "d1 d2"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if diff := cmp.Diff(strings.Fields(c.want), left(plan(t, Retention{Backups: c.give, Policy: Policy{KeepLast: 2}}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPlanIsRefused(t *testing.T) {
	partial := func(b *Backup) { lacking(b); b.Partial = true }
	twoRings := made("d1", 1)
	twoRings.Nodes = append(twoRings.Nodes, entryAt("d1", hostC, days(1), hostC))
	copied := daily(5)
	for i := range copied {
		copied[i].Nodes[0].Stored = days(30)
	}
	for _, c := range []struct {
		what string
		give Retention
		says string
	}{
		{"to a key that sees only its own nodes", Retention{Backups: daily(2, partial)}, "this key sees only some nodes of d0"},
		{"for two rings under one name", Retention{Backups: append(daily(1), twoRings)}, "d1 is of two rings that share no host, both called shop: choose one by --host-id " + hostA + " or " + hostC},
		{"where a clock was 42 days ahead", Retention{Backups: append(daily(2), made("x", 2, claiming(44)))}, "disagree by more than a day for 1 node snapshots: x of node node-a says it ended 2026-06-14T01:00:00Z, the store got it 2026-05-03T01:00:00Z"},
		{"where a clock was 42 days behind", Retention{Backups: append(daily(2), made("x", 2, claiming(-40)))}, "disagree by more than a day"},
		{"after a copy of the bucket", Retention{Backups: copied}, "disagree by more than a day for 5 node snapshots"},
		{"where the store tells no time", Retention{Backups: daily(1, func(b *Backup) { b.Nodes[0].Stored = time.Time{} })}, "the store got it nobody knows when"},
		{"to believe a copy", Retention{Backups: copied, Trust: TrustStore}, "its times are those of a copy"},
		{"to believe a store that tells no time", Retention{Backups: daily(1, func(b *Backup) { b.Nodes[0].Stored = time.Time{} }), Trust: TrustStore}, "does not tell when it got d0"},
		{"to believe a clock that is ahead", Retention{Backups: append(daily(2), made("x", 2, claiming(102), storedAt(2))), Trust: TrustClaimed}, "x claims to have ended 2026-08-11T01:00:00Z, which has not come yet"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.give.Policy = Policy{KeepLast: 1}
			p := plan(t, c.give)
			if len(p.Refused) == 0 || !strings.Contains(p.Refused[0], c.says) {
				t.Errorf("%q, want %q", p.Refused, c.says)
			}
		})
	}
}

func TestATrustedTimeOrdersBackups(t *testing.T) {
	copied := daily(5)
	for i := range copied {
		copied[i].Nodes[0].Stored = days(30)
	}
	ahead := []Backup{made("d0", 0), made("d1", 1, claiming(43)), made("d2", 2), made("d3", 3)}
	for _, c := range []struct {
		what string
		give Retention
		want string
	}{
		{"13 hours are within a day", Retention{Backups: append(daily(3), made("x", 3, claiming(2.46)))}, "x"},
		{"a copied repository by what the nodes claimed", Retention{Backups: copied, Trust: TrustClaimed}, "d4"},
		{"a wrong clock by the store's times", Retention{Backups: ahead, Trust: TrustStore}, "d3"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.give.Policy = Policy{KeepLast: 1}
			p := plan(t, c.give)
			if diff := cmp.Diff(strings.Fields(c.want), left(p)); diff != "" || len(p.Refused) > 0 {
				t.Errorf("refused %q (-want +got):\n%s", p.Refused, diff)
			}
		})
	}
}

func TestARingIsChosenByHost(t *testing.T) {
	two := made("d1", 1)
	two.Nodes = append(two.Nodes, entryAt("d1", hostC, days(1), hostC))
	all := []Backup{made("d0", 0), two, made("d2", 2, elsewhere)}
	for host, want := range map[string]string{hostA: "d1 of node-a", hostC: "d2 of node-c"} {
		p := plan(t, Retention{Backups: all, Policy: Policy{KeepLast: 1}, HostID: host})
		var got string
		for _, s := range p.Series {
			for _, v := range s.Verdicts {
				if v.Keep {
					got += v.Name + " of " + v.Nodes[0].Node
				}
			}
		}
		if got != want || len(p.Refused) > 0 || p.Left != 2 {
			t.Errorf("%s keeps %q, leaves %d alone, refused %q; want %q", host, got, p.Left, p.Refused, want)
		}
	}
}

func TestAPolicyOfNoSenseIsAnError(t *testing.T) {
	for _, p := range []Policy{{}, {IncompleteGrace: day}, {KeepLast: -1, KeepDaily: 2}, {KeepWithin: -day}, {KeepLast: 1, IncompleteGrace: -1}} {
		if _, err := (&Retention{Backups: daily(3), Policy: p}).Plan(); err == nil {
			t.Errorf("%+v is no error", p)
		}
	}
	if _, err := (&Retention{Policy: Policy{}}).Plan(); !errors.Is(err, ErrEmptyPolicy) {
		t.Errorf("empty: %v", err)
	}
	if _, err := (&Retention{Policy: Policy{KeepLast: 1}, Trust: "both"}).Plan(); err == nil {
		t.Error("any word is a source of time")
	}
}

func TestAPlanSaysWhatStaysRestorable(t *testing.T) {
	p := plan(t, Retention{Backups: append(daily(5), made("f", 5, lacking)), Policy: Policy{KeepLast: 3}})
	oldest, newest := p.Series[0].restorable()
	if oldest.Name != "d2" || newest.Name != "d4" || len(doomed(p)) != 2 {
		t.Errorf("from %s to %s, %d go", oldest.Name, newest.Name, len(doomed(p)))
	}
	p = plan(t, Retention{Backups: daily(2, lacking), Policy: Policy{KeepLast: 3}})
	if oldest, newest = p.Series[0].restorable(); oldest != nil || newest != nil {
		t.Errorf("incomplete ones are restorable from %s to %s", oldest.Name, newest.Name)
	}
}

func TestADeletionThatIsCutShortDoesNotLookComplete(t *testing.T) {
	hosts := []string{hostA, hostB, hostC}
	b := Backup{Name: "d0", Nodes: []Entry{entryAt("d0", hostA, days(0), hosts...), entryAt("d0", hostB, days(0), hostB), entryAt("d0", hostC, days(0), hostB, hostC)}}
	var order []string
	for _, e := range b.RemovalOrder() {
		order = append(order, e.Node)
	}
	// What is left expects one that has gone, until the last.
	if diff := cmp.Diff([]string{"node-b", "node-c", "node-a"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSpansAreReadAndWritten(t *testing.T) {
	for give, want := range map[string]time.Duration{"30d": 30 * day, "2w": 14 * day, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "0d": 0} {
		if got, err := ParseSpan(give); err != nil || got != want {
			t.Errorf("%s is %v, %v", give, got, err)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "-3h", "1.5d", "30", "9999999999d", "2147483647w", "soon"} {
		if got, err := ParseSpan(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
	for give, want := range map[time.Duration]string{30 * day: "30d", 36 * time.Hour: "36h", 10 * time.Second: "10s", 0: "0s"} {
		if got := Span(give); got != want {
			t.Errorf("%v is written %s", give, got)
		}
	}
}

func TestSelectionsAreToldApart(t *testing.T) {
	same := []*Selection{{Tables: []string{"a.b", "c.d"}, Exclude: []string{"e"}}, {Tables: []string{"c.d", "a.b"}, Exclude: []string{"e"}}}
	if a, b := same[0].ID(), same[1].ID(); a != b || len(a) != 16 {
		t.Errorf("the order of patterns matters: %q, %q", a, b)
	}
	seen := make(map[string]bool)
	for _, s := range []*Selection{nil, {Tables: []string{"a.b"}}, {Keyspaces: []string{"a.b"}}, {Exclude: []string{"a.b"}}, {Tables: []string{"a.b", "a.c"}}} {
		if seen[s.ID()] {
			t.Errorf("%+v is told from none", s)
		}
		seen[s.ID()] = true
	}
	if id := (&Selection{}).ID(); id != "" {
		t.Errorf("all tables have an id: %s", id)
	}
}
