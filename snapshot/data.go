package snapshot

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
)

// RecipeUse counts the files of a backup that are stored by one recipe. BytesPlain is what was cut into blobs for them:
// 0 of files that were not read again. Chunks are those of Data.db files that were read.
type RecipeUse struct {
	Recipe       string `json:"recipe"`
	Reason       string `json:"reason,omitempty"` // why no better one
	Files        int    `json:"files"`
	BytesSource  int64  `json:"bytes_source"`
	BytesPlain   int64  `json:"bytes_plain"`
	Chunks       int    `json:"chunks,omitempty"`
	ChunksStored int    `json:"chunks_verbatim,omitempty"` // kept as they stand in the file
	ChunksBroken int    `json:"chunks_damaged,omitempty"`  // of these: damaged at the source
}

// recipeUses adds up by recipe and reason. Safe for concurrent use.
type recipeUses struct {
	mu  sync.Mutex
	all []RecipeUse
}

func (u *recipeUses) add(n RecipeUse) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i := slices.IndexFunc(u.all, func(o RecipeUse) bool { return o.Recipe == n.Recipe && o.Reason == n.Reason })
	if i < 0 {
		u.all = append(u.all, n)
		return
	}
	o := &u.all[i]
	o.Files += n.Files
	o.BytesSource += n.BytesSource
	o.BytesPlain += n.BytesPlain
	o.Chunks += n.Chunks
	o.ChunksStored += n.ChunksStored
	o.ChunksBroken += n.ChunksBroken
}

// sorted returns the counts by recipe and reason.
func (u *recipeUses) sorted() []RecipeUse {
	slices.SortFunc(u.all, func(a, b RecipeUse) int {
		return cmp.Or(strings.Compare(a.Recipe, b.Recipe), strings.Compare(a.Reason, b.Reason))
	})
	return u.all
}

// index is the number of a component, -1 where there is none.
func (w *writing) index(component string) int {
	return slices.IndexFunc(w.in.Files, func(f node.File) bool { return f.Name == w.prefix+component })
}

// data stores Data.db by the best recipe, and with it the one of CompressionInfo.db and CRC.db that is there: it is left
// for later if it does not follow from Data.db.
func (w *writing) data(ctx context.Context) error {
	i := w.index(sstable.Data)
	if i < 0 || w.in.Files[i].Size <= inlineLimit {
		return nil
	}
	info, sums := w.index(sstable.CompressionInfo), w.index(sstable.CRC)
	beside := max(info, sums)
	derives := beside >= 0 && w.in.Files[beside].Size > inlineLimit
	if w.unchanged(i) && (!derives || w.unchanged(beside)) {
		w.done(i, w.known[w.in.Files[i].Name], nil, 0, "")
		if derives {
			w.done(beside, w.known[w.in.Files[beside].Name], nil, 0, "")
		}
		return nil
	}
	switch {
	case w.b.opt.Recipe == RecipeBlobs:
		return w.content(ctx, i, "asked")
	case info >= 0:
		err := w.peel(ctx, i, info)
		if unfit := (*peel.UnfitError)(nil); errors.As(err, &unfit) {
			return w.content(ctx, i, unfit.Reason)
		}
		return err
	case derives:
		return w.summed(ctx, i, sums)
	}
	return w.content(ctx, i, "")
}

// pair opens two files.
func (w *writing) pair(ctx context.Context, i, j int) (a, b *reading, err error) {
	if a, err = w.open(ctx, i); err != nil {
		return nil, nil, err
	}
	if b, err = w.open(ctx, j); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, b, nil
}

// peel stores a Data.db without its compression. The error matches *peel.UnfitError where that cannot be done.
func (w *writing) peel(ctx context.Context, i, j int) error {
	data, info, err := w.pair(ctx, i, j)
	if err != nil {
		return err
	}
	defer data.Close()
	defer info.Close()
	rebuilt, read, derived := w.fingerprint(i), w.fingerprint(j), sha256.New()
	side := bufio.NewReader(io.TeeReader(info, read))
	r, err := peel.NewReader(data, data.fact.size, side, w.in.Desc.Version, peel.Proof{Data: rebuilt, CompressionInfo: derived})
	if err != nil {
		return err
	}
	data.fact.how = recipe{typ: recipeLZ4, layout: r.Layout()}
	plain, err := w.runs(r, &data.fact.how)
	if err == nil {
		err = data.whole()
	}
	if err != nil {
		return data.fail(err)
	}
	if err := errors.Join(drain(side), info.whole()); err != nil {
		return info.fail(err)
	}
	if n := r.Stats().Damaged; n > 0 {
		data.fact.spoil(fmt.Errorf("%d of %d chunks of Data.db do not match their checksums", n, r.Stats().Chunks))
	}
	rebuilt.end(w, i, &data.fact)
	read.end(w, j, &info.fact)
	w.done(i, data.fact, nil, plain, "")
	w.b.uses.add(RecipeUse{Recipe: RecipeLZ4, Chunks: r.Stats().Chunks, ChunksStored: r.Stats().Stored, ChunksBroken: r.Stats().Damaged})
	w.derive(j, info, derived.Sum(nil), recipe{typ: recipeDerived, from: fromPeel})
	return nil
}

// runs stores the runs of a Data.db and returns their size.
func (w *writing) runs(r *peel.Reader, how *recipe) (int64, error) {
	refs := refList{b: w.b, cost: w.cost, how: how}
	counted := &countedReader{r: r}
	for {
		kind, err := r.Next()
		if errors.Is(err, io.EOF) {
			return counted.n, refs.end()
		}
		if err != nil {
			return 0, err
		}
		if err := refs.stream(counted, w.b.s.DataSizes(), kind); err != nil {
			return 0, err
		}
	}
}

// summed stores an uncompressed Data.db beside its CRC.db.
func (w *writing) summed(ctx context.Context, i, j int) error {
	data, sums, err := w.pair(ctx, i, j)
	if err != nil {
		return err
	}
	defer data.Close()
	defer sums.Close()
	whole, read, derived := w.fingerprint(i), w.fingerprint(j), sha256.New()
	side := bufio.NewReader(io.TeeReader(sums, read))
	head, err := sstable.NewSums(side)
	if err != nil {
		return w.content(ctx, i, "") // whoever cannot read CRC.db meets that again when it is stored
	}
	made := sstable.NewSumsWriter(derived, head.ChunkSize)
	if err := w.blobs(data, io.TeeReader(data, io.MultiWriter(whole, made))); err != nil {
		return data.fail(err)
	}
	if err := errors.Join(data.whole(), made.Close()); err != nil {
		return data.fail(err)
	}
	if err := errors.Join(drain(side), sums.whole()); err != nil {
		return sums.fail(err)
	}
	whole.end(w, i, &data.fact)
	read.end(w, j, &sums.fact)
	w.done(i, data.fact, nil, data.fact.size, "")
	w.derive(j, sums, derived.Sum(nil), recipe{typ: recipeDerived, from: fromData, length: head.ChunkSize})
	return nil
}

// derive stores nothing for a component whose bytes follow from Data.db.
func (w *writing) derive(j int, in *reading, derived []byte, how recipe) {
	if in.fact.size <= inlineLimit || !bytes.Equal(in.fact.hash[:], derived) {
		return
	}
	in.fact.how = how
	w.done(j, in.fact, nil, 0, "")
}

func drain(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read to the end: %w", err)
	}
	return nil
}

// countedReader counts what is read.
type countedReader struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
