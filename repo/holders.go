package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// lookup finds a blob in the shards as last read.
func (rd *Reader) lookup(id pack.ID) (located, bool, error) {
	rd.shards.RLock()
	defer rd.shards.RUnlock()
	for i := range rd.books {
		loc, ok, err := rd.books[i].cache.Lookup(id)
		if err != nil || ok {
			return located{loc, &rd.books[i]}, ok, err
		}
	}
	return located{}, false, nil
}

// place gives an item its location, if a shard names it.
func (rd *Reader) place(it *item) (err error) {
	it.loc, it.placed, err = rd.lookup(it.want.ID)
	return err
}

// astray reports whether it is open where to read an item.
func (rd *Reader) astray(it *item) bool {
	return it.err == nil && (!it.placed || rd.isGone(it.loc.Pack))
}

func (rd *Reader) isGone(id pack.ID) bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.gone[id]
}

// lose notes that a pack is not there. The shards are worth another look then: gc deletes a pack after its blobs were
// copied and the copies named.
func (rd *Reader) lose(id pack.ID) {
	rd.shards.Lock()
	defer rd.shards.Unlock()
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if !rd.gone[id] {
		rd.gone[id], rd.reloaded = true, false
	}
}

// reload reads the shards once more, unless that was done since a pack was last found gone.
func (rd *Reader) reload(ctx context.Context) error {
	rd.shards.Lock()
	defer rd.shards.Unlock()
	if rd.reloaded {
		return nil
	}
	err := rd.sync(ctx, func(*DamageError) {}) // told by who opened the reader
	rd.reloaded = err == nil
	return err
}

// lost is the verdict on a blob that no shard names. A shard that could not be read is the likely reason.
func (rd *Reader) lost(id pack.ID) error {
	rd.shards.RLock()
	defer rd.shards.RUnlock()
	if len(rd.unread) > 0 {
		d := rd.unread[0]
		return &DamageError{Object: d.Object, What: fmt.Sprintf("%s; no other shard names blob %s", d.What, id)}
	}
	return &DamageError{Object: rd.repo.within + indexPrefix + rd.label, What: "no shard names blob " + id.String()}
}

// heal finds another place for every item that is astray, or gives it its verdict: the shards are reloaded once for all
// of them, and where they still name only packs that are gone, gone through once for other holders.
func (rd *Reader) heal(ctx context.Context, items []item) error {
	if err := rd.reload(ctx); err != nil {
		return err
	}
	ids := make(map[pack.ID]bool)
	for i := range items {
		it := &items[i]
		if !rd.astray(it) {
			continue
		}
		if err := rd.place(it); err != nil {
			return err
		}
		switch {
		case it.placed && rd.isGone(it.loc.Pack), !it.placed && rd.repo.revokedAny():
			ids[it.want.ID] = true
		case !it.placed:
			it.err = rd.lost(it.want.ID)
		}
	}
	others, err := rd.holders(ctx, ids)
	if err != nil {
		return err
	}
	for i := range items {
		if it := &items[i]; rd.astray(it) {
			rd.settle(it, others[it.want.ID])
		}
	}
	return nil
}

// revokedAny reports whether some key was revoked. Backups leave out the shards of such keys, and share their index with
// the readers of this machine: what it lacks may yet be in the store.
func (r *Repo) revokedAny() bool {
	for p := range r.trust.Principals() {
		if _, dead := r.trust.Revoked(p.ID); dead {
			return true
		}
	}
	return false
}

// settle places an item at the first holder that is not known to be gone.
func (rd *Reader) settle(it *item, others []located) {
	for _, loc := range others {
		if !rd.isGone(loc.Pack) {
			it.loc, it.placed = loc, true
			return
		}
	}
	if !it.placed {
		it.err = rd.lost(it.want.ID)
		return
	}
	it.err = &DamageError{Object: rd.repo.packName(it.loc.Pack), What: missing}
}

// holders goes through the shards of the store once and returns every place at which one of the blobs lies. The local
// index keeps only one of them, because hardly a blob has two: racing sessions and gc's copies make them.
func (rd *Reader) holders(ctx context.Context, ids map[pack.ID]bool) (map[pack.ID][]located, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make(map[pack.ID][]located)
	_, err := rd.eachPack(ctx, func(p *pack.Info, in *book) error {
		addHolder(found, ids, p, in)
		return nil
	})
	return found, err
}

// eachPack goes through the shards of the store and calls fn once for each pack that they name. Shards that cannot be read
// are left out; moved says that one went after it was listed, so that what replaced it was not seen.
func (rd *Reader) eachPack(ctx context.Context, fn func(*pack.Info, *book) error) (moved bool, err error) {
	names, err := rd.repo.ListShards(ctx, rd.label)
	if err != nil {
		return false, fmt.Errorf("list index shards: %w", err)
	}
	seen := make(map[pack.ID]bool)
	for _, name := range names {
		shard, err := rd.repo.readShard(ctx, name)
		if isDamage(err) {
			moved = moved || vanished(err)
			continue // noted when it was loaded, or gone since
		}
		if err != nil {
			return moved, err
		}
		in := rd.book(shard.dom.Generation)
		for i := range shard.packs {
			p := &shard.packs[i]
			if in == nil || seen[p.Name] {
				continue
			}
			seen[p.Name] = true
			if err := fn(p, in); err != nil {
				return moved, err
			}
		}
	}
	return moved, nil
}

