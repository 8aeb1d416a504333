package snapshot

import (
	"context"
	"errors"
	"maps"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// Lent is a node snapshot to be restored by a machine that has no key, and which of its tables.
type Lent struct {
	Entry  *Entry
	Tables func(*Table) bool // nil: all
}

// Lend returns a loan (roles.Loan): who has it opens these node snapshots until notAfter. It has the keys of every session
// in which a blob of the chosen tables, or of what describes the nodes, lies; of another table it opens what was stored by
// the same sessions. What is damaged is left for the restore to refuse by name. The error matches roles.ErrRole unless
// the key opens content of its own.
func Lend(ctx context.Context, r *repo.Repo, notAfter time.Time, what ...Lent) ([]byte, error) {
	if err := r.MustRead("lend what opens backups"); err != nil {
		return nil, err
	}
	keys := make(map[string]map[pack.SessionID]*pack.Key)
	for _, one := range what {
		opened, err := one.keys(ctx, r)
		if err != nil {
			return nil, err
		}
		domain := one.Entry.Domain
		if keys[domain] == nil {
			keys[domain] = make(map[pack.SessionID]*pack.Key)
		}
		maps.Copy(keys[domain], opened)
	}
	return r.Key().Lend(notAfter, keys)
}

func (l *Lent) keys(ctx context.Context, r *repo.Repo) (keys map[pack.SessionID]*pack.Key, err error) {
	s, err := Open(ctx, r, l.Entry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var blobs repo.IDSet
	if err := s.needs(ctx, l.Tables, &blobs); err != nil {
		return nil, err
	}
	return s.rd.SessionKeys(ctx, &blobs)
}

// needs adds every blob that is sealed under a session key and needed for some of the tables.
func (s *Snapshot) needs(ctx context.Context, chosen func(*Table) bool, blobs *repo.IDSet) error {
	blobs.Add(s.root.Descriptions[0])
	for _, text := range s.Node.texts() {
		for _, id := range text.Blobs {
			blobs.Add(pack.ID(id))
		}
	}
	var tables []*Table
	for i := range s.Node.Tables {
		if t := &s.Node.Tables[i]; chosen == nil || chosen(t) {
			tables = append(tables, t)
		}
	}
	return s.Pages(ctx, tables, func(pages []Page) error {
		for i := range pages {
			blobs.Add(pages[i].id)
			if err := s.pageNeeds(ctx, &pages[i], blobs); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Snapshot) pageNeeds(ctx context.Context, p *Page, blobs *repo.IDSet) error {
	list := make([]*SSTable, len(p.SSTables))
	for i := range p.SSTables {
		list[i] = &p.SSTables[i]
		blobs.Add(list[i].Recipe)
	}
	hows, err := s.recipes(ctx, list)
	if err != nil {
		return err
	}
	for i := range hows {
		for _, how := range hows[i].list {
			if err := s.recipeNeeds(ctx, how, blobs); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Snapshot) recipeNeeds(ctx context.Context, how recipe, blobs *repo.IDSet) error {
	if how.segmented {
		for _, ref := range how.refs {
			blobs.Add(ref.ID)
		}
	}
	next := &segments{s: s}
	next.add(how)
	return next.refs(ctx, how, func(refs []ref, _ error) bool {
		for _, ref := range refs {
			blobs.Add(ref.ID)
		}
		return true
	})
}

// EntryOf reads the catalogue entry of the node snapshot whose root has a name, such as a plan made elsewhere says.
// Stored is left zero. The error is a *repo.DamageError for what is no node snapshot.
func EntryOf(ctx context.Context, r *repo.Repo, root string) (*Entry, error) {
	e, err := readEntry(ctx, r, root)
	if err == nil && e == nil {
		err = &repo.DamageError{Object: root, What: "a part of another root"}
	}
	return e, err
}
