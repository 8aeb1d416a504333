package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
	"cbk/pack"
	"cbk/repo"
)

// output is a component that is written, with what is derived from it.
type output struct {
	files []*verified // the component, then the derived ones
	write func(peel.Kind, []byte) error
	ended func() error // writes what is left
}

// newOutput begins a part. An output is returned with an error where some of its files were created.
func newOutput(p *part, create func(File) (io.Writer, error)) (*output, error) {
	o := &output{}
	for _, one := range append([]*part{p}, p.derived...) {
		w, err := create(one.File)
		if err != nil {
			return o.begun(), err
		}
		o.files = append(o.files, newVerified(w))
	}
	if p.how.typ == recipeLZ4 {
		return o, o.putBack(p.how.layout)
	}
	out := []io.Writer{o.files[0]}
	o.ended = func() error { return nil }
	if len(p.derived) > 0 {
		sums := sstable.NewSumsWriter(o.files[1], p.derived[0].how.length)
		out, o.ended = append(out, sums), sums.Close
	}
	all := io.MultiWriter(out...)
	o.write = func(_ peel.Kind, b []byte) error {
		_, err := all.Write(b)
		return err
	}
	return o, nil
}

// begun is nil for an output of which nothing was created.
func (o *output) begun() *output {
	if len(o.files) == 0 {
		return nil
	}
	return o
}

// putBack has the compression put back.
func (o *output) putBack(l peel.Layout) error {
	var info io.Writer
	if len(o.files) > 1 {
		info = o.files[1]
	}
	w, err := peel.NewWriter(l, o.files[0], info)
	if err != nil {
		return misfit(err)
	}
	o.write = func(k peel.Kind, b []byte) error { return misfit(w.Write(k, b)) }
	o.ended = func() error { return misfit(w.Close()) }
	return nil
}

// misfit turns runs that make no Data.db into damage: what was proven once was something else.
func misfit(err error) error {
	unfit := (*peel.UnfitError)(nil)
	if errors.Is(err, peel.ErrMalformed) || errors.As(err, &unfit) {
		return &repo.DamageError{Object: "component", What: err.Error()}
	}
	return err
}

// match compares file i, that of p, with what it was; err is what ended the output before.
func (o *output) match(i int, p *part, err error) error {
	if err != nil {
		return err
	}
	return o.files[i].match(p.Component)
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
