package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// Part is what a backup keeps in a domain other than its own: a session there, and the root of what it holds.
type Part struct {
	Session *Session
	Root    *Root
}

// commit is one backup on its way.
type commit struct {
	s     *Session  // of the main root
	parts []Part    // the main one first
	names []string  // of the roots
	data  [][]byte  // their objects
	full  *fullCopy // nil unless the backup gets a copy of its own
}

// Commit finishes the session, and those of the parts, and makes their content a backup under a name: from the creation
// of the main root, and not before, the backup exists. The steps W3 to W6 of the protocol in docs/gc.md. Errors:
// ErrSnapshotExists if the name is taken, ErrCondemned if gc overtook the session or keys changed, roles.ErrRevoked.
func (s *Session) Commit(backup string, root *Root, parts ...Part) error {
	c := &commit{s: s, parts: append([]Part{{s, root}}, parts...)}
	for _, p := range c.parts {
		if err := p.Session.Finish(); err != nil {
			return err
		}
		if err := p.Root.check(); err != nil {
			return err
		}
		if p.Root.Full && len(parts) > 0 {
			return errors.New("a backup with parts in other domains cannot have a copy of its own")
		}
		if err := p.Session.follow(s.ctx, p.Root); err != nil {
			return err
		}
	}
	if err := c.announce(backup); err != nil {
		return err
	}
	if err := c.proceed(); err != nil {
		if !errors.Is(err, ErrCondemned) && !errors.Is(err, roles.ErrRevoked) {
			return err // the next backup of this name finds the attempt, and closes it
		}
		if _, failed := s.repo.abort(s.ctx, c.names[0], err.Error()); failed != nil {
			return failed
		}
		return err
	}
	return c.create()
}

// proceed is what lies between the announcement and the commit: the self-contained copies, W5, and the roots' bytes in
// the copies.
func (c *commit) proceed() error {
	for _, step := range []func() error{c.copyFull, c.current, c.finishFull} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// announce is W4: the roots' bytes under pending/, where keepers see them; the main one first, so that a part is never
// there without it. A pending root that is already there belongs to a dead session of this writer (the local state is
// locked, so no other is alive): its attempt is closed for ever and the next one begun.
func (c *commit) announce(backup string) error {
	r, from := c.s.repo, uint32(0)
	for range maxAttempts {
		n, err := c.s.free(backup, from)
		if err != nil {
			return err
		}
		c.seal(backup, n)
		err = r.st.Create(c.s.ctx, sibling(pendPrefix, c.names[0]), c.data[0])
		if err == nil {
			return c.announceParts()
		}
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		if _, err := r.abort(c.s.ctx, c.names[0], "left by a session that died"); err != nil {
			return err
		}
		from = n
	}
	return fmt.Errorf("backup name %q: %w", backup, ErrSnapshotExists)
}

// free returns the attempt to try, from what CheckFree has found where it was asked.
func (s *Session) free(backup string, from uint32) (uint32, error) {
	if f := s.checked; f.backup == backup && from == 0 {
		s.checked = Free{}
		return f.attempt, nil
	}
	return s.repo.attempt(s.ctx, s.dom, backup, from)
}

// Use tells the session what CheckFree has found.
func (s *Session) Use(f Free) { s.checked = f }

// seal makes the objects of attempt n. The snapshot id of a part holds the domain of its main root too: the parts of many
// nodes may share one domain.
func (c *commit) seal(backup string, n uint32) {
	main := Place{c.s.dom.Label, c.s.dom.SnapshotID(backup, n)}
	c.names, c.data = nil, nil
	places := []Place{main}
	for _, p := range c.parts[1:] {
		d := p.Session.dom
		places = append(places, Place{d.Label, d.SnapshotID(main.Domain+"\x00"+backup, n)})
		p.Root.Main = &main
	}
	c.parts[0].Root.Parts = places[1:]
	for i, p := range c.parts {
		name := places[i].Name()
		p.Root.At = places[i]
		c.names = append(c.names, name)
		c.data = append(c.data, p.Session.repo.sealRoot(p.Session.dom, name, p.Root))
	}
}

func (c *commit) announceParts() error {
	for i := range c.parts[1:] {
		if err := c.s.repo.st.Create(c.s.ctx, sibling(pendPrefix, c.names[i+1]), c.data[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// current is W5: no tombstone may condemn a pack that a root relies on, nor be older than at W1 (then the store was
// rolled back), and the keys must be those of the trust log.
func (c *commit) current() error {
	if err := c.s.repo.refresh(c.s.ctx); err != nil {
		return err
	}
	for _, p := range c.parts {
		if err := p.Session.keysHold(); err != nil {
			return err
		}
		overtaken, err := p.Session.overtaken()
		if err != nil {
			return err
		}
		// What stands in a copy of its own relies on no shared pack.
		if overtaken && !p.Root.Full {
			return ErrCondemned
		}
	}
	return nil
}

// keysHold compares the session's keys with the trust log's. A newer generation makes it start anew. To a newer seal key
// the session's own key is sealed too: who rotated it may have looked at the shards before this session wrote its.
func (s *Session) keysHold() error {
	k := s.repo.Key()
	if k.Trust().Generation(s.dom.Label) != s.dom.Generation {
		return fmt.Errorf("the keys of domain %s changed: %w", s.dom.Label, ErrCondemned)
	}
	newest, _, err := k.Trust().SealKey(s.dom.Label)
	if err != nil || newest == roles.SealKeyID(s.sealed.Sealed[:8]) {
		return err
	}
	again, err := k.SealSession(s.dom.Label, s.sealed.ID, s.key)
	if err != nil {
		return err
	}
	return s.repo.putOverlay(s.ctx, s.sealed.ID, again)
}

func (s *Session) overtaken() (bool, error) {
	view, err := s.repo.readEpochs(s.ctx, s.dom.Label)
	if err != nil || view.newest < s.view.newest {
		return err == nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.relied {
		if view.condemned[id] {
			return true, nil
		}
	}
	return false, nil
}

// create is W6: the parts, and last the main root. What stands there already is an abort record of a keeper, or a root of
// the same name.
func (c *commit) create() error {
	for i := len(c.parts) - 1; i >= 0; i-- {
		p := c.parts[i]
		if err := p.Session.intend(c.names[i], p.Root); err != nil {
			return err
		}
		if err := p.Session.create(c.names[i], c.data[i]); err != nil {
			return err
		}
		if err := p.Session.stands(p.Root); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) create(name string, data []byte) error {
	err := s.repo.st.Create(s.ctx, name, data)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	if _, err := s.repo.ReadRoot(s.ctx, name); Aborted(err) {
		return ErrCondemned
	}
	return ErrSnapshotExists
}

// rely notes a pack that the root will need.
func (s *Session) rely(id pack.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relied[id] = struct{}{}
}

// putOverlay stores a session key sealed anew. Two processes may seal the same one, each to other bytes; either will do.
func (r *Repo) putOverlay(ctx context.Context, id pack.SessionID, sealed []byte) error {
	err := r.st.Create(ctx, r.within+sessionName(id, roles.SealKeyID(sealed[:8])), sealed)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}
