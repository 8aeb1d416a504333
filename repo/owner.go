package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// maxActs bounds how often an owner's act is repeated because another owner was first.
const maxActs = 20

// act has the owner act and writes the objects that make it true, trust statements last. Where another owner was first,
// the trust log is read again and the act repeated.
func (r *Repo) act(ctx context.Context, do func(*roles.Owner) ([]roles.Object, error)) error {
	if err := r.must("change keys", roles.RoleOwner); err != nil {
		return err
	}
	for range maxActs {
		if err := r.refreshOnce(ctx); err != nil {
			return err
		}
		owner, err := roles.OpenOwner(r.Key())
		if err != nil {
			return err
		}
		objects, err := do(owner)
		if err != nil {
			return err
		}
		err = r.write(ctx, objects)
		if errors.Is(err, store.ErrExists) {
			r.forgetRead()
			continue
		}
		if err != nil {
			return err
		}
		if err = r.refresh(ctx); errors.Is(err, roles.ErrRevoked) {
			err = nil // an owner may end its own key
		}
		return err
	}
	return fmt.Errorf("other owners changed keys %d times in a row: try again later", maxActs)
}

func (r *Repo) forgetRead() {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.read = false
}

func (r *Repo) write(ctx context.Context, objects []roles.Object) error {
	for _, o := range objects {
		if err := r.st.Create(ctx, o.Name, o.Data); err != nil {
			return err
		}
	}
	return nil
}

// AddSlot makes a key of a role that opens by w. Only an owner may; the error matches roles.ErrRole for others.
func (r *Repo) AddSlot(ctx context.Context, role roles.Role, w roles.Wrapping) (id roles.KeyID, err error) {
	err = r.act(ctx, func(o *roles.Owner) (objects []roles.Object, err error) {
		id, objects, err = o.AddSlot(role, w)
		return objects, err
	})
	return id, err
}

// ExportKey makes a key and returns it as a key file, of which no copy stays. domains are a writer's.
func (r *Repo) ExportKey(ctx context.Context, role roles.Role, domains []string) (file []byte, id roles.KeyID, err error) {
	err = r.act(ctx, func(o *roles.Owner) (objects []roles.Object, err error) {
		file, id, objects, err = o.ExportKey(role, domains)
		return objects, err
	})
	return file, id, err
}

// Revoke ends a key; last says which of its backups count on, see Newest. The domains of a writer get a new generation of
// keys. Slots and grants of the key are removed. The errors are those of roles.Owner.Revoke, and roles.ErrLast where no
// slot would be left that opens as owner, or as reader.
func (r *Repo) Revoke(ctx context.Context, id roles.KeyID, last []roles.LastRoot) error {
	objects := openKeyObjects(ctx, r.st, r.identity, "")
	slots, err := roles.Slots(r.trust.Trust, objects.all())
	if err != nil {
		return fromRoles(err)
	}
	for _, s := range slots[id] {
		if err := roles.LastSlotGuard(r.trust.Trust, objects.all(), s.Name); err != nil {
			return fromRoles(err)
		}
	}
	done := false
	err = r.act(ctx, func(o *roles.Owner) (objects []roles.Object, err error) {
		if objects, err = o.Revoke(id, last); errors.Is(err, roles.ErrRevoked) {
			done = true
		}
		return objects, err
	})
	if err != nil && !done {
		return err
	}
	// Said in the trust log is not yet done: an earlier call may have ended before its key objects were gone.
	return errors.Join(err, r.dropSuperseded(ctx))
}

// Slots returns the slots of every key that has some.
func (r *Repo) Slots(ctx context.Context) (map[roles.KeyID][]roles.Slot, error) {
	all, err := roles.Slots(r.trust.Trust, openKeyObjects(ctx, r.st, r.identity, "").all())
	return all, fromRoles(err)
}

