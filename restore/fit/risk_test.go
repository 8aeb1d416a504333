package fit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRisksAreWeighedAgainstWhatWasAccepted(t *testing.T) {
	warns := Risk{Code: Expired, What: "gone"}
	refuses := Risk{Code: Tombstones, Keyspace: "shop", Table: "orders", What: "old", Refuses: true}
	another := Risk{Code: Views, Keyspace: "shop", Table: "orders", What: "stale", Refuses: true}
	final := Risk{Code: Columns, Keyspace: "shop", Table: "orders", What: "lacks", Refuses: true, Final: true}
	for _, c := range []struct {
		name     string
		risks    []Risk
		accepted []string
		refused  []Risk
		idle     []string
		says     string
	}{
		{name: "no risk at all"},
		{name: "a warning refuses nothing", risks: []Risk{warns}},
		{name: "a risk refuses", risks: []Risk{warns, refuses}, refused: []Risk{refuses},
			says: "refused: tombstones: shop.orders: old; to do it all the same: --accept tombstones"},
		{name: "an accepted one does not", risks: []Risk{refuses}, accepted: []string{Tombstones}},
		{name: "those left over refuse", risks: []Risk{refuses, another, another}, accepted: []string{Tombstones}, refused: []Risk{another, another},
			says: "refused: views: shop.orders: stale, and 1 more; to do it all the same: --accept views"},
		{name: "one that is final cannot be accepted", risks: []Risk{refuses, final}, accepted: []string{Columns, Tombstones}, refused: []Risk{final},
			idle: []string{Columns}, says: "refused: columns: shop.orders: lacks; columns cannot be accepted"},
		{name: "what was accepted in vain is told once", risks: []Risk{warns}, accepted: []string{Expired, Space, Space}, idle: []string{Expired, Space}},
	} {
		t.Run(c.name, func(t *testing.T) {
			idle, err := Judge(c.risks, c.accepted)
			if diff := cmp.Diff(c.idle, idle); diff != "" {
				t.Errorf("idle (-want +got):\n%s", diff)
			}
			var refused *RefusedError
			if !errors.As(err, &refused) {
				if c.refused != nil || err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(c.refused, refused.Risks); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if err.Error() != c.says {
				t.Errorf("it says %q", err)
			}
		})
	}
}

func TestAWordThatIsNoRiskIsAnErrorOfUsage(t *testing.T) {
	_, err := Judge([]Risk{{Code: Views, Refuses: true}}, []string{Views, "everything"})
	var unknown *UnknownRiskError
	if !errors.As(err, &unknown) || unknown.Word != "everything" || !strings.Contains(err.Error(), Tombstones) {
		t.Fatal(err)
	}
}

func TestEachCodeIsToldOnceAndWithItsWeights(t *testing.T) {
	var seen []string
	for _, c := range Codes() {
		if slices.Contains(seen, c.Code) || len(c.Weights) == 0 || c.Means == "" || strings.ContainsAny(c.Code, " ,ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Errorf("%+v", c)
		}
		seen = append(seen, c.Code)
	}
}