// maxElsewhere bounds the blobs for which Elsewhere looks: 100 MiB.
const maxElsewhere = maxBadBlobs

// Elsewhere returns, of the blobs that bad says a pack does not hold as written, those that another pack holds, and which. It
// goes through the shards twice. Of more than a million such blobs it looks for some.
func (rd *Reader) Elsewhere(ctx context.Context, bad func(holder, blob pack.ID) bool) (map[pack.ID]pack.ID, error) {
	ids := make(map[pack.ID]bool)
	err := rd.eachEntry(ctx, func(holder, blob pack.ID) {
		if len(ids) < maxElsewhere && bad(holder, blob) {
			ids[blob] = true
		}
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found := make(map[pack.ID]pack.ID)
	return found, rd.eachEntry(ctx, func(holder, blob pack.ID) {
		if ids[blob] && !bad(holder, blob) {
			found[blob] = holder
		}
	})
}

// eachEntry calls fn for every blob of every pack that a shard names which can be read.
func (rd *Reader) eachEntry(ctx context.Context, fn func(holder, blob pack.ID)) error {
	names, err := rd.repo.ListShards(ctx, rd.label)
	if err != nil {
		return fmt.Errorf("list index shards: %w", err)
	}
	for _, name := range names {
		shard, err := rd.repo.readShard(ctx, name)
		if isDamage(err) {
			continue // noted when it was loaded, or gone since
		}
		if err != nil {
			return err
		}
		for i := range shard.packs {
			for _, e := range shard.packs[i].Entries {
				fn(shard.packs[i].Name, e.ID)
			}
		}
	}
	return nil
}

// book returns that of a generation of keys, nil for one younger than the reader.
func (rd *Reader) book(generation uint32) *book {
	for i := range rd.books {
		if rd.books[i].dom.Generation == generation {
			return &rd.books[i]
		}
	}
	return nil
}

func addHolder(found map[pack.ID][]located, ids map[pack.ID]bool, p *pack.Info, in *book) {
	sessions := make(map[pack.SessionID]pack.Session, len(p.Sessions))
	for _, s := range p.Sessions {
		sessions[s.ID] = s
	}
	for _, e := range p.Entries {
		if ids[e.ID] {
			found[e.ID] = append(found[e.ID], located{in: in, Location: index.Location{Type: e.Type, Pack: p.Name, PackSize: p.Size,
				Offset: e.Offset, Stored: e.Stored, Plain: e.Plain, Session: sessions[e.Session]}})
		}
	}
}

// read reads and opens one blob where loc says it lies.
func (rd *Reader) read(ctx context.Context, w *Scratch, dst []byte, loc *located, want Want) ([]byte, error) {
	if cap(w.sealed) < int(loc.Stored) {
		w.sealed = make([]byte, loc.Stored)
	}
	w.sealed = w.sealed[:loc.Stored]
	if err := rd.repo.st.ReadAt(ctx, rd.repo.packName(loc.Pack), int64(loc.Offset), w.sealed); err != nil {
		return nil, err
	}
	return rd.open(ctx, w, dst, loc, want, w.sealed)
}

// open authenticates and decodes a sealed blob. The error is a *DamageError where the bytes are not what was wanted.
func (rd *Reader) open(ctx context.Context, w *Scratch, dst []byte, loc *located, want Want, sealed []byte) ([]byte, error) {
	name := rd.repo.packName(loc.Pack)
	if loc.Type != want.Type {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s is of type %d, %d belongs there", want.ID.Short(), loc.Type, want.Type)}
	}
	key, err := rd.keyFor(ctx, loc)
	if err != nil {
		return nil, asDamage(name, err)
	}
	plain, err := loc.in.opener.Open(dst, &w.pack, key, loc.Type, want.ID, sealed, int(loc.Plain))
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s: %v", want.ID.Short(), err)}
	}
	return plain, nil
}

// readAny reads a blob from the first of its holders that gives it. What is not as written is no error but the next
// holder's turn; failed is the verdict when none is left.
func (rd *Reader) readAny(ctx context.Context, w *Scratch, dst []byte, holders []located, want Want, failed error) ([]byte, error) {
	for i := range holders {
		plain, err := rd.read(ctx, w, dst, &holders[i], want)
		if err == nil {
			return plain, nil
		}
		if !another(asDamage(rd.repo.packName(holders[i].Pack), err)) {
			return nil, err
		}
	}
	return nil, failed
}

// another reports whether a blob that was not read for this reason is worth looking for at its other holders: they may
// lie in sessions whose keys were lent.
func another(err error) bool { return isDamage(err) || errors.Is(err, roles.ErrNotLent) }

func isDamage(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage)
}

func isMissing(err error) bool { return errors.Is(err, store.ErrNotFound) }
