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

// shardName stands in the scope and signature of every shard; what tells shards apart is their content.
const shardName = "shard"

// sealShard makes a shard of a domain's generation and its object name.
func (r *Repo) sealShard(d *roles.Domain, seq uint64, packs []pack.Info) (name string, data []byte) {
	data = r.sealSigned(d, pack.ClassShard, shardName, index.EncodeShard(packs))
	return index.ShardName(d.Label, seq, data), data
}

// openShard is a shard that was read.
type openShard struct {
	packs []pack.Info
	*signed
}

// readShard opens a shard. Errors for bytes that are not as written are *DamageError.
func (r *Repo) readShard(ctx context.Context, name string) (*openShard, error) {
	data, err := r.st.Get(ctx, name, index.MaxShard+maxFrame)
	if err != nil {
		return nil, asDamage(name, err)
	}
	s, err := r.openSigned(ctx, pack.ClassShard, domainOf(name), shardName, data, roles.RoleWriter, roles.RoleKeeper, roles.RoleOwner)
	if err != nil {
		return nil, asDamage(name, err)
	}
	packs, err := index.DecodeShard(s.body)
	s.body = nil
	return &openShard{packs, s}, asDamage(name, err)
}

// source gives the shards of one generation of a domain to a cache.
type source struct {
	*Repo
	dom *roles.Domain
	// writing leaves out what revoked keys signed: before or after cannot be told, and a backup must not rely on blobs
	// that somebody with a stolen key may have made up. A reader compares each blob with its id and needs no such care.
	writing bool
	// wanted, if set, leaves out holders that a check could not read.
	wanted *wants
	// damaged, if set, is given shards that are not as written, and they are left out; otherwise they are errors.
	damaged func(*DamageError)
	// vanished, if set, is told that a shard went after it was listed.
	vanished *bool
}

// sync brings a cache in step with a domain. A shard that goes as it is read was replaced by a keeper: all is listed
// again, or the session would store what that one named once more.
func (s source) sync(ctx context.Context, c *index.Cache) (newest uint64, err error) {
	for range maxRetries {
		s.vanished = new(bool)
		if newest, err = c.Sync(ctx, s, s.dom.Label); err != nil || !*s.vanished {
			return newest, err
		}
	}
	return 0, fmt.Errorf("shards of %s vanish as they are read, %d times in a row: try again later", s.dom.Label, maxRetries)
}

// ReadShard implements index.Source. Shards that do not count here are empty; those that went after they were listed are
// left out.
func (s source) ReadShard(ctx context.Context, name string) ([]pack.Info, error) {
	shard, err := s.readShard(ctx, name)
	if vanished(err) {
		if s.vanished != nil {
			*s.vanished = true
		}
		return nil, nil
	}
	var damage *DamageError
	if s.damaged != nil && errors.As(err, &damage) {
		s.damaged(damage)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if shard.dom.Generation != s.dom.Generation || s.writing && shard.revoked {
		return []pack.Info{}, nil
	}
	return s.wanted.sound(shard.packs), nil
}

// ListShards implements index.Source.
func (r *Repo) ListShards(ctx context.Context, domain string) (names []string, err error) {
	return r.names(ctx, r.within+indexPrefix+domain+"/", KindShard)
}

// sealState tells which sessions can still be opened.
type sealState struct {
	repo    *Repo
	inUse   []roles.SealKeyID // of the domain
	retired map[roles.SealKeyID]bool
}

func (r *Repo) sealState(domain string) *sealState {
	st := &sealState{repo: r, retired: make(map[roles.SealKeyID]bool)}
	for _, k := range r.trust.SealKeys() {
		switch {
		case k.Retired:
			st.retired[k.ID] = true
		case k.Domain == "" || k.Domain == domain:
			st.inUse = append(st.inUse, k.ID)
		}
	}
	return st
}

// lost reports whether a session is sealed to retired seal keys only: its blobs are there and nobody can read them. It
// asks the store for nothing unless a seal key was retired.
func (st *sealState) lost(ctx context.Context, s pack.Session) (bool, error) {
	if len(s.Sealed) < 8 || !st.retired[roles.SealKeyID(s.Sealed[:8])] {
		return false, nil
	}
	for _, to := range st.inUse {
		if there, err := st.repo.exists(ctx, st.repo.within+sessionName(s.ID, to)); err != nil || there {
			return false, err
		}
	}
	return true, nil
}

// lostSessions returns the sessions in a cache that nobody can open any more: their blobs count as unknown.
func (r *Repo) lostSessions(ctx context.Context, domain string, c *index.Cache) (map[pack.SessionID]bool, error) {
	lost := make(map[pack.SessionID]bool)
	st := r.sealState(domain)
	if len(st.retired) == 0 {
		return lost, nil
	}
	sessions, err := c.Sessions()
	for i := 0; err == nil && i < len(sessions); i++ {
		var gone bool
		if gone, err = st.lost(ctx, sessions[i]); gone {
			lost[sessions[i].ID] = true
		}
	}
	return lost, err
}

// overlays returns what finds the sealed forms of a session key that rotation has added.
func (r *Repo) overlays(ctx context.Context, id pack.SessionID) func(roles.SealKeyID) ([]byte, error) {
	return func(to roles.SealKeyID) ([]byte, error) {
		name := r.within + sessionName(id, to)
		b, err := r.st.Get(ctx, name, roles.SealedSessionSize)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err == nil && len(b) != roles.SealedSessionSize {
			err = fmt.Errorf("%d bytes: %w", len(b), pack.ErrAuthentication)
		}
		return b, asDamage(name, err)
	}
}
