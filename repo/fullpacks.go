package repo

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// copyPack has the store copy a pack, and tells whether it could. What cannot be looked into here is at least as long as
// its shard says; that its bytes are those of its name is what a check looks at, in the copy as in the original.
func (f *fullCopy) copyPack(ctx context.Context, info *pack.Info) (inside bool, err error) {
	st, src, dst := f.s.repo.st, PackName(info.Name), f.in.packName(info.Name)
	err = store.Copy(ctx, st, dst, src)
	inside = err == nil
	if errors.Is(err, store.ErrUnsupported) {
		err = f.carry(ctx, info.Name)
	}
	if err != nil {
		return false, moved(src, err)
	}
	got, err := st.Stat(ctx, dst)
	if errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("%s was swept, its attempt is dead: %w", dst, ErrCondemned)
	}
	if err != nil {
		return false, err
	}
	if got.Size != int64(info.Size) {
		return false, &DamageError{Object: src, What: fmt.Sprintf("%d bytes long, %d were written", got.Size, info.Size)}
	}
	return inside, nil
}

// carry copies a pack through this machine.
func (f *fullCopy) carry(ctx context.Context, id pack.ID) error {
	f.alone.Lock()
	defer f.alone.Unlock()
	data, err := f.s.repo.getPack(ctx, id)
	if err != nil {
		return err
	}
	return f.s.repo.st.Create(ctx, f.in.packName(id), data)
}

// getPack reads a whole pack, which must be the bytes its name says.
func (r *Repo) getPack(ctx context.Context, id pack.ID) ([]byte, error) {
	name := r.packName(id)
	data, err := r.st.Get(ctx, name, pack.MaxPack)
	if err != nil {
		return nil, asDamage(name, err)
	}
	if pack.Name(data) != id {
		return nil, &DamageError{Object: name, What: "its bytes do not match its name, and live backups need it"}
	}
	return data, nil
}

// repack moves the blobs that are needed, unread, into packs of the copy's own.
func (f *fullCopy) repack(ctx context.Context, info *pack.Info) error {
	data, err := f.s.repo.getPack(ctx, info.Name)
	if err != nil {
		return moved(PackName(info.Name), err)
	}
	if f.builder == nil {
		f.builder = pack.NewBuilder(make([]byte, 0, f.s.repo.settings.PackSize))
	}
	sessions := make(map[pack.SessionID]pack.Session)
	for _, s := range info.Sessions {
		sessions[s.ID] = s
	}
	p := f.need[info.Name]
	for _, e := range info.Entries {
		if !p.wants(e.Offset) {
			continue
		}
		if !f.builder.Fits(int(e.Stored)) || !f.builder.Admits(e.Session) {
			if err := f.putPack(ctx); err != nil {
				return err
			}
		}
		f.builder.Add(e.Type, e.ID, data[e.Offset:e.Offset+e.Stored], int(e.Plain), sessions[e.Session])
		f.s.copied.Repacked++
	}
	p.done()
	return nil
}

func (f *fullCopy) putPack(ctx context.Context) error {
	if f.builder == nil || f.builder.Empty() {
		return nil
	}
	data, info := f.builder.Finish(f.s.dom.Index, pack.TailScope(f.s.repo.id, f.s.dom.Label))
	if err := f.s.repo.st.Create(ctx, f.in.packName(info.Name), data); err != nil {
		return err
	}
	f.builder.Reset()
	return f.wrote(ctx, info)
}

// wrote notes a pack that stands in the copy. Its shard follows when a shard is full.
func (f *fullCopy) wrote(ctx context.Context, info pack.Info) error {
	f.s.copied.Bytes += int64(info.Size)
	for _, s := range info.Sessions {
		if len(s.Sealed) < len(roles.SealKeyID{}) {
			return &DamageError{Object: PackName(info.Name), What: "a session without its key"}
		}
		f.keys[s.ID] = roles.SealKeyID(s.Sealed[:len(roles.SealKeyID{})])
	}
	f.written = append(f.written, info)
	f.entries += len(info.Entries)
	if f.entries < index.MaxShardEntries-pack.MaxEntries && len(f.written) < maxCopyShard {
		return nil
	}
	return f.writeShard(ctx)
}

// maxCopyShard is the packs that one shard of a copy names: 64 GiB at the default size, far below what a shard may name.
const maxCopyShard = 1024

func (f *fullCopy) writeShard(ctx context.Context) error {
	if len(f.written) == 0 {
		return nil
	}
	f.seq++
	name, data := f.s.repo.sealShard(f.s.dom, f.seq, f.written)
	if err := f.s.repo.st.Create(ctx, f.in.within+name, data); err != nil {
		return err
	}
	f.written, f.entries = nil, 0
	return nil
}

// end writes what is still in memory.
func (f *fullCopy) end(ctx context.Context) error {
	if err := f.putPack(ctx); err != nil {
		return err
	}
	f.builder = nil
	return f.writeShard(ctx)
}

// finishFull adds to the copy what rotation has sealed anew, and last the root. It follows W5: who rotates a seal key
// after W5 finds the copy's shards and adds the sessions himself.
func (c *commit) finishFull() error {
	if c.full == nil {
		return nil
	}
	if err := c.full.overlays(c.s.ctx); err != nil {
		return fmt.Errorf("copy for full backup: %w", err)
	}
	err := c.s.repo.st.Create(c.s.ctx, c.full.in.within+c.names[0], c.data[0])
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("%s stands without its root: %w", c.full.in.within, ErrSnapshotExists)
	}
	return err
}

// overlays copies the session keys that rotation has sealed anew. A session whose seal key was retired and that has none
// is lost: its blobs must be stored again.
func (f *fullCopy) overlays(ctx context.Context) error {
	seals := f.s.repo.sealState(f.s.dom.Label)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for id, sealed := range f.keys {
		g.Go(func() error {
			found := !seals.retired[sealed]
			for _, to := range seals.inUse {
				if to == sealed {
					continue
				}
				b, err := f.s.repo.overlays(ctx, id)(to)
				if err == nil && b != nil {
					found = true
					err = f.in.putOverlay(ctx, id, b)
				}
				if err != nil {
					return err
				}
			}
			if !found {
				return fmt.Errorf("session %x was sealed to a key that is retired: %w", id[:4], ErrCondemned)
			}
			return nil
		})
	}
	return g.Wait()
}
