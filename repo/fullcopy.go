package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

const (
	// wholeFrom is the share, in percent of a pack's blobs, from which a pack is copied whole: the store copies it for the
	// price of a request, while repacking moves all of it through this machine and back.
	wholeFrom = 50
	// copiesAtOnce hides the latency of copies inside a store; each holds at most a piece of an object here.
	copiesAtOnce = 8
	// maxRounds bounds how often what is needed is looked up anew because keepers moved it.
	maxRounds = 4
)

// errMoved is matched when a keeper took away what was about to be copied: a newer shard says where it is.
var errMoved = errors.New("no longer where the index says")

// Copied counts what a self-contained copy took.
type Copied struct {
	Packs    int   // copied whole
	Repacked int   // blobs copied out of packs of which the backup needs little
	Bytes    int64 // of packs in the copy
	Inside   int64 // of these: copied by the store itself, where it can; the others went through this machine
}

// Copied returns what Commit copied for a root that is Full.
func (s *Session) Copied() Copied { return s.copied }

// fullCopy makes the self-contained copy of one backup.
type fullCopy struct {
	s    *Session
	root *Root
	in   *Repo                // as seen inside the copy
	need map[pack.ID]*portion // by pack
	keys map[pack.SessionID]roles.SealKeyID

	builder *pack.Builder
	written []pack.Info // packs of the copy that no shard names yet
	entries int
	seq     uint64
	scratch pack.Scratch

	alone sync.Mutex // one pack at a time in memory
}

// portion is what a backup needs of one pack: 4 bytes a blob, 40 MiB for ten million, when the pack buffers are empty.
type portion struct {
	want, have []uint32 // offsets, those of have are copied
	whole      bool     // the whole pack is
}

// add notes a blob. Backups name many blobs several times: what is double goes before the list grows.
func (p *portion) add(offset uint32) {
	if len(p.want) == cap(p.want) {
		p.tidy()
		p.want = slices.Grow(p.want, len(p.want)+1)
	}
	p.want = append(p.want, offset)
}

func (p *portion) tidy() {
	slices.Sort(p.want)
	p.want = slices.Compact(p.want)
}

// left keeps in want what is not copied and reports whether that is anything.
func (p *portion) left() bool {
	p.tidy()
	p.want = slices.DeleteFunc(p.want, func(at uint32) bool {
		_, ok := slices.BinarySearch(p.have, at)
		return p.whole || ok
	})
	return len(p.want) > 0
}

func (p *portion) wants(at uint32) bool {
	_, ok := slices.BinarySearch(p.want, at)
	return ok
}

// done notes that all of want is copied.
func (p *portion) done() {
	p.have = append(p.have, p.want...)
	slices.Sort(p.have)
	p.want = nil
}

// copyFull copies all that the root needs. The root is announced by then, so that keepers leave its blobs alone, or move
// them and say where to; after the commit the copy stands alone.
func (c *commit) copyFull() error {
	root := c.parts[0].Root
	if !root.Full {
		return nil
	}
	c.full = &fullCopy{s: c.s, root: root, in: c.s.repo.inside(fullTree(placeOf(c.names[0]).ID)),
		need: make(map[pack.ID]*portion), keys: make(map[pack.SessionID]roles.SealKeyID)}
	if err := c.full.run(c.s.ctx); err != nil {
		return fmt.Errorf("copy for full backup: %w", err)
	}
	return nil
}

// run copies in rounds: what a keeper moves meanwhile is looked up in the shards again. Where they still name a pack that
// is not there, that is damage; where nothing names a blob any more, the caller must store it again.
func (f *fullCopy) run(ctx context.Context) error {
	for n := 1; ; n++ {
		err := f.round(ctx)
		if !errors.Is(err, errMoved) {
			return err
		}
		var damage *DamageError
		switch {
		case n < maxRounds:
		case errors.As(err, &damage):
			return damage
		default:
			return fmt.Errorf("%w: %w", err, ErrCondemned)
		}
		if _, err := f.s.cache.Sync(ctx, f.s.source(), f.s.dom.Label); err != nil {
			return err
		}
	}
}

