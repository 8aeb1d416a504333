package fleet

import (
	"errors"
	"fmt"
	"time"

	"cbk/cassandra/ring"
)

// States of a node in a backup.
const (
	Down     = "down"     // the seed says so: nothing was tried
	Left     = "left out" // the filter does
	Waiting  = "waiting"
	Snapshot = "snapshot" // being taken
	Ready    = "ready"    // the snapshot stands
	Upload   = "upload"
	Done     = "done"
	Before   = "recorded" // an earlier run had done it
	Failed   = "failed"
	Cleared  = "cleared" // the backup was called off
)

// Node is how a backup went at one node.
type Node struct {
	ring.Member
	State    string
	Prepared Prepared
	Stored   Stored
	Progress Progress
	Tries    int   // of the phase it is in
	Err      error // of the last one
}

// In tells whether the node's part is in the repository.
func (n *Node) In() bool { return n.State == Done || n.State == Before }

// Report is how a backup went.
type Report struct {
	Name    string
	Cluster string
	Nodes   []Node // all NORMAL members of the ring, in the order of their host ids
	Chosen  int    // of them by the filter
	Done    int    // nodes that are in
	Level   ring.Level
	// Spread is the time from the first snapshot that was asked for to the last one that stood, of this run and those it went
	// on with. By the nodes' own clocks.
	Spread time.Duration
}

// add counts.
func (r *Report) add(of ring.Ring) error {
	held := make(map[string]bool)
	var first, last time.Time
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.In() {
			held[n.HostID] = true
		}
		started, err := time.Parse(instant, n.Prepared.Started)
		ready, err2 := time.Parse(instant, n.Prepared.Ready)
		if err != nil || err2 != nil {
			continue
		}
		if first.IsZero() || started.Before(first) {
			first = started
		}
		if ready.After(last) {
			last = ready
		}
	}
	r.Done, r.Spread = len(held), max(last.Sub(first), 0)
	var err error
	r.Level, err = restorable(of, held)
	return err
}

// UnfinishedError says that a backup has not all nodes, or not all of one.
type UnfinishedError struct {
	Done, Total int
	Level       ring.Level // at which what is in can be restored
	Flawed      int        // nodes whose part lacks tables or has damaged SSTables
	First       error      // why the first that failed did; may be nil
}

// Error counts.
func (e *UnfinishedError) Error() string {
	s := fmt.Sprintf("Incomplete [%d of %d nodes]", e.Done, e.Total)
	switch {
	case e.Done == 0:
		s = fmt.Sprintf("none of %d nodes is in the backup", e.Total)
	case e.Done == e.Total:
		s = fmt.Sprintf("all %d nodes are in the backup, but what %d of them had was not whole", e.Total, e.Flawed)
	default:
		s += ", restorable at " + e.Level.String()
	}
	if e.First != nil {
		s += ": " + e.First.Error()
	}
	return s
}

// Unwrap returns the first failure.
func (e *UnfinishedError) Unwrap() error { return e.First }

// ErrAllRecorded says that every chosen node had done its part of a backup of this name before: nothing was done.
var ErrAllRecorded = errors.New("every node is in a backup of this name already")

// verdict is the error of a backup that is not complete.
func (r *Report) verdict() error {
	e := &UnfinishedError{Done: r.Done, Total: len(r.Nodes), Level: r.Level}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Stored.Missing+n.Stored.Damaged > 0 {
			e.Flawed++
		}
		if e.First == nil && n.Err != nil {
			e.First = n.Err
		}
	}
	if e.Done < e.Total || e.Flawed > 0 {
		return e
	}
	return nil
}