// dropSuperseded removes the key objects that only keep old secrets alive.
func (r *Repo) dropSuperseded(ctx context.Context) error {
	names, err := roles.Superseded(r.trust.Trust, openKeyObjects(ctx, r.st, r.identity, "").all())
	if err != nil {
		return fromRoles(err)
	}
	for _, name := range names {
		if err := r.st.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// RotateSeal draws a seal key for new sessions of a domain, "" for all without one of their own, and seals the keys of all
// earlier sessions to it too. It returns how many those were. Ended halfway, Reseal does the rest.
func (r *Repo) RotateSeal(ctx context.Context, domain string) (int, error) {
	if err := r.act(ctx, func(o *roles.Owner) ([]roles.Object, error) { return o.RotateSeal(domain) }); err != nil {
		return 0, err
	}
	return r.Reseal(ctx)
}

// Reseal seals the key of every session, of every domain, to the newest seal key, where that was not done yet.
func (r *Repo) Reseal(ctx context.Context) (n int, err error) { return r.resealWith(ctx, r.Key()) }

func (r *Repo) resealWith(ctx context.Context, k *roles.Keyring) (n int, err error) {
	if err := r.must("seal session keys anew", roles.RoleOwner, roles.RoleReader); err != nil {
		return 0, err
	}
	domains, err := r.Domains(ctx)
	if err != nil {
		return 0, err
	}
	n, err = r.resealAll(ctx, k, domains)
	if err != nil {
		return n, err
	}
	copied, err := r.resealCopies(ctx, k)
	return n + copied, err
}

func (r *Repo) resealAll(ctx context.Context, k *roles.Keyring, domains []string) (n int, err error) {
	have, err := r.names(ctx, r.within+sessionPrefix, KindSession)
	if err != nil {
		return 0, err
	}
	for _, d := range domains {
		did, err := r.resealDomain(ctx, k, d, have)
		if n += did; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (r *Repo) resealDomain(ctx context.Context, k *roles.Keyring, domain string, have []string) (n int, err error) {
	to, _, err := r.trust.SealKey(domain)
	if err != nil {
		return 0, err
	}
	shards, err := r.ListShards(ctx, domain)
	if err != nil {
		return 0, err
	}
	done, seals := make(map[pack.SessionID]bool), r.sealState(domain)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, name := range shards {
		read, err := r.readShard(ctx, name)
		if err != nil {
			return n, errors.Join(err, g.Wait())
		}
		for _, s := range sessionsOf(read.packs) {
			_, there := slices.BinarySearch(have, r.within+sessionName(s.ID, to))
			if done[s.ID] || there || len(s.Sealed) >= 8 && roles.SealKeyID(s.Sealed[:8]) == to {
				continue
			}
			done[s.ID] = true
			lost, err := seals.lost(ctx, s)
			if err != nil {
				return n, errors.Join(err, g.Wait())
			}
			if lost && !k.Opens(s) {
				continue // nobody can any more
			}
			n++
			g.Go(func() error { return r.resealSession(ctx, k, domain, s) })
		}
	}
	return n, g.Wait()
}

func sessionsOf(packs []pack.Info) (all []pack.Session) {
	for _, p := range packs {
		all = append(all, p.Sessions...)
	}
	return all
}

func (r *Repo) resealSession(ctx context.Context, k *roles.Keyring, domain string, s pack.Session) error {
	key, err := k.OpenSession(domain, s, r.anyOverlay(ctx, s.ID))
	if err != nil {
		return fmt.Errorf("session %x of domain %s: %w", s.ID[:4], domain, err)
	}
	defer clear(key.Secret[:])
	again, err := k.SealSession(domain, s.ID, key)
	if err != nil {
		return err
	}
	return r.putOverlay(ctx, s.ID, again)
}

// RetireSeals takes all seal keys but the newest out of use, of a domain or ("") the general ones, and destroys what the
// repository keeps of their private halves: what was sealed to them alone can never be read again. So all sessions are
// sealed anew before, and those that writers added meanwhile once more, with the keys still in memory, after.
func (r *Repo) RetireSeals(ctx context.Context, domain string) (retired []roles.SealKeyID, err error) {
	if err := r.must("change keys", roles.RoleOwner); err != nil {
		return nil, err
	}
	if _, err := r.Reseal(ctx); err != nil {
		return nil, err
	}
	before := r.Key()
	newest, _, err := r.trust.SealKey(domain)
	if err != nil {
		return nil, err
	}
	for _, k := range r.trust.SealKeys() {
		if k.Domain != domain || k.Retired || k.ID == newest {
			continue
		}
		if err := r.act(ctx, func(o *roles.Owner) ([]roles.Object, error) { return o.RetireSeal(k.ID) }); err != nil {
			return retired, err
		}
		retired = append(retired, k.ID)
	}
	if _, err := r.resealWith(ctx, before); err != nil {
		return retired, err
	}
	return retired, r.dropSuperseded(ctx)
}
