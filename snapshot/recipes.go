package snapshot

import (
	"context"
	"fmt"
	"slices"

	"cbk/cassandra/sstable"
	"cbk/pack"
	"cbk/repo"
)

const (
	// recipesAtOnce bounds the SSTables whose recipes are held: with 64 refs for each of eight components some 9 MiB.
	recipesAtOnce = 512
	// segmentsAtOnce bounds the recipe segments held, of 4096 refs each: 1 MiB.
	segmentsAtOnce = 8
)

// recipes are the recipes of an SSTable's components, empty for inline ones, or why they are not known.
type recipes struct {
	list []recipe
	err  error // a *repo.DamageError
}

func (r *recipes) of(i int) recipe {
	if i < len(r.list) {
		return r.list[i]
	}
	return recipe{}
}

// recipes reads the recipes of SSTables.
func (s *Snapshot) recipes(ctx context.Context, list []*SSTable) ([]recipes, error) {
	out := make([]recipes, len(list))
	wants := make([]repo.Want, len(list))
	for i, t := range list {
		wants[i] = repo.Want{ID: t.Recipe, Type: pack.Recipe, Tag: i}
	}
	err := s.rd.Fetch(ctx, slices.Values(wants), func(w repo.Want, plain []byte, err error) error {
		r := &out[w.Tag]
		if err == nil {
			if r.list, err = list[w.Tag].decodeRecipes(plain); err != nil {
				err = &repo.DamageError{Object: "blob " + w.ID.String(), What: err.Error()}
			}
		}
		if err != nil {
			r.err = fmt.Errorf("recipe: %w", err)
		}
		return nil
	})
	return out, err
}

func (t *SSTable) decodeRecipes(b []byte) ([]recipe, error) {
	n := 0
	for i := range t.Components {
		if !t.Components[i].inlined() {
			n++
		}
	}
	list, err := decodeRecipes(b, n)
	if err != nil {
		return nil, err
	}
	out := make([]recipe, len(t.Components))
	for i := range t.Components {
		if !t.Components[i].inlined() {
			out[i], list = list[0], list[1:]
		}
	}
	return out, t.checkDerived(out)
}

// checkDerived refuses recipes that derive something from a Data.db that does not give it.
func (t *SSTable) checkDerived(hows []recipe) error {
	from := byte(0)
	if i := t.data(); i >= 0 {
		from = map[byte]byte{recipeLZ4: fromPeel, recipeBlobs: fromData}[hows[i].typ]
	}
	met := false
	for i := range hows {
		if hows[i].typ != recipeDerived {
			continue
		}
		if hows[i].from != from || met {
			return fmt.Errorf("%s is derived from nothing", t.Components[i].Name)
		}
		met = true
	}
	return nil
}

// data is the number of the component Data.db, -1 where there is none.
func (t *SSTable) data() int {
	return slices.IndexFunc(t.Components, func(c Component) bool { return c.Name == sstable.Data })
}

// segments reads the segments of recipes in order, some ahead.
type segments struct {
	s     *Snapshot
	wants []repo.Want // still to be read
	ready []segment
}

type segment struct {
	refs []ref
	err  error // a *repo.DamageError
}

func (q *segments) add(how recipe) {
	if !how.segmented {
		return
	}
	for _, ref := range how.refs {
		q.wants = append(q.wants, repo.Want{ID: ref.ID, Type: pack.Recipe})
	}
}

// next returns the next segment.
func (q *segments) next(ctx context.Context) (got segment, err error) {
	if len(q.ready) == 0 {
		if err := q.read(ctx); err != nil {
			return got, err
		}
	}
	got, q.ready = q.ready[0], q.ready[1:]
	return got, nil
}

func (q *segments) read(ctx context.Context) error {
	n := min(len(q.wants), segmentsAtOnce)
	part := q.wants[:n]
	q.wants = q.wants[n:]
	return q.s.rd.Fetch(ctx, slices.Values(part), func(w repo.Want, plain []byte, err error) error {
		got := segment{err: err}
		if err == nil {
			got.refs, err = decodeSegment(plain)
		}
		if got.err == nil && err != nil {
			got.err = &repo.DamageError{Object: "blob " + w.ID.String(), What: err.Error()}
		}
		q.ready = append(q.ready, got)
		return nil
	})
}

// refs calls fn with the data refs of a recipe in order, a segment at a time, or with the damage in a segment's place. When
// fn returns false the rest of the recipe is passed over.
func (q *segments) refs(ctx context.Context, how recipe, fn func([]ref, error) bool) error {
	if !how.segmented {
		fn(how.refs, nil)
		return nil
	}
	for i := range how.refs {
		got, err := q.next(ctx)
		if err != nil {
			return err
		}
		if !fn(got.refs, got.err) {
			q.drop(len(how.refs) - i - 1)
			return nil
		}
	}
	return nil
}

func (q *segments) drop(n int) {
	held := min(n, len(q.ready))
	q.ready, q.wants = q.ready[held:], q.wants[n-held:]
}
