package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// maxAttempts bounds how often one backup name can be tried, aborted and deleted.
const maxAttempts = 1000

// attempt finds the number, from a given one on, under which a backup name can be tried: the first whose predecessors are
// all dead. The error matches ErrSnapshotExists while the name is taken. What stands at a root's name is: nothing (never
// tried, or a dead session that is met when its pending root is), an abort record, or a root, which counts unless its
// deletion record stands.
func (r *Repo) attempt(ctx context.Context, d *roles.Domain, backup string, from uint32) (uint32, error) {
	for n := from; n < maxAttempts; n++ {
		name := RootName(d.Label, d.SnapshotID(backup, n))
		deleted, damage := r.deleted(ctx, name)
		if ignoreDamage(damage) != nil {
			return 0, damage
		}
		if deleted {
			continue
		}
		there, err := r.exists(ctx, name)
		switch {
		case err != nil, !there && damage == nil:
			return n, err
		case !there:
			continue // a root there would be met with a record that is none
		}
		_, err = r.ReadRoot(ctx, name)
		switch {
		case ignoreDamage(err) != nil && !Aborted(err) && !Void(err):
			return 0, err
		case !Aborted(err):
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

// Free is the knowledge that a backup name can be used in a domain, and in which attempt.
type Free struct {
	backup  string
	attempt uint32
}

// CheckFree finds out whether a backup name can be used in a domain, before any work is done for it; the error matches
// ErrSnapshotExists if not. What it returns spares Commit the same questions.
func (r *Repo) CheckFree(ctx context.Context, domain, backup string) (Free, error) {
	d, err := r.domain(domain)
	if err != nil {
		return Free{}, err
	}
	n, err := r.attempt(ctx, d, backup, 0)
	return Free{backup, n}, err
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

// claimName creates a signed object under a name that several may want. won is true for the one who gets it.
func (r *Repo) claimName(ctx context.Context, class pack.Class, name string, body []byte) (won bool, err error) {
	data, err := r.seal(class, name, body)
	if err != nil {
		return false, err
	}
	err = r.st.Create(ctx, name, data)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Find returns where the root of a backup name stands; the error matches store.ErrNotFound if there is none.
func (r *Repo) Find(ctx context.Context, domain, backup string) (string, error) {
	d, err := r.domain(domain)
	if err != nil {
		return "", err
	}
	for n := range uint32(maxAttempts) {
		name := RootName(domain, d.SnapshotID(backup, n))
		f, err := r.fateOf(ctx, name)
		if err != nil || f == committed {
			return name, err
		}
		if f == undecided {
			break
		}
	}
	return "", fmt.Errorf("backup %q in domain %s: %w", backup, domain, store.ErrNotFound)
}
