package ring

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// drawBigRing draws a ring of up to 30 nodes in up to 4 data centres, of up to 16
// tokens each, and keyspaces of any replication.
func drawBigRing(t *rapid.T) Ring {
	r := Ring{Partitioner: murmur3, Replication: map[string]map[string]string{}}
	dcs := []string{"dc1", "dc2", "dc3", "dc4"}[:rapid.IntRange(1, 4).Draw(t, "dcs")]
	racks := []string{"r1", "r2", "r3", "r4"}[:rapid.IntRange(1, 4).Draw(t, "racks")]
	each := rapid.SampledFrom([]int{1, 3, 16}).Draw(t, "tokens of a node")
	used := map[int64]bool{}
	for n := range rapid.IntRange(1, 30).Draw(t, "nodes") {
		m := Member{HostID: fmt.Sprintf("n%02d", n), Address: fmt.Sprint("10.0.0.", n+1), DC: rapid.SampledFrom(dcs).Draw(t, "dc"),
			Rack: rapid.SampledFrom(racks).Draw(t, "rack"), State: Normal}
		if n > 0 {
			m.State = rapid.SampledFrom([]string{Normal, Normal, Normal, Leaving, Joining}).Draw(t, "state")
		}
		for range rapid.IntRange(1, each).Draw(t, "tokens") {
			v := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int64()).Filter(func(v int64) bool { return !used[v] }).Draw(t, "token")
			used[v] = true
			m.Tokens = append(m.Tokens, strconv.FormatInt(v, 10))
		}
		r.Members = append(r.Members, m)
	}
	for k := range rapid.IntRange(1, 4).Draw(t, "keyspaces") {
		r.Replication[fmt.Sprint("ks", k)] = drawOptions(t, append(dcs, "gone"))
	}
	return r
}

func drawOptions(t *rapid.T, dcs []string) map[string]string {
	factor := rapid.SampledFrom([]string{"0", "1", "2", "3", "5"})
	switch rapid.IntRange(0, 5).Draw(t, "strategy") {
	case 0:
		return map[string]string{"class": LocalStrategy}
	case 1:
		return map[string]string{"class": SimpleStrategy, replicationFactor: factor.Draw(t, "factor")}
	case 2:
		return map[string]string{"class": EverywhereStrategy}
	}
	o := rapid.MapOf(rapid.SampledFrom(dcs), factor).Draw(t, "factors")
	o["class"] = "org.apache.cassandra.locator." + NetworkTopologyStrategy
	return o
}

// drawRenames draws names for some of the data centres and racks that own ranges;
// data centres that had two names keep two.
func drawRenames(t *rapid.T, r Ring) Renames {
	names := Renames{map[string]string{}, map[Rack]string{}}
	owned := map[string]bool{}
	for _, m := range r.Members {
		if m.State == Joining {
			continue
		}
		if !owned[m.DC] && rapid.Bool().Draw(t, "rename dc") {
			names.DCs[m.DC] = "new " + m.DC
		}
		if at := (Rack{m.DC, m.Rack}); !owned[at.String()] && rapid.Bool().Draw(t, "rename rack") {
			names.Racks[at] = "new " + m.Rack
		}
		owned[m.DC], owned[m.DC+":"+m.Rack] = true, true
	}
	return names
}

// differsAt is the proof by the slow rule for one token: who has rows of that
// token before, mapped, and who is asked for them after.
func differsAt(source, after Ring, keyspace string, targets map[string]string, token int64) bool {
	before, err := parseReplication(source.Replication[keyspace])
	if err != nil || before.Strategy == LocalStrategy {
		return false
	}
	then, _ := parseReplication(after.Replication[keyspace])
	var want []string
	for _, id := range walkAhead(source, before.spelled(source), endOf(source, token)) {
		target, mapped := targets[id]
		if !mapped {
			return true
		}
		want = append(want, target)
	}
	got := walkAhead(after, then.spelled(after), endOf(after, token))
	slices.Sort(want)
	slices.Sort(got)
	return !slices.Equal(want, got)
}

// spelled writes EverywhereStrategy as a SimpleStrategy of all nodes.
func (r Replication) spelled(ring Ring) Replication {
	if r.Strategy == EverywhereStrategy {
		return Replication{Strategy: SimpleStrategy, Factor: len(ring.Members)}
	}
	return r
}

