package snapshot

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync/atomic"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
	"cbk/pack"
	"cbk/repo"
)

// File is a component with the SSTable and table it is of.
type File struct {
	Table     *Table
	SSTable   *SSTable
	Component *Component
}

// Content writes each component of the SSTables to the writer that create returns for it and compares it with its hash
// before done is called. One is written after another, but what follows from a Data.db beside it. Blobs are fetched ahead, those of many small components together. A component
// that cannot be rebuilt as it was is a *repo.DamageError in the error given to done; done decides whether to go on. Where
// create was called and the component cannot be finished, done is told so in any case.
func (s *Snapshot) Content(ctx context.Context, pages []Page, create func(File) (io.Writer, error), done func(File, error) error) error {
	return s.pour(ctx, pages, &pouring{create: create, done: done})
}

// ContentOf is Content for the components that want chooses; blobs of the others are not read. A component that follows from
// Data.db comes with that or not at all.
func (s *Snapshot) ContentOf(ctx context.Context, pages []Page, want func(File) bool, create func(File) (io.Writer, error), done func(File, error) error) error {
	return s.pour(ctx, pages, &pouring{want: want, create: create, done: done})
}

// pour is Content with a tap.
func (s *Snapshot) pour(ctx context.Context, pages []Page, p *pouring) error {
	var tables []*Table
	var list []*SSTable
	for _, page := range pages {
		for i := range page.SSTables {
			tables, list = append(tables, page.Table), append(list, &page.SSTables[i])
		}
	}
	for len(list) > 0 {
		n := min(len(list), recipesAtOnce)
		hows, err := s.recipes(ctx, list[:n])
		if err != nil {
			return err
		}
		p.parts, p.next, p.out = nil, 0, nil
		if err := s.rebuild(ctx, tables[:n], list[:n], hows, p); err != nil {
			return err
		}
		tables, list = tables[n:], list[n:]
	}
	return nil
}

// part is a component on its way.
type part struct {
	File
	how     recipe
	err     error       // why not all its blobs are known
	skip    atomic.Bool // no more of it is needed
	derived []*part     // what comes out with it
}

// rebuild writes the components of SSTables whose recipes are read.
func (s *Snapshot) rebuild(ctx context.Context, tables []*Table, list []*SSTable, hows []recipes, p *pouring) error {
	next := &segments{s: s}
	for i, t := range list {
		parts := sstableParts(tables[i], t, &hows[i])
		if p.want != nil {
			parts = slices.DeleteFunc(parts, func(one *part) bool { return !p.want(one.File) })
		}
		p.parts = append(p.parts, parts...)
	}
	for _, one := range p.parts {
		next.add(one.how)
	}
	var broken error
	if err := s.rd.Fetch(ctx, wants(ctx, p.parts, next, &broken), p.blob); err != nil {
		return p.abandon(err)
	}
	if broken != nil {
		return p.abandon(broken)
	}
	return p.upTo(len(p.parts))
}

// sstableParts are the components of an SSTable, the derived ones as part of its Data.db.
func sstableParts(table *Table, t *SSTable, how *recipes) (parts []*part) {
	var data *part
	var derived []*part
	for j := range t.Components {
		one := &part{File: File{table, t, &t.Components[j]}, how: how.of(j)}
		if !one.Component.inlined() {
			one.err = how.err
		}
		if one.how.typ == recipeDerived {
			derived = append(derived, one)
			continue
		}
		if j == t.data() {
			data = one
		}
		parts = append(parts, one)
	}
	if data != nil {
		data.derived = derived
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(rank(a), rank(b)) })
	return parts
}

// rank puts what says how to read Data.db before it.
func rank(p *part) int {
	switch p.Component.Name {
	case sstable.Statistics, sstable.CompressionInfo, sstable.CRC:
		return 0
	}
	return 1
}

// A want's tag is the number of its part, and in the last two bits the kind of its bytes.
const kindBits = 2

// wants gives the data blobs of parts in order. What ends it early is put in broken.
func wants(ctx context.Context, parts []*part, next *segments, broken *error) iter.Seq[repo.Want] {
	return func(yield func(repo.Want) bool) {
		for i, p := range parts {
			more := true
			*broken = next.refs(ctx, p.how, func(refs []ref, err error) bool {
				p.err = errors.Join(p.err, err)
				for _, ref := range refs {
					if more = more && yield(repo.Want{ID: ref.ID, Type: pack.Data, Tag: i<<kindBits | int(ref.Kind)}); !more || p.skip.Load() {
						return false
					}
				}
				return err == nil
			})
			if *broken != nil || !more {
				return
			}
		}
	}
}

// pouring writes parts, one after another.
type pouring struct {
	want   func(File) bool // all where it is nil
	create func(File) (io.Writer, error)
	done   func(File, error) error
	tap    func(f File, k peel.Kind, plain []byte, how *recipe) // is given what a component is made of, after it was written; may be nil
	parts  []*part
	next   int     // the part that is written or comes next
	out    *output // what there is of it, nil before it is begun
}

// blob takes the next blob of a part.
func (p *pouring) blob(w repo.Want, plain []byte, err error) error {
	number, kind := w.Tag>>kindBits, peel.Kind(w.Tag&(1<<kindBits-1))
	if number < p.next {
		return nil // the rest of a part that has failed
	}
	if err := p.upTo(number); err != nil {
		return err
	}
	if err == nil {
		err = p.begin()
	}
	if err == nil {
		err = p.out.write(kind, plain)
	}
	if err == nil {
		p.tapped(kind, plain)
		return nil
	}
	p.parts[p.next].skip.Store(true)
	return p.end(err)
}

func (p *pouring) tapped(k peel.Kind, plain []byte) {
	if p.tap != nil {
		p.tap(p.parts[p.next].File, k, plain, &p.parts[p.next].how)
	}
}

// upTo completes all parts before the n-th.
func (p *pouring) upTo(n int) error {
	for p.next < n {
		if err := p.end(p.complete()); err != nil {
			return err
		}
	}
	return nil
}

func (p *pouring) begin() (err error) {
	if p.out == nil {
		p.out, err = newOutput(p.parts[p.next], p.create)
	}
	return err
}

func (p *pouring) complete() error {
	one := p.parts[p.next]
	if one.err != nil {
		return one.err
	}
	if err := p.begin(); err != nil {
		return err
	}
	if one.Component.inlined() {
		if err := p.out.write(peel.Stored, one.Component.Inline); err != nil {
			return err
		}
		p.tapped(peel.Stored, one.Component.Inline)
	}
	return p.out.ended()
}

// end tells what became of the part and of what came out with it.
func (p *pouring) end(err error) error {
	one, out := p.parts[p.next], p.out
	p.next, p.out = p.next+1, nil
	told := p.done(one.File, out.match(0, one, err))
	for i, d := range one.derived {
		told = errors.Join(told, p.done(d.File, out.match(1+i, d, err)))
	}
	return told
}

// abandon ends the part that is begun, if one is, with what ended the whole.
func (p *pouring) abandon(err error) error {
	if p.out == nil {
		return err
	}
	if told := p.end(err); told != nil {
		return told
	}
	return err
}
