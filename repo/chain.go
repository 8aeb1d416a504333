package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
)

// Link is a root's place in the chain of its author's roots in one domain. Two processes of one key may fork it; what
// cannot be is a root whose predecessor has neither a root nor a deletion record.
type Link struct {
	Author   roles.KeyID
	Sequence uint64  // from 1
	Previous pack.ID // hash of the root before, zeros for the first
}

// linked is one root of a chain, there or deleted.
type linked struct {
	Link
	Hash pack.ID
	name string // of the root or of its deletion record
}

// chainKey is where the local cache keeps the newest root of this key in a domain, and the one it was about to create:
// sequence; 32-byte hash; root name, empty once it is known to stand.
var chainKey = []byte("chain")

// follow places a root behind the newest one of this key in the session's domain.
func (s *Session) follow(ctx context.Context, root *Root) error {
	last, err := s.lastLink(ctx)
	root.Link = Link{Author: s.repo.Key().KeyID(), Sequence: last.Sequence + 1, Previous: last.Hash}
	return err
}

// lastLink returns the newest root of this key in the domain: from the local cache, or where that was lost from the roots
// and deletion records of the domain.
func (s *Session) lastLink(ctx context.Context) (linked, error) {
	b, err := s.cache.Fact(chainKey)
	if err != nil {
		return linked{}, err
	}
	d := wire.NewDecoder(b)
	last := linked{Link: Link{Sequence: d.Uvarint(1<<63 - 1)}}
	d.Array(last.Hash[:])
	if name := d.String(maxRootName); d.Done() == nil && name == "" {
		return last, nil
	}
	all, err := s.repo.links(ctx, s.dom.Label)
	if err != nil {
		return linked{}, err
	}
	last = linked{}
	for _, l := range all {
		if l.Author == s.repo.Key().KeyID() && l.Sequence > last.Sequence {
			last = l
		}
	}
	return last, nil
}

// maxRootName bounds the name in the local cache.
const maxRootName = 256

// intend notes the root that is about to be created, stands that it was: a crash in between is settled by looking.
func (s *Session) intend(name string, root *Root) error { return s.putLink(name, root) }

func (s *Session) stands(root *Root) error { return s.putLink("", root) }

func (s *Session) putLink(name string, root *Root) error {
	var e wire.Encoder
	e.Uvarint(root.Sequence)
	e.Fixed(root.Hash[:])
	e.String(name)
	return s.cache.PutFact(chainKey, e.Out())
}

// links returns all roots and deletion records of a domain, those that do not count too.
func (r *Repo) links(ctx context.Context, domain string) (all []linked, err error) {
	err = r.eachLink(ctx, domain, func(l linked, err error) error {
		if err == nil {
			all = append(all, l)
		}
		return err
	})
	return all, err
}

// eachLink calls fn for every root and deletion record of a domain, with the error of those that cannot be read. Abort
// records are left out.
func (r *Repo) eachLink(ctx context.Context, domain string, fn func(linked, error) error) error {
	records, err := r.names(ctx, deadPrefix+domain+"/", KindDeleted)
	if err != nil {
		return err
	}
	for _, name := range records {
		rec, err := r.readDeletion(ctx, name)
		if err := fn(linked{Link: rec.Link, Hash: rec.Hash, name: name}, err); err != nil {
			return err
		}
	}
	roots, err := r.names(ctx, rootPrefix+domain+"/", KindRoot)
	if err != nil {
		return err
	}
	for _, name := range roots {
		root, err := r.loadRoot(ctx, name, name)
		if errors.Is(err, errAborted) || ignoreMissing(err) == nil && err != nil {
			continue
		}
		l := linked{name: name}
		if err == nil {
			l.Link, l.Hash = root.Link, root.Hash
		}
		if err := fn(l, err); err != nil {
			return err
		}
	}
	return nil
}

// end names the roots of one revoked key in one domain.
type end struct {
	domain string
	author roles.KeyID
}

// counts refuses a root of a revoked key, with errVoid, unless it is the last one that its revocation lets count, or one
// of those before it in the chain: what a stolen key signs later is no backup, whatever number it bears.
func (r *Repo) counts(ctx context.Context, name string, root *Root) error {
	revoked, dead := r.trust.Revoked(root.Author)
	if !dead {
		return nil
	}
	e := end{domainOf(name), root.Author}
	r.mu.Lock()
	valid, known := r.ends[e]
	r.mu.Unlock()
	if !known {
		var err error
		if valid, err = r.chainTo(ctx, e, revoked); err != nil {
			return err
		}
		r.mu.Lock()
		r.ends[e] = valid
		r.mu.Unlock()
	}
	if !valid[root.Hash] {
		return fmt.Errorf("%s, key %s: %w", name, root.Author, errVoid)
	}
	return nil
}

// chainTo returns the hashes of the roots up to the last one that counts.
func (r *Repo) chainTo(ctx context.Context, e end, revoked *roles.Revocation) (map[pack.ID]bool, error) {
	valid := make(map[pack.ID]bool)
	last, ok := revoked.In(e.domain)
	if !ok {
		return valid, nil
	}
	previous := make(map[pack.ID]pack.ID)
	err := r.eachLink(ctx, e.domain, func(l linked, err error) error {
		if err == nil && l.Author == e.author {
			previous[l.Hash] = l.Previous
		}
		return ignoreDamage(err) // what cannot be read ends the chain, and is reported where it is looked for
	})
	for at := last.Root; err == nil && !valid[at]; {
		before, there := previous[at]
		if !there {
			break
		}
		valid[at] = true
		at = before
	}
	return valid, err
}

func ignoreDamage(err error) error {
	if errors.As(err, new(*DamageError)) {
		return nil
	}
	return err
}

// Newest returns, for every domain, the newest root of a key that is there or was deleted: what a revocation may name as
// the last that counts. Where a key was used by two processes at once, one of them is chosen.
func (r *Repo) Newest(ctx context.Context, key roles.KeyID) ([]roles.LastRoot, error) {
	domains, err := r.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var out []roles.LastRoot
	for _, domain := range domains {
		last := roles.LastRoot{Domain: domain}
		err := r.eachLink(ctx, domain, func(l linked, err error) error {
			if err == nil && l.Author == key && l.Sequence > last.Sequence {
				last.Sequence, last.Root = l.Sequence, l.Hash
			}
			return ignoreDamage(err)
		})
		if err != nil {
			return nil, err
		}
		if last.Sequence > 0 {
			out = append(out, last)
		}
	}
	return out, nil
}

// broken returns the roots and records of a domain whose predecessor has neither a root nor a deletion record.
func broken(all []linked) (out []linked) {
	there := make(map[pack.ID]bool, len(all))
	for _, l := range all {
		there[l.Hash] = true
	}
	for _, l := range all {
		if l.Sequence > 1 && !there[l.Previous] {
			out = append(out, l)
		}
	}
	return out
}

// CountVoid returns how many roots of a key would count no more if its last ones were those given.
func (r *Repo) CountVoid(ctx context.Context, key roles.KeyID, last []roles.LastRoot) (n int, err error) {
	domains, err := r.Domains(ctx)
	if err != nil {
		return 0, err
	}
	revoked := &roles.Revocation{KeyID: key, Last: last}
	for _, domain := range domains {
		valid, err := r.chainTo(ctx, end{domain, key}, revoked)
		if err != nil {
			return 0, err
		}
		err = r.eachLink(ctx, domain, func(l linked, err error) error {
			if err == nil && l.Author == key && !valid[l.Hash] && Classify(l.name) == KindRoot {
				n++
			}
			return ignoreDamage(err)
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}