// endOf is the lowest token of a member that is not below, else the lowest.
func endOf(r Ring, token int64) int64 {
	first, next := int64(0), int64(0)
	haveFirst, haveNext := false, false
	for _, m := range r.Members {
		if m.State == Joining {
			continue
		}
		for _, text := range m.Tokens {
			v, _ := strconv.ParseInt(text, 10, 64)
			if !haveFirst || v < first {
				first, haveFirst = v, true
			}
			if v >= token && (!haveNext || v < next) {
				next, haveNext = v, true
			}
		}
	}
	if haveNext {
		return next
	}
	return first
}

// allTokens are the tokens of all that own ranges in either ring, once each.
func allTokens(rings ...Ring) []int64 {
	var all []int64
	for _, r := range rings {
		for _, m := range r.Members {
			for _, text := range m.Tokens {
				if v, err := strconv.ParseInt(text, 10, 64); err == nil && m.State != Joining {
					all = append(all, v)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Sources go to any nodes of any racks, some to none, and beside them there may be
// nodes that keep tokens of their own: the proof finds exactly the ranges that the
// slow rule finds, token by token.
func TestTheProofFindsExactlyTheRangesThatDiffer(t *testing.T) {
	kept, differed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		source := drawBigRing(t)
		m, target := drawMapping(t, source)
		from, err := source.Topology()
		if err != nil {
			t.Fatal(err)
		}
		after, err := m.After(from, target)
		if err != nil {
			t.Fatal(err)
		}
		to, err := after.Topology()
		if err != nil {
			t.Fatal(err)
		}
		d, err := ReplicasKept(from, to, nil, m)
		if err != nil || len(d.Untold) > 0 {
			t.Fatalf("%v %v", err, d.Untold)
		}
		targets := map[string]string{}
		for _, a := range m.Assignments {
			targets[a.Source.HostID] = a.Member.HostID
		}
		tokens := allTokens(source, after)
		var want []KeyspaceDifference
		for keyspace := range source.Replication {
			k := KeyspaceDifference{keyspace, 0, len(tokens)}
			for _, token := range tokens {
				if differsAt(source, after, keyspace, targets, token) {
					k.Ranges++
				}
			}
			if k.Ranges > 0 {
				want = append(want, k)
			}
		}
		(&Differences{Keyspaces: want}).sort()
		if !slices.Equal(want, d.Keyspaces) {
			t.Fatalf("want %v, got %v", want, d.Keyspaces)
		}
		for _, f := range d.First {
			end, _ := strconv.ParseInt(f.Range.End, 10, 64)
			if !differsAt(source, after, f.Keyspaces[0], targets, end) {
				t.Fatalf("%s does not differ", f)
			}
		}
		if len(want) == 0 {
			kept++
		} else {
			differed++
		}
	})
	if kept == 0 || differed == 0 {
		t.Errorf("%d rings kept their replicas and %d did not: one of both was never tried", kept, differed)
	}
}

// drawMapping draws a target ring of another order, in which racks may be mixed
// up, a node missing or one more.
func drawMapping(t *rapid.T, source Ring) (Mapping, Ring) {
	var m Mapping
	target := Ring{Partitioner: source.Partitioner}
	mixed := rapid.Bool().Draw(t, "mixed")
	places := rapid.Permutation(source.Members).Draw(t, "places")
	left := rapid.IntRange(-3, len(source.Members)-1).Draw(t, "left out")
	for i, s := range source.Members {
		if s.State == Joining || i == left && i > 0 {
			continue
		}
		member := Member{HostID: fmt.Sprint("t", i), Address: fmt.Sprint("10.1.0.", i), DC: s.DC, Rack: s.Rack, State: Normal}
		if mixed {
			member.DC, member.Rack = places[i].DC, places[i].Rack
		}
		target.Members = append(target.Members, member)
		m.Assignments = append(m.Assignments, Assignment{Source: s, Target: member.Address, Member: member})
	}
	if rapid.IntRange(0, 4).Draw(t, "one more") == 0 {
		token := rapid.Int64().Filter(func(v int64) bool { return !slices.Contains(allTokens(source), v) }).Draw(t, "its token")
		target.Members = append(target.Members, Member{HostID: "more", DC: "dc1", Rack: "r1", State: Normal, Tokens: []string{strconv.FormatInt(token, 10)}})
	}
	return m, target
}
