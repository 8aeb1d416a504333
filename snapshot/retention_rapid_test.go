package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// confusing are names that begin alike, or that are words in a repository.
var confusing = []string{"b1", "b10", "b1-x", "d", "da", "data", "snapshots", "latest"}

// aHistory draws backups of two clusters, of which some are incomplete, damaged, of chosen tables or of another ring.
func aHistory(t *rapid.T) []Backup {
	var out []Backup
	for i, n := 0, rapid.IntRange(0, 25).Draw(t, "backups"); i < n; i++ {
		name := fmt.Sprint(i)
		if i < len(confusing) {
			name = confusing[i]
		}
		b := made(name, float64(rapid.IntRange(0, 300).Draw(t, "quarter days"))/4)
		for _, c := range []struct {
			what   string
			change func(*Backup)
		}{{"elsewhere", elsewhere}, {"bank", ofBank}, {"incomplete", lacking}, {"lacks a table", lackingTable}, {"damaged", hurt}, {"chosen tables", ofTables}} {
			if rapid.IntRange(0, 4).Draw(t, c.what) == 0 {
				c.change(&b)
			}
		}
		out = append(out, b)
	}
	return out
}

func policy(t *rapid.T) Policy {
	n := func(what string) int { return max(0, rapid.IntRange(-3, 6).Draw(t, what)) }
	p := Policy{KeepLast: n("last"), KeepHourly: n("hourly"), KeepDaily: n("daily"), KeepWeekly: n("weekly"), KeepMonthly: n("monthly"),
		KeepWithin: time.Duration(n("within")) * 5 * day, MaxCount: n("max"), IncompleteGrace: time.Duration(n("grace")) * day}
	if p.Check() != nil {
		p.KeepLast = 1
	}
	return p
}

func someHolds(t *rapid.T, all []Backup) (out []Hold) {
	for _, b := range all {
		if rapid.IntRange(0, 7).Draw(t, "held") == 0 {
			out = append(out, Hold{Kind: HoldLegal, Backup: b.Name, Cluster: b.Cluster})
		}
	}
	return out
}

// fate is what is known of a backup once a plan was made.
func fate(p *Plan) map[string]Verdict {
	out := make(map[string]Verdict)
	for _, s := range p.Series {
		for _, v := range s.Verdicts {
			out[v.Cluster+"/"+v.Name] = v
		}
	}
	return out
}

func TestNoPlanTakesTheLastOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := aHistory(t)
		r := Retention{Backups: all, Policy: policy(t), Holds: someHolds(t, all)}
		p := plan(t, r)
		all2 := fate(p)
		if len(all2) != len(all) {
			t.Fatalf("%d of %d backups have a verdict", len(all2), len(all))
		}
		for _, h := range r.Holds {
			if !all2[h.Cluster+"/"+h.Backup].Keep {
				t.Errorf("%s is held and goes", h.Backup)
			}
		}
		for _, s := range p.Series {
			oldest, newest := s.restorable()
			for _, v := range s.Verdicts {
				if len(v.Why) == 0 {
					t.Errorf("nobody says why of %s", v.Name)
				}
				if !v.whole() {
					continue
				}
				if newest == nil || v.Moment.After(newest.Moment) {
					t.Errorf("%s was the last complete one", v.Name)
				}
				if !v.Keep && v.sound() && !slices.ContainsFunc(s.Verdicts, func(o Verdict) bool {
					return o.Keep && o.whole() && o.sound() && !o.Moment.Before(v.Moment)
				}) {
					t.Errorf("%s was the last one without damage", v.Name)
				}
			}
			if (oldest == nil) != (newest == nil) {
				t.Error("restorable from something to nothing")
			}
		}
	})
}

