package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"cbk/repo/roles"
	"cbk/repo/store"
)

const (
	// maxKeyObjects bounds the slots and grants of a repository: 180 nodes whose grants were renewed 80 times.
	maxKeyObjects = 16 << 10
	// keyMemory bounds the key objects held between the two times that they are gone through.
	keyMemory = 8 << 20
)

// keyObjects yields the objects under keys/: first the grant that this machine keeps, so that an opener who needs no more
// asks the store for nothing.
type keyObjects struct {
	ctx  context.Context
	st   store.Store
	file string // where the grant is kept; "" = nowhere

	kept   []roles.Object
	names  []string
	listed bool
	seen   map[string][]byte
	held   int
	last   roles.Object // yielded
}

// openKeyObjects takes what is kept of a repository's key objects in stateDir.
func openKeyObjects(ctx context.Context, st store.Store, c *identity, stateDir string) *keyObjects {
	k := &keyObjects{ctx: ctx, st: st, seen: make(map[string][]byte)}
	if stateDir == "" {
		return k
	}
	k.file = filepath.Join(stateDir, "trust", c.Repository+".grant")
	f, err := os.Open(k.file)
	if err != nil {
		return k
	}
	defer f.Close()
	if b, err := io.ReadAll(io.LimitReader(f, roles.MaxGrant)); err == nil && len(b) > 0 {
		k.kept = []roles.Object{{Name: roles.KeyObjectName(b), Data: b}}
	}
	return k
}

// all is what roles.Open goes through, at most twice.
func (k *keyObjects) all() iter.Seq2[roles.Object, error] {
	return func(yield func(roles.Object, error) bool) {
		for _, o := range k.kept {
			if k.last = o; !yield(o, nil) {
				return
			}
		}
		if err := k.list(); err != nil {
			yield(roles.Object{}, err)
			return
		}
		for batch := range slices.Chunk(k.names, atOnce) {
			objects, err := k.load(batch)
			if err != nil {
				yield(roles.Object{}, err)
				return
			}
			for _, o := range objects {
				if k.last = o; !yield(o, nil) {
					return
				}
			}
		}
	}
}

func (k *keyObjects) list() error {
	if k.listed {
		return nil
	}
	k.listed = true
	err := k.st.List(k.ctx, keyPrefix, func(i store.Info) error {
		// What is larger than any grant is a stranger.
		if Classify(i.Name) != KindKey || i.Size > roles.MaxGrant {
			return nil
		}
		if len(k.names) == maxKeyObjects {
			return &DamageError{Object: keyPrefix, What: fmt.Sprintf("more than %d objects", maxKeyObjects)}
		}
		k.names = append(k.names, i.Name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("list key objects: %w", err)
	}
	return nil
}

// load gets a batch of objects side by side. What has gone since the listing is left out.
func (k *keyObjects) load(names []string) ([]roles.Object, error) {
	out := make([]roles.Object, len(names))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(k.ctx)
	for i, name := range names {
		mu.Lock()
		data, ok := k.seen[name]
		mu.Unlock()
		if ok {
			out[i] = roles.Object{Name: name, Data: data}
			continue
		}
		g.Go(func() error {
			data, err := k.st.Get(ctx, name, roles.MaxGrant)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return asDamage(name, err)
			}
			out[i] = roles.Object{Name: name, Data: data}
			mu.Lock()
			defer mu.Unlock()
			if k.held += len(data); k.held <= keyMemory {
				k.seen[name] = data
			}
			return nil
		})
	}
	err := g.Wait()
	return slices.DeleteFunc(out, func(o roles.Object) bool { return o.Name == "" }), err
}

// keep puts the grant that ended the search down on this machine. It saves requests, so a failure costs nothing else.
func (k *keyObjects) keep() error {
	if k.file == "" || len(k.last.Data) == 0 || len(k.kept) > 0 && k.kept[0].Name == k.last.Name {
		return nil
	}
	return replaceFile(k.file, k.last.Data)
}
