package repo_test

import (
	"context"
	"strings"
	"sync"

	"cbk/repo/store"
)

// vault is a store by first versions: it keeps all that was ever written, and locks it.
type vault struct {
	store.Store
	mu     sync.Mutex
	locks  map[string]store.Lock
	asked  int
	denies string // a prefix below which no lock may be set
	breaks bool   // answers nothing about locks
}

func (v *vault) Protection(context.Context) (store.Protection, error) {
	return store.Protection{Versions: true}, nil
}

func (v *vault) LockOf(_ context.Context, name string) (store.Lock, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.breaks {
		return store.Lock{}, &store.Error{Op: "ask for the lock of", Name: name, Err: errStore}
	}
	v.asked++
	return v.locks[name], nil
}

func (v *vault) SetLock(_ context.Context, name string, l store.Lock) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.denies != "" && strings.HasPrefix(name, v.denies) {
		return &store.Error{Op: "lock", Name: name, Kind: store.ErrDenied}
	}
	if l.Until.Before(v.locks[name].Until) || v.locks[name].Mode == "compliance" && l.Mode != "compliance" {
		return &store.Error{Op: "lock", Name: name, Kind: store.ErrInvalid}
	}
	v.locks[name] = l
	return nil
}

// Delete hides an object from newest, and keeps it.
func (v *vault) Delete(context.Context, string) error { return errStore }

// newest is the same store by the newest versions: what was deleted is hidden.
type newest struct {
	store.Store
	mu     sync.Mutex
	hidden map[string]bool
}

func (n *newest) hides(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hidden[name]
}

func (n *newest) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if n.hides(name) {
		return nil, &store.Error{Op: "get", Name: name, Kind: store.ErrNotFound}
	}
	return n.Store.Get(ctx, name, limit)
}

func (n *newest) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	if n.hides(name) {
		return &store.Error{Op: "read", Name: name, Kind: store.ErrNotFound}
	}
	return n.Store.ReadAt(ctx, name, off, p)
}

func (n *newest) Stat(ctx context.Context, name string) (store.Info, error) {
	if n.hides(name) {
		return store.Info{}, &store.Error{Op: "stat", Name: name, Kind: store.ErrNotFound}
	}
	return n.Store.Stat(ctx, name)
}

func (n *newest) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return n.Store.List(ctx, prefix, func(i store.Info) error {
		if n.hides(i.Name) {
			return nil
		}
		return fn(i)
	})
}

func (n *newest) Delete(_ context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hidden[name] = true
	return nil
}
