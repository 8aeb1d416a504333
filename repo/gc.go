package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// GCOptions bound what one run of garbage collection does. Both times only save work or spare running restores: safety
// depends on neither, nor on any clock.
type GCOptions struct {
	Grace  time.Duration // packs are deleted when the tombstone that condemns them is at least this old
	MinAge time.Duration // younger packs are not condemned, and sessions not taken for dead
	Now    func() time.Time
}

// GCResult counts what a run did.
type GCResult struct {
	Condemned     int   // packs newly condemned
	Deleted       int   // packs deleted
	BytesFreed    int64 // their sizes
	Copied        int   // live blobs copied out of condemned packs
	Aborted       int   // dead sessions ended
	AbortsLost    int   // sessions that committed while they were being ended
	EpochsTaken   int   // times another keeper was first
	Tidied        int   // pending roots removed
	ShardsRemoved int
	Epoch         string // name of the tombstone that was made, "" if none
}

// maxRetries bounds how often a keeper starts over because another one was first.
const maxRetries = 100

// GC collects one domain: the steps K0 to K3 of the protocol in docs/gc.md. It may run beside writers and other keepers.
// It refuses a domain in which anything that says what is alive cannot be read; the error is then a *DamageError.
func (r *Repo) GC(ctx context.Context, domain string, o GCOptions) (*GCResult, error) {
	if err := r.must("collect garbage", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return nil, err
	}
	if err := r.refreshOnce(ctx); err != nil {
		return nil, err
	}
	k := &keeper{repo: r, domain: domain, opt: o, res: &GCResult{}}
	if err := k.condemn(ctx); err != nil {
		return nil, fmt.Errorf("gc of %s: %w", domain, err)
	}
	// K2, always this keeper's own: nothing records that another's was finished.
	if err := k.rescue(ctx); err != nil {
		return nil, fmt.Errorf("gc of %s: %w", domain, err)
	}
	if err := errors.Join(k.sweep(ctx), k.removeParts(ctx)); err != nil {
		return nil, fmt.Errorf("gc of %s: %w", domain, err)
	}
	return k.res, nil
}

// condemn is K0 and K1: find dead packs and create the next tombstone. If another keeper takes the number, its tombstone
// is read and all is looked at anew.
func (k *keeper) condemn(ctx context.Context) error {
	for range maxRetries {
		if err := k.tidy(ctx); err != nil {
			return err
		}
		w, err := k.look(ctx)
		if err != nil {
			return err
		}
		dead, err := k.plan(ctx, w)
		if err != nil || len(dead) == 0 {
			return err
		}
		if err := k.noteGone(ctx, w.view); err != nil {
			return err
		}
		taken, err := k.repo.createEpoch(ctx, k.domain, w.view, dead)
		if err != nil {
			return err
		}
		if !taken {
			k.res.Condemned += len(dead)
			k.res.Epoch = epochName(k.domain, w.view.newest+1)
			return nil
		}
		k.res.EpochsTaken++
	}
	return fmt.Errorf("other keepers took %d tombstones in a row: try again later", maxRetries)
}

// maxOneEpoch bounds the packs condemned by one run; the next condemns more.
const maxOneEpoch = 1 << 16

// repackBelow is the live share, in percent of a pack's blobs, below which its live part is copied and the pack given up.
const repackBelow = 60

// plan names the packs that should go: those with nothing alive, and those with little, whose live blobs are then copied.
func (k *keeper) plan(ctx context.Context, w *world) (dead []pack.ID, err error) {
	live := make([]uint64, len(w.packs))
	for i, b := range w.blobs {
		if w.live.has(i) {
			live[b.pack] += uint64(b.stored &^ lostHolder)
		}
	}
	for i, p := range w.packs {
		if w.view.condemned[p.name] || live[i]*100 >= p.content*repackBelow && p.content > 0 {
			continue
		}
		young, err := k.young(ctx, PackName(p.name))
		if err != nil {
			return nil, err
		}
		if !young && len(dead) < maxOneEpoch {
			dead = append(dead, p.name)
		}
	}
	return dead, nil
}

func (k *keeper) young(ctx context.Context, name string) (bool, error) {
	if k.opt.MinAge <= 0 {
		return false, nil
	}
	info, err := k.repo.st.Stat(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil // another keeper was faster; to condemn it once more does no harm
	}
	return !k.past(info.ModTime, k.opt.MinAge), err
}