func TestAnIncompleteBackupGoesOnlyForALaterOneThatStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := aHistory(t)
		p := plan(t, Retention{Backups: all, Policy: policy(t)})
		verdicts := fate(p)
		for _, v := range verdicts {
			if v.Keep || v.whole() {
				continue
			}
			covered := false
			for _, o := range verdicts {
				covered = covered || o.Keep && o.whole() && o.Cluster == v.Cluster && !o.Moment.Before(v.Moment) && (o.Nodes[0].SelectionID == "" || o.Nodes[0].SelectionID == v.Nodes[0].SelectionID)
			}
			if !covered {
				t.Errorf("%s goes, and nothing has what it had", v.Name)
			}
		}
	})
}

func TestAStrongerPolicyKeepsAllThatAWeakerOneKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, weak := aHistory(t), policy(t)
		strong := weak
		switch which := rapid.IntRange(0, 7).Draw(t, "which"); {
		case which == 0 && weak.MaxCount > 0:
			strong.MaxCount++
		default:
			// With a limit, a rule that keeps more young ones takes the room of old ones.
			weak.MaxCount = 0
			if weak.Check() != nil {
				weak.KeepLast = 1
			}
			strong = weak
			*[]*int{&strong.KeepLast, &strong.KeepLast, &strong.KeepHourly, &strong.KeepDaily, &strong.KeepWeekly, &strong.KeepMonthly, &strong.KeepLast, &strong.KeepDaily}[which] += rapid.IntRange(0, 3).Draw(t, "more")
			strong.KeepWithin += time.Duration(rapid.IntRange(0, 30).Draw(t, "longer")) * day
		}
		before, after := fate(plan(t, Retention{Backups: all, Policy: weak})), fate(plan(t, Retention{Backups: all, Policy: strong}))
		for name, v := range before {
			if v.Keep && !after[name].Keep {
				t.Errorf("%s stays with %+v and goes with %+v", name, weak, strong)
			}
		}
	})
}

func TestFailedBackupsTakeNoRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, p := aHistory(t), policy(t)
		whole := slices.DeleteFunc(slices.Clone(all), func(b Backup) bool { return !b.whole() })
		with, without := fate(plan(t, Retention{Backups: all, Policy: p})), fate(plan(t, Retention{Backups: whole, Policy: p}))
		for name, v := range without {
			if with[name].Keep != v.Keep {
				t.Errorf("%s: kept %v among failed ones, %v without them", name, with[name].Keep, v.Keep)
			}
		}
	})
}

func TestWhateverAStolenKeyWritesTheOthersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policy(t)
		var real, all []Backup
		for i := range rapid.IntRange(1, 10).Draw(t, "real") {
			real = append(real, three(fmt.Sprint("d", i), float64(i)))
		}
		all = slices.Clone(real)
		for i, n := 0, rapid.IntRange(1, 10).Draw(t, "forged"); i < n; i++ {
			// The first real backup is there before the key is stolen.
			all = append(all, made(fmt.Sprint("x", i), float64(rapid.IntRange(1, 100).Draw(t, "tenth days"))/10))
		}
		with, without := fate(plan(t, Retention{Backups: all, Policy: p})), fate(plan(t, Retention{Backups: real, Policy: p}))
		for name, v := range without {
			if with[name].Keep != v.Keep {
				t.Errorf("%s: kept %v, and %v without the others", name, with[name].Keep, v.Keep)
			}
		}
	})
}

func TestAPlanCarriedOutLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retention{Backups: aHistory(t), Policy: policy(t)}
		gone := fate(plan(t, r))
		r.Backups = slices.DeleteFunc(r.Backups, func(b Backup) bool { return !gone[b.Cluster+"/"+b.Name].Keep })
		if again := doomed(plan(t, r)); len(again) > 0 {
			t.Errorf("a second purge takes %s too: %s", again[0].Name, again[0].Why)
		}
	})
}

func TestTheOrderOfAListingMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retention{Backups: aHistory(t), Policy: policy(t)}
		want := fate(plan(t, r))
		r.Backups = rapid.Permutation(r.Backups).Draw(t, "order")
		got := fate(plan(t, r))
		for name := range want {
			if diff := cmp.Diff(want[name].Why, got[name].Why); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}
