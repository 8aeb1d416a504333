package repo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"cbk/pack"
)

// Findings receives what a check meets. Its methods are called by several goroutines.
type Findings interface {
	// Damage reports an object that is not as written.
	Damage(*DamageError)
	// BadBlob reports a blob that a damaged object takes with it.
	BadBlob(domain string, id pack.ID, object string)
}

// Checker holds one check's state.
type Checker struct {
	repo *Repo
	inv  *Inventory
	find Findings

	buffers chan []byte // one for each pack in memory

	domains map[pack.SessionID]string // of the sessions that shards name

	Blobs atomic.Int64 // blobs named by shards
	Read  atomic.Int64 // bytes read from packs
}

// checkPacks bounds the packs in memory at a time: 128 MiB at the default size.
const checkPacks = 2

// NewChecker prepares a check of what the inventory lists.
func (r *Repo) NewChecker(inv *Inventory, find Findings) *Checker {
	c := &Checker{repo: r, inv: inv, find: find, buffers: make(chan []byte, checkPacks), domains: make(map[pack.SessionID]string)}
	for range checkPacks {
		c.buffers <- nil
	}
	return c
}

// Structure checks every object but packs: that each is what its author wrote and signed, and that no root went without a
// deletion record. Of shards and roots Packs and the caller look at the content.
func (c *Checker) Structure(ctx context.Context) error {
	for _, part := range []func(context.Context) error{c.keys, c.trust, c.records, c.chains} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withPack reads a whole pack, whose size the inventory knows, and hands it to fn.
func (c *Checker) withPack(ctx context.Context, id pack.ID, fn func(data []byte) error) error {
	size := c.inv.packs[id]
	if size > pack.MaxPack {
		return &DamageError{Object: c.repo.packName(id), What: fmt.Sprintf("%d bytes long, packs have at most %d", size, pack.MaxPack)}
	}
	buf := <-c.buffers
	defer func() { c.buffers <- buf }()
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if err := c.repo.st.ReadAt(ctx, c.repo.packName(id), 0, buf); err != nil {
		return asDamage(c.repo.packName(id), err)
	}
	c.Read.Add(size)
	return fn(buf)
}

// note reports err if it is damage and returns it otherwise.
func (c *Checker) note(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		c.find.Damage(damage)
		return nil
	}
	return err
}