// tidy ends sessions that have been silent for MinAge, and removes pending roots whose fate is decided. Pending is listed
// before the roots: a session that commits in between is seen in one of the two.
func (k *keeper) tidy(ctx context.Context) error {
	var pending []store.Info
	err := k.repo.st.List(ctx, pendPrefix+k.domain+"/", func(i store.Info) error {
		if Classify(i.Name) == KindPending {
			pending = append(pending, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range pending {
		if err := k.settle(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) settle(ctx context.Context, p store.Info) error {
	pending, err := k.repo.readPending(ctx, p.Name)
	if err != nil {
		return ignoreMissing(err)
	}
	// The fate of a part is that of its main root, whose domain any keeper may write.
	main := sibling(rootPrefix, p.Name)
	if pending.Main != nil {
		main = pending.Main.Name()
	}
	f, err := k.repo.fateOf(ctx, main)
	if err != nil {
		return err
	}
	if f == undecided {
		if !k.past(p.ModTime, k.opt.MinAge) {
			return nil
		}
		if f, err = k.end(ctx, main); err != nil {
			return err
		}
	}
	if f == dead && pending.Main != nil {
		if err := k.repo.buryPart(ctx, sibling(rootPrefix, p.Name), main); err != nil {
			return err
		}
	}
	k.res.Tidied++
	return k.repo.st.Delete(ctx, p.Name)
}

// removeParts removes committed parts of roots that are dead; as backups they ended with their main roots.
func (k *keeper) removeParts(ctx context.Context) error {
	for _, p := range k.parts {
		k.res.Tidied++
		if err := k.repo.buryPart(ctx, p.name, p.main); err != nil {
			return err
		}
	}
	return nil
}

// end closes a session that was silent for too long. Age decided when to try; who creates the object at the root's name
// decides the outcome.
func (k *keeper) end(ctx context.Context, main string) (fate, error) {
	won, err := k.repo.abort(ctx, main, "silent for too long")
	if err != nil || !won {
		k.res.AbortsLost++
		return committed, err
	}
	k.res.Aborted++
	return dead, nil
}

// rescue is K2: with roots and shards read again, after the tombstone stands, every live blob whose holders are all
// condemned is copied, and its new shard written, before anything may be deleted.
func (k *keeper) rescue(ctx context.Context) error {
	for range maxRetries {
		err := k.rescueOnce(ctx)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.What != missing {
			return err
		}
		// A shard or pack that another keeper has just given up is no damage: what was in it is elsewhere.
		w, failed := k.look(ctx)
		if failed != nil {
			return failed
		}
		if w.mentions(damage.Object) {
			return err
		}
	}
	return fmt.Errorf("the domain changed while live blobs were copied, %d times in a row: try again later", maxRetries)
}

func (k *keeper) rescueOnce(ctx context.Context) error {
	w, err := k.look(ctx)
	if err != nil {
		return err
	}
	k.world = w
	need := w.doomed()
	if len(need) == 0 {
		return nil
	}
	copiers := make(map[uint32]*copier) // by generation: blobs stay under the keys they are sealed under
	for _, source := range need {
		if source.info, err = k.info(ctx, source.from, source.info.Name); err != nil {
			return err
		}
		c := copiers[source.dom.Generation]
		if c == nil {
			c = &copier{keeper: k, dom: source.dom, builder: pack.NewBuilder(make([]byte, 0, k.repo.settings.PackSize))}
			copiers[source.dom.Generation] = c
		}
		if err := c.from(ctx, source); err != nil {
			return err
		}
	}
	for _, c := range copiers {
		if err := c.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// info returns what a shard says of a pack.
func (k *keeper) info(ctx context.Context, shard string, id pack.ID) (pack.Info, error) {
	read, err := k.repo.readShard(ctx, shard)
	if err != nil {
		return pack.Info{}, err
	}
	i := slices.IndexFunc(read.packs, func(p pack.Info) bool { return p.Name == id })
	if i < 0 {
		return pack.Info{}, &DamageError{Object: shard, What: "it no longer names pack " + id.String()}
	}
	return read.packs[i], nil
}

// copier moves sealed blobs of one generation, unread, from condemned packs into a pack of its own.
type copier struct {
	*keeper
	dom     *roles.Domain
	builder *pack.Builder
	written []pack.Info
}

// from copies the wanted blobs of one pack, which must be the bytes its name says: what a damaged pack holds is damage,
// not garbage.
func (c *copier) from(ctx context.Context, s *salvage) error {
	data, err := c.repo.getPack(ctx, s.info.Name)
	if err != nil {
		return err
	}
	session := make(map[pack.SessionID]pack.Session)
	for _, x := range s.info.Sessions {
		session[x.ID] = x
	}
	for _, e := range s.info.Entries {
		if !s.want[e.ID] {
			continue
		}
		if !c.builder.Fits(int(e.Stored)) || !c.builder.Admits(e.Session) {
			if err := c.put(ctx); err != nil {
				return err
			}
		}
		c.builder.Add(e.Type, e.ID, data[e.Offset:e.Offset+e.Stored], int(e.Plain), session[e.Session])
		c.res.Copied++
	}
	return nil
}

func (c *copier) put(ctx context.Context) error {
	if c.builder.Empty() {
		return nil
	}
	data, info := c.builder.Finish(c.dom.Index, pack.TailScope(c.repo.id, c.domain))
	if err := c.repo.st.Create(ctx, PackName(info.Name), data); err != nil {
		return err
	}
	c.written = append(c.written, info)
	c.builder.Reset()
	return nil
}

func (c *copier) finish(ctx context.Context) error {
	if err := c.put(ctx); err != nil {
		return err
	}
	return c.writeShards(ctx, c.dom, c.written)
}
