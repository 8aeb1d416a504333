package gcmodel

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// ErrOutgrown says that a scenario needs more packs, shards or epochs than the model holds: nothing is proved.
var ErrOutgrown = errors.New("scenario outgrows the model")

// ErrTooMany says that an exploration was ended by its limit of states: nothing is proved.
var ErrTooMany = errors.New("more states than the limit")

// Report is the outcome of an exploration.
type Report struct {
	States int      // distinct canonical states
	Trace  []string // the operations that lead to a loss, empty when no state loses a blob
}

// Explore visits every state that a scenario can reach under some rules, depth first, and stops at the first loss. Limit
// bounds the states kept (8 bytes of hash and 8 of path each). The error matches ErrOutgrown or ErrTooMany.
func Explore(sc *Scenario, rules Rules, limit int) (Report, error) {
	return (&explorer{world: newWorld(sc, rules), limit: limit}).run()
}

// Shortest is Explore breadth first: the trace is one of the shortest. It needs far more memory, for the states at the
// border, so it is for rules that lose.
func Shortest(sc *Scenario, rules Rules, limit int) (Report, error) {
	return (&explorer{world: newWorld(sc, rules), limit: limit, breadth: true}).run()
}

// node remembers how a state was reached: one choice of one actor after the parent.
type node struct {
	parent int32
	actor  uint8
	choice uint8
}

// open is a state whose successors are still to be visited.
type open struct {
	state *state
	node  int32
}

type explorer struct {
	*world
	limit   int
	breadth bool
	seed    maphash.Seed
	seen    map[uint64]struct{} // hashes; two of n states share one with odds of n²/2⁶⁵: 10⁷ states, 3 in a million
	nodes   []node
	work    []open
	buf     []byte
	lost    bool
	err     error
	tell    func(what string) // where not nil, hears of every step taken
}

func (e *explorer) run() (Report, error) {
	e.seed = maphash.MakeSeed()
	e.seen = map[uint64]struct{}{}
	start := e.start()
	e.canonise(&start)
	e.add(&start, node{parent: -1})
	for len(e.work) > 0 && !e.lost && e.err == nil {
		e.expand(e.take())
	}
	r := Report{States: len(e.nodes)}
	if e.err != nil {
		return r, fmt.Errorf("explore %s: %w", e.sc.Name, e.err)
	}
	if e.lost {
		r.Trace = e.trace()
	}
	return r, nil
}

func (e *explorer) take() open {
	if e.breadth {
		o := e.work[0]
		e.work[0].state = nil
		e.work = e.work[1:]
		return o
	}
	o := e.work[len(e.work)-1]
	e.work = e.work[:len(e.work)-1]
	return o
}

func (e *explorer) expand(o open) {
	for i := range e.sc.cast {
		choice := uint8(0)
		e.successors(o.state, i, func(next *state, what string) {
			if e.tell != nil {
				e.tell(what)
			}
			if !e.lost && e.err == nil {
				e.canonise(next)
				e.add(next, node{o.node, uint8(i), choice})
			}
			choice++
		})
	}
}

// add takes a state in if it has not been seen, and judges it.
func (e *explorer) add(s *state, n node) {
	e.buf = s.encode(e.buf[:0])
	h := maphash.Bytes(e.seed, e.buf)
	if _, known := e.seen[h]; known {
		return
	}
	e.seen[h] = struct{}{}
	e.nodes = append(e.nodes, n)
	switch {
	case s.outgrown:
		e.err = ErrOutgrown
	case len(e.nodes) > e.limit:
		e.err = ErrTooMany
	case s.lost() != 0:
		e.lost = true
	default:
		kept := *s
		e.work = append(e.work, open{&kept, int32(len(e.nodes) - 1)})
	}
}
