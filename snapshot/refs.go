package snapshot

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"cbk/pack"
	"cbk/repo"
)

// ownSegment is the number of blobs from which an SSTable has reference segments of its own: it is likely to stay while
// its neighbours in the page come and go, and its segments with it.
const ownSegment = 1024

// refWriter writes the reference segments of one page: every blob that the page leads to, itself included. It goes over
// the same recipes that the page describes, so the two cannot differ.
type refWriter struct {
	b        *backup
	cost     *Cost
	group    []pack.ID // of small SSTables
	segments []pack.ID
}

// sstable adds the blobs of one SSTable.
func (w *refWriter) sstable(s *stored) error {
	ids := []pack.ID{s.Recipe}
	for _, how := range s.recipes {
		for _, ref := range how.refs {
			ids = append(ids, ref.ID)
			if !how.segmented {
				continue
			}
			data, err := w.b.facts.segmentRefs(ref.ID)
			if err != nil {
				return err
			}
			for _, d := range data {
				ids = append(ids, d.ID)
			}
		}
	}
	if len(ids) >= ownSegment {
		return w.write(ids)
	}
	w.group = append(w.group, ids...)
	if len(w.group) < repo.MaxRefs-ownSegment {
		return nil
	}
	group := w.group
	w.group = nil
	return w.write(group)
}

// end adds the blob that describes all the others and writes what is left.
func (w *refWriter) end(description pack.ID) error { return w.write(append(w.group, description)) }

func (w *refWriter) write(ids []pack.ID) error {
	for part := range slices.Chunk(ids, repo.MaxRefs) {
		ref, added, err := w.b.s.Put(pack.Refs, repo.EncodeRefs(part))
		if err != nil {
			return err
		}
		w.cost.stored(added)
		w.segments = append(w.segments, ref.ID)
	}
	return nil
}

// refCheck compares the reference segments of a root with what its descriptions and recipes need: gc follows the first,
// a restore the second. It holds 16 bytes of each id, 160 MiB for ten million blobs.
type refCheck struct {
	ids  [][16]byte // sorted
	used []bool
	lack int
}

func half(id pack.ID) [16]byte { return [16]byte(id[:16]) }

func compareHalf(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }

func newRefCheck(ctx context.Context, rd *repo.Reader, e *Entry) (*refCheck, error) {
	c := &refCheck{}
	err := eachSegment(ctx, rd, e.root.Refs, func(ids []pack.ID, err error) error {
		for _, id := range ids {
			c.ids = append(c.ids, half(id))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.ids, compareHalf)
	c.ids = slices.Compact(c.ids)
	c.used = make([]bool, len(c.ids))
	return c, nil
}

// eachSegment gives the content of reference segments to fn, or the damage in its place.
func eachSegment(ctx context.Context, rd *repo.Reader, segments []pack.ID, fn func(ids []pack.ID, err error) error) error {
	wants := func(yield func(repo.Want) bool) {
		for _, id := range segments {
			if !yield(repo.Want{ID: id, Type: pack.Refs}) {
				return
			}
		}
	}
	return rd.Fetch(ctx, wants, func(w repo.Want, plain []byte, err error) error {
		if err != nil {
			return fn(nil, err)
		}
		ids, err := repo.DecodeRefs(plain)
		if err != nil {
			return fn(nil, &repo.DamageError{Object: "blob " + w.ID.String(), What: err.Error()})
		}
		return fn(ids, nil)
	})
}

// use notes that a restore needs a blob.
func (c *refCheck) use(id pack.ID) {
	if c == nil {
		return
	}
	if i, ok := slices.BinarySearchFunc(c.ids, half(id), compareHalf); ok {
		c.used[i] = true
		return
	}
	c.lack++
}

// verdict returns an error if the two sets differ.
func (c *refCheck) verdict(root string) error {
	switch {
	case c == nil:
		return nil
	case c.lack > 0:
		return &repo.DamageError{Object: root, What: "its references lack blobs that its recipes need: gc would take them away"}
	case slices.Contains(c.used, false):
		return &repo.DamageError{Object: root, What: "its references name blobs that its recipes do not need"}
	}
	return nil
}

// segmentRefs returns the refs of a segment that this backup stored or found unchanged.
func (f *facts) segmentRefs(id pack.ID) ([]ref, error) {
	b, err := f.s.Facts().Fact(append([]byte{'g'}, id[:]...))
	if err != nil {
		return nil, err
	}
	if len(b) < 8 {
		return nil, errors.New("local cache lost the segment " + id.Short() + ": run the backup again")
	}
	return decodeSegment(b[8:])
}
