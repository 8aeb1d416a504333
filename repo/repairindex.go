package repo

import (
	"context"
	"errors"
	"maps"
	"slices"

	"cbk/repo/roles"
)

// IndexRepair is what RepairIndex did, or would do.
type IndexRepair struct {
	Removed    []string // shards that could not be read
	Adopted    int      // packs that no readable shard named and that have one again
	Unreadable int      // packs that none names and that do not tell what is in them
}

// RepairIndex makes shards anew that cannot be read: every pack that no other shard names, however young, gets one from its
// own tail, and then the shards that cannot be read are removed. In a domain that has such a shard condemned packs get one
// too: a keeper that was cut short may not have copied yet what backups need of them, and until now none could tell. A
// shard that a newer cbk wrote is left alone, with everything else: the error matches pack.ErrNewer. o is used for DryRun.
func (r *Repo) RepairIndex(ctx context.Context, o GCOptions) (*IndexRepair, error) {
	if err := r.must("repair the index", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return nil, err
	}
	domains, err := r.everyDomain(ctx)
	if err != nil {
		return nil, err
	}
	a := newAdopter(r, GCOptions{DryRun: o.DryRun, Now: o.Now})
	a.repair, a.broken = true, make(map[string][]string)
	err = a.run(ctx, domains)
	res := &IndexRepair{Adopted: a.adopted, Unreadable: a.unreadable}
	for _, domain := range slices.Sorted(maps.Keys(a.broken)) {
		for _, name := range a.broken[domain] {
			if err == nil && !o.DryRun {
				err = r.st.Delete(ctx, name)
			}
			if err == nil {
				res.Removed = append(res.Removed, name)
			}
		}
	}
	return res, err
}

// spoilt reports whether an object is there and cannot be read, by no newer cbk either.
func spoilt(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage) && damage.What != missing && !damage.Newer
}
