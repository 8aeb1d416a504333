package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"sync/atomic"

	"cbk/pack"
	"cbk/repo"
)

// File is a component with the SSTable and table it is of.
type File struct {
	Table     *Table
	SSTable   *SSTable
	Component *Component
}

// Content writes each component of the SSTables to the writer that create returns for it, one after another, and compares
// it with its hash before done is called. Blobs are fetched ahead, those of many small components together. A component
// that cannot be rebuilt as it was is a *repo.DamageError in the error given to done; done decides whether to go on. Where
// create was called and the component cannot be finished, done is told so in any case.
func (s *Snapshot) Content(ctx context.Context, pages []Page, create func(File) (io.Writer, error), done func(File, error) error) error {
	var tables []*Table
	var list []*SSTable
	for _, p := range pages {
		for i := range p.SSTables {
			tables, list = append(tables, p.Table), append(list, &p.SSTables[i])
		}
	}
	for len(list) > 0 {
		n := min(len(list), recipesAtOnce)
		hows, err := s.recipes(ctx, list[:n])
		if err != nil {
			return err
		}
		if err := s.rebuild(ctx, tables[:n], list[:n], hows, create, done); err != nil {
			return err
		}
		tables, list = tables[n:], list[n:]
	}
	return nil
}

// part is a component on its way.
type part struct {
	File
	how  recipe
	err  error       // why not all its blobs are known
	skip atomic.Bool // no more of it is needed
}

// rebuild writes the components of SSTables whose recipes are read.
func (s *Snapshot) rebuild(ctx context.Context, tables []*Table, list []*SSTable, hows []recipes, create func(File) (io.Writer, error), done func(File, error) error) error {
	p := &pouring{create: create, done: done}
	next := &segments{s: s}
	for i, t := range list {
		for j := range t.Components {
			one := &part{File: File{tables[i], t, &t.Components[j]}, how: hows[i].of(j)}
			if !one.Component.inlined() {
				one.err = hows[i].err
			}
			next.add(one.how)
			p.parts = append(p.parts, one)
		}
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

// wants gives the data blobs of parts in order, tagged with the number of the part. What ends it early is put in broken.
func wants(ctx context.Context, parts []*part, next *segments, broken *error) iter.Seq[repo.Want] {
	return func(yield func(repo.Want) bool) {
		for i, p := range parts {
			more := true
			*broken = next.refs(ctx, p.how, func(refs []repo.Ref, err error) bool {
				p.err = errors.Join(p.err, err)
				for _, ref := range refs {
					if more = more && yield(repo.Want{ID: ref.ID, Type: pack.Data, Tag: i}); !more || p.skip.Load() {
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
	create func(File) (io.Writer, error)
	done   func(File, error) error
	parts  []*part
	next   int       // the part that is written or comes next
	out    *verified // what there is of it, nil before it is begun
}

// blob takes the next blob of a part.
func (p *pouring) blob(w repo.Want, plain []byte, err error) error {
	if w.Tag < p.next {
		return nil // the rest of a part that has failed
	}
	if err := p.upTo(w.Tag); err != nil {
		return err
	}
	if err == nil {
		err = p.begin()
	}
	if err == nil {
		_, err = p.out.Write(plain)
	}
	if err == nil {
		return nil
	}
	p.parts[p.next].skip.Store(true)
	return p.end(err)
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

func (p *pouring) begin() error {
	if p.out != nil {
		return nil
	}
	w, err := p.create(p.parts[p.next].File)
	if err == nil {
		p.out = newVerified(w)
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
		if _, err := p.out.Write(one.Component.Inline); err != nil {
			return err
		}
	}
	return p.out.match(one.Component)
}

func (p *pouring) end(err error) error {
	one := p.parts[p.next]
	p.next, p.out = p.next+1, nil
	return p.done(one.File, err)
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

// verified counts and hashes what is written.
type verified struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func newVerified(w io.Writer) *verified { return &verified{w: w, sum: sha256.New()} }

// Write implements io.Writer.
func (v *verified) Write(b []byte) (int, error) {
	n, err := v.w.Write(b)
	v.sum.Write(b[:n])
	v.n += int64(n)
	return n, err
}

func (v *verified) match(c *Component) error {
	if v.n != c.Size || pack.ID(v.sum.Sum(nil)) != c.Hash {
		return &repo.DamageError{Object: "component", What: fmt.Sprintf("rebuilt %d bytes that do not match its %d bytes and hash", v.n, c.Size)}
	}
	return nil
}
