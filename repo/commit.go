package repo

import (
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/store"
)

// Commit finishes the session and makes its content a backup under a name: from the creation of the root, and not
// before, the backup exists. The steps W3 to W6 of the protocol in docs/gc.md. Errors: ErrSnapshotExists if the name is
// taken, ErrCondemned if gc overtook the session.
func (s *Session) Commit(backup string, root *Root) error {
	if err := s.Finish(); err != nil {
		return err
	}
	plain, err := root.encode()
	if err != nil {
		return err
	}
	name, data, err := s.announce(backup, plain)
	if err != nil {
		return err
	}
	overtaken, err := s.overtaken()
	if err != nil {
		return err
	}
	if overtaken {
		if _, err := s.repo.abort(s.ctx, name, "overtaken by gc"); err != nil {
			return err
		}
		return ErrCondemned
	}
	return s.create(name, data)
}

// announce is W4: the root's bytes under pending/, where keepers see them. A pending root that is already there belongs
// to a dead session of this writer (the local state is locked, so no other is alive): its attempt is closed for ever and
// the next one begun.
func (s *Session) announce(backup string, plain []byte) (root string, data []byte, err error) {
	for range maxAttempts {
		n, err := s.repo.attempt(s.ctx, s.dom.Label, backup)
		if err != nil {
			return "", nil, err
		}
		root = RootName(s.dom.Label, s.dom.SnapshotID(backup, n))
		if data, err = s.repo.seal(pack.ClassRoot, root, plain); err != nil {
			return "", nil, err
		}
		err = s.repo.st.Create(s.ctx, sibling(pendPrefix, root), data)
		if !errors.Is(err, store.ErrExists) {
			return root, data, err
		}
		if _, err := s.repo.abort(s.ctx, root, "left by a session that died"); err != nil {
			return "", nil, err
		}
	}
	return "", nil, fmt.Errorf("backup name %q: %w", backup, ErrSnapshotExists)
}

// overtaken is W5: the newest tombstone may not condemn a pack that the root relies on, nor be older than at W1 (then the
// store was rolled back).
func (s *Session) overtaken() (bool, error) {
	view, err := s.repo.readEpochs(s.ctx, s.dom.Label)
	if err != nil || view.newest < s.view.newest {
		return true, err
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

// create is W6. What stands there already is an abort record of a keeper, or a root of the same name.
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
