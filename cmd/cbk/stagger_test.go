package main

import (
	"fmt"
	"testing"
	"time"

	"cbk/cassandra/ring"
)

func TestTheTurnsOfARingAreSpreadEvenly(t *testing.T) {
	r := ring.Ring{}
	for i := range 180 {
		r.Members = append(r.Members, ring.Member{HostID: fmt.Sprintf("%08X-0000", (i*7919)%180), State: ring.Normal})
	}
	seen := make(map[time.Duration]bool)
	for _, m := range r.Members {
		seen[slot(r, m.HostID, 3*time.Hour)] = true
	}
	for i := range 180 {
		if !seen[time.Duration(i)*time.Minute] {
			t.Errorf("nobody's turn is %d minutes in", i)
		}
	}
}

// A node that joins, or does not know its ring, still takes the same turn every night.
func TestANodeOutsideTheRingHasATurnOfItsOwn(t *testing.T) {
	r := ring.Ring{Members: []ring.Member{{HostID: "a", State: ring.Normal}}}
	x, y := slot(r, "B", time.Hour), slot(ring.Ring{}, "b", time.Hour)
	if x != y || x < 0 || x >= time.Hour || x == slot(r, "c", time.Hour) {
		t.Errorf("turns %s, %s", x, y)
	}
}
