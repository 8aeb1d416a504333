package repo

import (
	"context"
	"errors"
	"path"
	"slices"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// Adopt gives packs that no shard names a shard, from their tails: a writer died before it wrote one. Then they live or
// die like others. Packs younger than MinAge are left alone, their writers may be at work. It holds some 100 bytes a pack, 160 MiB
// for 100 TiB. Packs whose tail cannot be read are counted as unreadable and left alone. With DryRun no shard is written.
func (r *Repo) Adopt(ctx context.Context, o GCOptions) (adopted, unreadable int, err error) {
	if err := r.must("collect garbage", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return 0, 0, err
	}
	domains, err := r.everyDomain(ctx)
	if err != nil {
		return 0, 0, err
	}
	a := newAdopter(r, o)
	err = a.run(ctx, domains)
	return a.adopted, a.unreadable, err
}

func newAdopter(r *Repo, o GCOptions) *adopter {
	return &adopter{repo: r, opt: o, known: make(map[pack.ID]bool), doomed: make(map[pack.ID]bool),
		index: make(map[[8]byte]*roles.Domain), seq: make(map[string]uint64)}
}

func (a *adopter) run(ctx context.Context, domains []string) error {
	// Tombstones are read before the packs are listed and again after the shards: a pack that another keeper is about to
	// delete has lost its shards, and must not get one.
	if err := a.condemned(ctx, domains); err != nil {
		return err
	}
	var packs []pack.ID
	err := a.repo.st.List(ctx, packPrefix, func(i store.Info) error {
		if Classify(i.Name) == KindPack && !a.young(i) {
			id, err := pack.ParseID(path.Base(i.Name))
			packs = append(packs, id)
			return err
		}
		return nil
	})
	if err == nil {
		err = a.named(ctx, domains)
	}
	if err == nil {
		err = a.condemned(ctx, domains)
	}
	for _, id := range packs {
		if err == nil && !a.known[id] && (!a.doomed[id] || len(a.broken) > 0) {
			err = a.adopt(ctx, id)
		}
	}
	return err
}

// everyDomain returns the domains there are, and those of writers that may have died in their first session.
func (r *Repo) everyDomain(ctx context.Context) ([]string, error) {
	domains, err := r.Domains(ctx)
	for p := range r.trust.Principals() {
		domains = append(domains, p.Domains...)
	}
	slices.Sort(domains)
	return slices.Compact(domains), err
}

type adopter struct {
	repo   *Repo
	opt    GCOptions
	known  map[pack.ID]bool // named by a shard
	doomed map[pack.ID]bool // condemned
	index  map[[8]byte]*roles.Domain
	seq    map[string]uint64

	repair bool                // go on where a shard cannot be read
	broken map[string][]string // such shards, by domain

	adopted, unreadable int
}

func (a *adopter) young(i store.Info) bool {
	return a.opt.MinAge > 0 && a.opt.Now().Sub(i.ModTime) < a.opt.MinAge
}

func (a *adopter) condemned(ctx context.Context, domains []string) error {
	for _, d := range domains {
		e, err := a.repo.readEpochs(ctx, d)
		if err != nil {
			return err
		}
		for id := range e.condemned {
			a.doomed[id] = true
		}
	}
	return nil
}

// named notes all packs that shards name, and the keys under which tails may be sealed.
func (a *adopter) named(ctx context.Context, domains []string) error {
	for _, d := range domains {
		all, err := a.repo.generations(d)
		if err != nil {
			return err
		}
		for _, g := range all {
			a.index[g.Index.ID] = g
		}
		shards, err := a.repo.ListShards(ctx, d)
		if err != nil {
			return err
		}
		for _, name := range shards {
			read, err := a.repo.readShard(ctx, name)
			seq, _, _ := index.ParseShardName(path.Base(name))
			a.seq[d] = max(a.seq[d], seq)
			if a.repair && spoilt(err) {
				a.broken[d] = append(a.broken[d], name)
				continue
			}
			if ignoreMissing(err) != nil {
				return err
			}
			if err != nil {
				continue // compacted meanwhile: to give its packs a second shard does no harm
			}
			for _, p := range read.packs {
				a.known[p.Name] = true
			}
		}
	}
	return nil
}

// adopt writes the shard of one pack, whose bytes must be those its name says.
func (a *adopter) adopt(ctx context.Context, id pack.ID) error {
	data, err := a.repo.st.Get(ctx, PackName(id), pack.MaxPack)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case errors.Is(err, store.ErrTooLarge): // nobody's pack
		a.unreadable++
		return nil
	case err != nil:
		return err
	}
	info, dom := a.tail(id, data)
	if info == nil {
		a.unreadable++
		return nil
	}
	if a.doomed[id] && len(a.broken[dom.Label]) == 0 {
		return nil
	}
	a.adopted++
	if a.opt.DryRun {
		return nil
	}
	a.seq[dom.Label]++
	name, shard := a.repo.sealShard(dom, a.seq[dom.Label], []pack.Info{*info})
	return a.repo.st.Create(ctx, name, shard)
}

// tail opens the table of contents of a pack, nil if it is damaged or of a domain that is not known.
func (a *adopter) tail(id pack.ID, data []byte) (*pack.Info, *roles.Domain) {
	if pack.Name(data) != id {
		return nil, nil
	}
	key, err := pack.TailKey(data)
	dom := a.index[key]
	if err != nil || dom == nil {
		return nil, nil
	}
	info, err := pack.OpenPack(data, dom.Index, pack.TailScope(a.repo.id, dom.Label))
	if err != nil {
		return nil, nil
	}
	info.Name = id
	return info, dom
}
