package repo

import (
	"context"
	"fmt"
	"slices"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// Inventory is what one LIST of the whole repository shows, sorted by kind.
type Inventory struct {
	Objects   int // objects of the repository; strangers are not among them
	Strangers int
	Bytes     int64
	Roots     []string
	Domains   []string // every domain that has a shard or a root and that the key can see
	Unseen    int      // objects of other domains

	keys     []string
	trust    []string
	sessions []string
	records  []string        // pending roots and tombstones
	said     bool            // there are holds or results of checks
	wanted   map[string]bool // domains with records of what is wanted
	shards   map[string][]string
	packs    *packList // shared by all copies
	place    uint32    // whose packs this inventory's are

	deleted map[string]bool // roots that a deletion record names
	seen    map[string]bool // domains

	copies map[pack.ID]*Inventory // what stands in self-contained copies, by snapshot id
	bare   bool                   // the roots are those in copies, see bareRoots
}

func newInventory() *Inventory {
	return &Inventory{shards: make(map[string][]string), packs: &packList{}, copies: make(map[pack.ID]*Inventory),
		wanted: make(map[string]bool), deleted: make(map[string]bool), seen: make(map[string]bool)}
}

// Inventory lists the repository.
func (r *Repo) Inventory(ctx context.Context) (*Inventory, error) {
	inv := newInventory()
	inv.bare = true
	err := r.st.List(ctx, "", func(i store.Info) error {
		kind := Classify(i.Name)
		inv.bare = inv.bare && kind != KindRoot && kind != KindPending
		switch {
		case kind == Stranger:
			inv.Strangers++
		case r.hides(kind, i.Name), inDomain(kind) && !inv.enter(r, domainOf(i.Name)), kind == KindFull && !inv.copied(r, i):
			inv.Unseen++
		default:
			inv.add(kind, i)
			inv.Objects++
			inv.Bytes += i.Size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list repository: %w", err)
	}
	inv.packs.sort()
	if inv.bare {
		inv.bareRoots(inv.seen)
	}
	return inv, inv.dropDeleted(ctx, r)
}

// hides reports whether the key cannot see a record.
func (r *Repo) hides(kind Kind, name string) bool {
	switch kind {
	case KindRecord:
		return !r.sees(roles.Whole)
	case KindWanted:
		return !r.sees(domainOf(name))
	case KindAudit:
		key, _ := auditOf(name)
		return !r.seesChain(key)
	}
	return false
}

// enter notes a domain; false if the key cannot see it.
func (inv *Inventory) enter(r *Repo, domain string) bool {
	if !r.sees(domain) {
		return false
	}
	if !inv.seen[domain] {
		inv.seen[domain] = true
		inv.Domains = append(inv.Domains, domain)
	}
	return true
}

func (inv *Inventory) add(kind Kind, i store.Info) {
	switch kind {
	case KindKey:
		inv.keys = append(inv.keys, i.Name)
	case KindTrust:
		inv.trust = append(inv.trust, i.Name)
	case KindSession:
		inv.sessions = append(inv.sessions, i.Name)
	case KindRecord:
		inv.said = true
	case KindWanted:
		inv.wanted[domainOf(i.Name)] = true
	case KindPending, KindEpoch:
		inv.records = append(inv.records, i.Name)
	case KindPack:
		id, _ := pack.ParseID(i.Name[len(i.Name)-64:])
		inv.packs.add(inv.place, id, i)
	case KindShard:
		inv.shards[domainOf(i.Name)] = append(inv.shards[domainOf(i.Name)], i.Name)
	case KindRoot:
		inv.Roots = append(inv.Roots, i.Name)
	case KindDeleted:
		inv.deleted[sibling(rootPrefix, i.Name)] = true
	}
}

// dropDeleted takes out roots whose deletion record stands: they are no backups, even if they are still or again there.
func (inv *Inventory) dropDeleted(ctx context.Context, r *Repo) error {
	var recorded, alive []string
	for _, name := range inv.Roots {
		if inv.deleted[logical(name)] {
			recorded = append(recorded, name)
		} else {
			alive = append(alive, name)
		}
	}
	left, err := r.dropDeletedRoots(ctx, recorded)
	inv.Roots = append(alive, left...)
	slices.Sort(inv.Roots)
	return err
}

// inDomain tells the kinds of objects that make a domain one.
func inDomain(k Kind) bool {
	return k == KindShard || k == KindRoot || k == KindPending || k == KindEpoch || k == KindDeleted
}
