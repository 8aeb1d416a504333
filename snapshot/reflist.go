package snapshot

import (
	"io"

	"cbk/cassandra/sstable/peel"
	"cbk/pack"
	"cbk/repo"
)

// refList collects the refs of a recipe as they are made, and puts those that are too many into segments.
type refList struct {
	b       *backup
	cost    *Cost
	how     *recipe
	pending []ref
}

// stream cuts what in yields into blobs of a kind and adds them.
func (l *refList) stream(in io.Reader, sizes pack.Sizes, kind peel.Kind) error {
	added, err := l.b.s.Stream(in, sizes, func(refs []repo.Ref) error {
		for _, r := range refs {
			l.pending = append(l.pending, ref{ID: r.ID, Plain: r.Plain, Kind: kind})
		}
		for len(l.pending) >= repo.Window {
			if err := l.segment(repo.Window); err != nil {
				return err
			}
		}
		return nil
	})
	l.cost.stored(added)
	return err
}

// segment stores the first n of the refs that wait.
func (l *refList) segment(n int) error {
	body := encodeSegment(l.pending[:n])
	r, added, err := l.b.s.Put(pack.Recipe, body)
	if err != nil {
		return err
	}
	l.cost.stored(added)
	l.how.segmented = true
	l.how.refs = append(l.how.refs, ref{ID: r.ID, Plain: r.Plain})
	l.pending = append(l.pending[:0], l.pending[n:]...)
	return l.b.facts.segment(r.ID, body)
}

// end completes the recipe.
func (l *refList) end() error {
	if !l.how.segmented && len(l.pending) <= directRefs {
		l.how.refs = l.pending
		return nil
	}
	if len(l.pending) == 0 {
		return nil
	}
	return l.segment(len(l.pending))
}
