package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/store"
)

// maxAttempts bounds how often one backup name can be tried, aborted and deleted.
const maxAttempts = 1000

// attempt finds the number under which a backup name can be tried: the first whose predecessors are all dead. The error
// matches ErrSnapshotExists while the name is taken. What stands at a root's name is: nothing (never tried, or a dead
// session that is met when its pending root is), an abort record, or a root, which counts unless its deletion record
// stands.
func (r *Repo) attempt(ctx context.Context, domain, backup string) (uint32, error) {
	d, err := r.domain(domain)
	if err != nil {
		return 0, err
	}
	for n := range uint32(maxAttempts) {
		name := RootName(domain, d.SnapshotID(backup, n))
		deleted, err := r.exists(ctx, sibling(deadPrefix, name))
		if err != nil {
			return 0, err
		}
		if deleted {
			continue
		}
		if there, err := r.exists(ctx, name); err != nil || !there {
			return n, err
		}
		if _, err = r.ReadRoot(ctx, name); !Aborted(err) {
			return 0, ErrSnapshotExists
		}
	}
	return 0, fmt.Errorf("backup name %q was tried %d times: choose another", backup, maxAttempts)
}

// RootName returns where the root of the first attempt at a backup name stands.
func (r *Repo) RootName(domain, backup string) (string, error) {
	d, err := r.domain(domain)
	if err != nil {
		return "", err
	}
	return RootName(domain, d.SnapshotID(backup, 0)), nil
}

// CheckFree reports whether a backup name can be used in a domain; the error matches ErrSnapshotExists if not.
func (r *Repo) CheckFree(ctx context.Context, domain, backup string) error {
	_, err := r.attempt(ctx, domain, backup)
	return err
}

func (r *Repo) exists(ctx context.Context, name string) (bool, error) {
	_, err := r.st.Stat(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// abort ends an attempt for ever by creating the abort record at its root's own name. Writer and keeper race for this one
// name: won is false if a root, or somebody else's abort record, was there first.
func (r *Repo) abort(ctx context.Context, root, why string) (won bool, err error) {
	return r.claimName(ctx, pack.ClassAbort, root, []byte(why))
}

// claimName creates a sealed object under a name that several may want. won is true for the one who gets it.
func (r *Repo) claimName(ctx context.Context, class pack.Class, name string, plain []byte) (won bool, err error) {
	data, err := r.seal(class, name, plain)
	if err != nil {
		return false, err
	}
	err = r.st.Create(ctx, name, data)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Delete removes a committed backup. Its deletion record is created first and outranks the root for ever: whatever
// brings the root back, it is no backup. Space comes back with gc. why is kept in the record.
func (r *Repo) Delete(ctx context.Context, root string, why []byte) error {
	if _, err := r.claimName(ctx, pack.ClassRecord, sibling(deadPrefix, root), why); err != nil {
		return err
	}
	return r.st.Delete(ctx, root)
}