func (f *fullCopy) round(ctx context.Context) error {
	if err := f.plan(ctx); err != nil {
		return err
	}
	shards, err := f.s.repo.ListShards(ctx, f.s.dom.Label)
	if err != nil {
		return err
	}
	src := f.s.source()
	for _, name := range shards {
		packs, err := src.ReadShard(ctx, name)
		if vanished(err) {
			continue
		}
		if err == nil {
			err = f.fromShard(ctx, packs)
		}
		if err != nil {
			return err
		}
	}
	for id, p := range f.need {
		if p.left() {
			return fmt.Errorf("pack %s: %w", id.Short(), errMoved)
		}
	}
	return f.end(ctx)
}

// plan finds where each blob lies that the backup needs.
func (f *fullCopy) plan(ctx context.Context) error {
	for _, p := range f.need {
		p.want = nil
	}
	if err := f.add(slices.Concat([]pack.ID{f.root.Ring}, f.root.Descriptions, f.root.Refs)); err != nil {
		return err
	}
	for _, id := range f.root.Refs {
		ids, err := f.segment(ctx, id)
		if err == nil {
			err = f.add(ids)
		}
		if err != nil {
			return fmt.Errorf("reference segment %s: %w", id.Short(), err)
		}
	}
	return nil
}

func (f *fullCopy) add(ids []pack.ID) error {
	for _, id := range ids {
		loc, err := f.lookup(id)
		if err != nil {
			return err
		}
		p := f.need[loc.Pack]
		if p == nil {
			p = &portion{}
			f.need[loc.Pack] = p
		}
		p.add(loc.Offset)
	}
	return nil
}

func (f *fullCopy) lookup(id pack.ID) (index.Location, error) {
	loc, ok, err := f.s.cache.Lookup(id)
	if err == nil && !ok {
		err = fmt.Errorf("blob %s: %w", id.Short(), errMoved)
	}
	return loc, err
}

// segment reads a reference segment, which lies under the index key.
func (f *fullCopy) segment(ctx context.Context, id pack.ID) ([]pack.ID, error) {
	loc, err := f.lookup(id)
	if err != nil {
		return nil, err
	}
	name := PackName(loc.Pack)
	ids, err := f.s.repo.readRefs(ctx, f.s.dom, &f.scratch, id, name, loc.Offset, loc.Stored, loc.Plain)
	return ids, moved(name, err)
}

// moved says of an object that is missing that it may have been moved.
func moved(name string, err error) error {
	if err = asDamage(name, err); vanished(err) {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return err
}

// fromShard copies what is needed of the packs that a shard names.
func (f *fullCopy) fromShard(ctx context.Context, packs []pack.Info) error {
	var whole, some []*pack.Info
	for i := range packs {
		p := f.need[packs[i].Name]
		if p == nil || !p.left() {
			continue
		}
		most, err := p.most(&packs[i])
		switch {
		case err != nil:
			return err
		case most:
			whole = append(whole, &packs[i])
		default:
			some = append(some, &packs[i])
		}
	}
	if err := f.copyPacks(ctx, whole); err != nil {
		return err
	}
	for _, info := range some {
		if err := f.repack(ctx, info); err != nil {
			return err
		}
	}
	return nil
}

// copyPacks copies whole packs side by side and notes those that were, also when another one was not there any more.
func (f *fullCopy) copyPacks(ctx context.Context, whole []*pack.Info) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	copied, inside := make([]bool, len(whole)), make([]bool, len(whole))
	for i, info := range whole {
		g.Go(func() (err error) {
			inside[i], err = f.copyPack(gctx, info)
			copied[i] = err == nil
			return err
		})
	}
	err := g.Wait()
	for i, info := range whole {
		if !copied[i] {
			continue
		}
		f.need[info.Name].whole = true
		f.s.copied.Packs++
		if inside[i] {
			f.s.copied.Inside += int64(info.Size)
		}
		err = errors.Join(err, f.wrote(ctx, *info))
	}
	return err
}

// most reports whether enough of a pack is needed to copy it whole.
func (p *portion) most(info *pack.Info) (bool, error) {
	var all, need uint64
	found := 0
	for _, e := range info.Entries {
		all += uint64(e.Stored)
		if p.wants(e.Offset) {
			need += uint64(e.Stored)
			found++
		}
	}
	if found != len(p.want) {
		return false, &DamageError{Object: PackName(info.Name), What: "shards do not agree on what it holds"}
	}
	return need*100 >= all*wholeFrom, nil
}
