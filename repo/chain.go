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

// chainKey is where the local cache keeps the newest root of a key in a domain, and the one it was about to create:
// sequence; 32-byte hash; root name, empty once it is known to stand. Each key has one: a node may be given another key
// and keep its cache.
func (s *Session) chainKey() []byte { return []byte("chain " + s.repo.Key().KeyID().String()) }

// follow places a root behind the newest one of this key in the session's domain.
func (s *Session) follow(ctx context.Context, root *Root) error {
	last, err := s.lastLink(ctx)
	root.Link = Link{Author: s.repo.Key().KeyID(), Sequence: last.Sequence + 1, Previous: last.Hash}
	return err
}

// lastLink returns the newest root of this key in the domain: from the local cache, or where that was lost from the roots
// and deletion records of the domain.
func (s *Session) lastLink(ctx context.Context) (linked, error) {
	b, err := s.cache.Fact(s.chainKey())
	if err != nil {
		return linked{}, err
	}
	d := wire.NewDecoder(b)
	last := linked{Link: Link{Sequence: d.Uvarint(1<<63 - 1)}}
	d.Array(last.Hash[:])
	if name := d.String(maxRootName); d.Done() == nil && name == "" {
		return last, nil
	}
	return s.repo.newest(ctx, s.dom.Label, s.repo.Key().KeyID())
}

// newest returns the newest root of a key in a domain that is there or was deleted. What cannot be read is left out: it
// must not keep a node from its next backup, and is reported by a check.
func (r *Repo) newest(ctx context.Context, domain string, key roles.KeyID) (last linked, err error) {
	err = r.eachLink(ctx, domain, func(l linked, err error) error {
		if err == nil && l.Author == key && l.Sequence > last.Sequence {
			last = l
		}
		return ignoreDamage(err)
	})
	return last, err
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
	return s.cache.PutFact(s.chainKey(), e.Out())
}

// eachLink calls fn for every root and deletion record of a domain, with the error of those that cannot be read. Abort
// records are left out. The records come last: what is deleted meanwhile is met in one of the two.
func (r *Repo) eachLink(ctx context.Context, domain string, fn func(linked, error) error) error {
	roots, err := r.names(ctx, rootPrefix+domain+"/", KindRoot)
	if err == nil && len(roots) == 0 {
		roots, err = r.bareRoots(ctx, domain+"/")
	}
	if err != nil {
		return err
	}
	for _, name := range roots {
		root, err := r.loadRoot(ctx, name, logical(name))
		if errors.Is(err, errAborted) || vanished(err) {
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
	return nil
}

// end names the roots of one revoked key in one domain.
type end struct {
	domain string
	author roles.KeyID
}

// lineage is what counts of a revoked key in a domain: the last root that its revocation names, and those before it.
type lineage struct {
	valid map[pack.ID]bool
	gap   uint64 // number of the first one back that is not there, nor its record; 0 if there is none
}

// counts refuses a root of a revoked key, with errVoid, unless it is the last one that its revocation lets count, or one
// of those before it in the chain: what a stolen key signs later is no backup, whatever number it bears. Where the chain
// has a gap, what may lie before it is neither void nor a backup but damage: garbage collection must not take it.
func (r *Repo) counts(ctx context.Context, name string, root *Root) error {
	revoked, dead := r.trust.Revoked(root.Author)
	if !dead {
		return nil
	}
	e := end{domainOf(name), root.Author}
	r.mu.Lock()
	line, known := r.ends[e]
	r.mu.Unlock()
	if !known {
		var err error
		if line, err = r.chainTo(ctx, e, revoked); err != nil {
			return err
		}
		r.mu.Lock()
		r.ends[e] = line
		r.mu.Unlock()
	}
	switch {
	case line.valid[root.Hash]:
		return nil
	case line.gap > 0 && root.Sequence <= line.gap:
		return &DamageError{Object: name, What: fmt.Sprintf("backup %d of the revoked key %s has neither root nor deletion record, so whether this earlier one counts cannot be told", line.gap, root.Author)}
	}
	return fmt.Errorf("%s, key %s: %w", name, root.Author, errVoid)
}

// chainTo follows the chain back from the last root that counts.
func (r *Repo) chainTo(ctx context.Context, e end, revoked *roles.Revocation) (lineage, error) {
	line := lineage{valid: make(map[pack.ID]bool)}
	last, ok := revoked.In(e.domain)
	if !ok {
		return line, nil
	}
	before := make(map[pack.ID]Link)
	err := r.eachLink(ctx, e.domain, func(l linked, err error) error {
		if err == nil && l.Author == e.author {
			before[l.Hash] = l.Link
		}
		return ignoreDamage(err) // what cannot be read is a gap, and is reported where it is looked for
	})
	for at, n := last.Root, last.Sequence; err == nil && n > 0; n-- {
		link, there := before[at]
		if !there {
			line.gap = n
			break
		}
		line.valid[at] = true
		at, n = link.Previous, min(n, link.Sequence)
	}
	return line, err
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
		last, err := r.newest(ctx, domain, key)
		if err != nil {
			return nil, err
		}
		if last.Sequence > 0 {
			out = append(out, roles.LastRoot{Domain: domain, Sequence: last.Sequence, Root: last.Hash})
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
		line, err := r.chainTo(ctx, end{domain, key}, revoked)
		if err != nil {
			return 0, err
		}
		err = r.eachLink(ctx, domain, func(l linked, err error) error {
			if err == nil && l.Author == key && !line.valid[l.Hash] && Classify(l.name) == KindRoot {
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
