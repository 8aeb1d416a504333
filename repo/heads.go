package repo

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cbk/repo/store"
)

// Head is what a listing knows of a root, without having read its body.
type Head struct {
	*Root  // without Refs, Descriptions and Hash
	Object string
	Size   int64     // bytes; of a root in a copy 0
	Stored time.Time // by the store's clock; of a root in a copy zero
}

// headReaders bounds the heads that are read at a time: a listing waits for the store, not for a processor.
const headReaders = 32

const (
	// headBatch is how many listed roots are looked up at a time: enough to make handing them over cost nothing, and a
	// fraction of a page, so that the next one is listed meanwhile.
	headBatch = 250
	// headBatches are listed ahead: what a directory gives while the cache is read, about 2 MB.
	headBatches = 64
)

// Heads calls fn, several calls at a time and in no order, with the head of every root that the key can see: one LIST of
// roots and one of deletion records, and one range read for each root that this machine has not read before. The heads of
// parts are among them; abort records and roots of revoked keys that do not count are left out. Damage goes to damaged, one
// call at a time. An error of fn ends the listing and is returned as it is.
func (r *Repo) Heads(ctx context.Context, damaged func(*DamageError), fn func(*Head) error) error {
	l := &headList{repo: r, damaged: damaged, fn: fn, cache: sync.OnceValue(r.openHeadCache)}
	if err := l.list(ctx); err != nil {
		return err
	}
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(headReaders)
	for _, i := range l.cold {
		g.Go(func() error { return l.read(reading, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.cache().keep()
	return nil
}

// headList is one listing under way.
type headList struct {
	repo  *Repo
	fn    func(*Head) error
	cache func() *headCache

	mu      sync.Mutex // of what follows
	damaged func(*DamageError)
	cold    []store.Info
}

// list lists the roots. Those that were read before are handed over beside it.
func (l *headList) list(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan []store.Info, headBatches)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			l.cache()
			for batch := range batches {
				if err := l.lookUp(batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(batches)
		return l.repo.batchRoots(ctx, batches)
	})
	return g.Wait()
}

// batchRoots lists the roots in batches.
func (r *Repo) batchRoots(ctx context.Context, to chan<- []store.Info) error {
	batch := make([]store.Info, 0, headBatch)
	send := func() error {
		select {
		case to <- batch:
			batch = make([]store.Info, 0, headBatch)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := r.listRoots(ctx, "", func(i store.Info) error {
		if batch = append(batch, i); len(batch) < headBatch {
			return nil
		}
		return send()
	})
	if err != nil {
		return err
	}
	return send()
}

// lookUp hands over the heads that were read before, and keeps the others to be read.
func (l *headList) lookUp(batch []store.Info) error {
	var cold []store.Info
	for _, i := range batch {
		known, err := l.known(i)
		if err != nil {
			return err
		}
		if !known {
			cold = append(cold, i)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cold = append(l.cold, cold...)
	return nil
}

// known hands over a head that was read before. Whether its author was revoked since is judged anew.
func (l *headList) known(i store.Info) (bool, error) {
	root := &Root{At: placeOf(i.Name)}
	c := l.cache().find(root.At, i)
	if c == nil {
		return false, nil
	}
	if len(c.plain) == 0 { // an abort record
		c.used = true
		return true, nil
	}
	root.Author = c.author
	if _, err := root.decodeHead(c.plain); err != nil {
		return false, nil
	}
	if _, revoked := l.repo.trust.Revoked(root.Author); revoked {
		return false, nil
	}
	c.used = true
	return true, l.fn(&Head{Root: root, Object: i.Name, Size: i.Size, Stored: i.ModTime})
}

// read reads a head from the store.
func (l *headList) read(ctx context.Context, i store.Info) error {
	root, c, err := l.repo.readHead(ctx, i)
	if c != nil {
		l.cache().add(placeOf(i.Name), i, c)
	}
	var damage *DamageError
	switch {
	case Aborted(err), Void(err), vanished(err):
		return nil
	case errors.As(err, &damage):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.damaged(damage)
		return nil
	}
	if err != nil {
		return err
	}
	return l.fn(&Head{Root: root, Object: i.Name, Size: i.Size, Stored: i.ModTime})
}

// readHead reads the head of a root, and what the cache is to know of it: nothing where it took more than the head to
// tell whether the root counts.
func (r *Repo) readHead(ctx context.Context, i store.Info) (*Root, *cachedHead, error) {
	data := make([]byte, min(i.Size, rootPrelude+maxRootHead))
	if i.Size > 0 {
		if err := r.st.ReadAt(ctx, i.Name, 0, data); err != nil {
			return nil, nil, asDamage(i.Name, err)
		}
	}
	if !bytes.HasPrefix(data, rootMagic[:]) {
		return r.readHeadless(ctx, i, data)
	}
	sealed, _, err := splitRoot(data)
	if err != nil {
		return nil, nil, asDamage(i.Name, err)
	}
	h, err := r.openHead(ctx, i.Name, sealed)
	if err != nil {
		return nil, nil, asDamage(i.Name, err)
	}
	if _, revoked := r.trust.Revoked(h.root.Author); revoked {
		root, err := r.ReadRoot(ctx, i.Name) // its hash decides
		return root, nil, err
	}
	return h.root, &cachedHead{author: h.root.Author, plain: h.plain}, nil
}

// readHeadless reads what has no head: an abort record, whose beginning is all of it, a root in a copy, whose size the
// listing does not know, or damage.
func (r *Repo) readHeadless(ctx context.Context, i store.Info, data []byte) (*Root, *cachedHead, error) {
	if i.Size == 0 || i.Size > int64(len(data)) {
		root, err := r.ReadRoot(ctx, i.Name)
		return root, nil, err
	}
	_, err := r.parseRoot(ctx, i.Name, data)
	return nil, &cachedHead{}, asDamage(i.Name, err)
}
