package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

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
	// damaged, if set, is given shards that are not as written, and they are left out; otherwise they are errors.
	damaged func(*DamageError)
}

// ReadShard implements index.Source. Shards that do not count here are empty.
func (s source) ReadShard(ctx context.Context, name string) ([]pack.Info, error) {
	shard, err := s.readShard(ctx, name)
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
	return shard.packs, nil
}

// ListShards implements index.Source.
func (r *Repo) ListShards(ctx context.Context, domain string) (names []string, err error) {
	return r.names(ctx, indexPrefix+domain+"/", KindShard)
}

// lostSessions returns the sessions in a cache that are sealed to a retired seal key only: their blobs are there and
// nobody can read them, so they count as unknown. It asks the store for nothing unless a seal key was retired.
func (r *Repo) lostSessions(ctx context.Context, domain string, c *index.Cache) (map[pack.SessionID]bool, error) {
	var inUse []roles.SealKeyID
	retired := make(map[roles.SealKeyID]bool)
	for _, k := range r.trust.SealKeys() {
		if retired[k.ID] = k.Retired; !k.Retired && (k.Domain == "" || k.Domain == domain) {
			inUse = append(inUse, k.ID)
		}
	}
	lost := make(map[pack.SessionID]bool)
	sessions, err := c.Sessions()
	if err != nil || !slices.Contains(slices.Collect(maps.Values(retired)), true) {
		return lost, err
	}
	for _, s := range sessions {
		if len(s.Sealed) < 8 || !retired[roles.SealKeyID(s.Sealed[:8])] {
			continue
		}
		lost[s.ID] = true
		for _, to := range inUse {
			there, err := r.exists(ctx, sessionName(s.ID, to))
			if err != nil {
				return nil, err
			}
			if there {
				delete(lost, s.ID)
				break
			}
		}
	}
	return lost, nil
}

// overlays returns what finds the sealed forms of a session key that rotation has added.
func (r *Repo) overlays(ctx context.Context, id pack.SessionID) func(roles.SealKeyID) ([]byte, error) {
	return func(to roles.SealKeyID) ([]byte, error) {
		name := sessionName(id, to)
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
