package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// probePrefix is where doctor puts objects. No object of a repository has such a name: one that is left behind is
// counted by check as a stranger and hurts nobody.
const probePrefix = "doctor/"

// patience is how long doctor lets a store fail before it says so; a backup has far more.
const patience = 15 * time.Second

// repository checks that the repository opens with the key, and that the store does what the key's role needs.
func (d *doctor) repository(ctx context.Context) {
	const what = "repository"
	if d.cfg.Repository == "" {
		d.failed(what, "set --repo, CBK_REPO or repository: in the configuration file", errors.New("none is configured"))
		return
	}
	d.endpoint(ctx)
	options := store.Options{Log: d.log, ReadOnly: true, Retry: store.RetryOptions{Budget: patience}}
	st, err := store.Open(ctx, d.cfg.Repository, options)
	if err != nil {
		d.failed(what, failureOf(err).next, err)
		return
	}
	role, err := d.openWith(ctx, st)
	if err != nil {
		d.failed(what, failureOf(err).next, errors.Join(err, st.Close()))
		return
	}
	d.versions(ctx, st)
	if role == roles.RoleReader {
		d.check("listing", mayList(ctx, st), "works; a reader's key needs no more, and nothing was written")
		d.close(st)
		return
	}
	d.close(st)
	options.ReadOnly = false
	if st, err = store.Open(ctx, d.cfg.Repository, options); err != nil {
		d.failed("writing", failureOf(err).next, err)
		return
	}
	d.probe(ctx, st, role)
	d.close(st)
}

func (d *doctor) close(st store.Store) {
	if err := st.Close(); err != nil {
		d.failed("repository", "", err)
	}
}

func (d *doctor) openWith(ctx context.Context, st store.Store) (roles.Role, error) {
	unlock, err := d.cfg.unlock(d.c)
	if err != nil {
		return "", err
	}
	r, err := repo.Open(ctx, st, unlock, d.cfg.StateDir)
	if err != nil {
		return "", err
	}
	key, of := r.Key(), ""
	if domains := key.Domains(); len(domains) > 0 {
		of = " of " + strings.Join(domains, ", ")
	}
	d.ok("repository", "%s opens; the role of the key is %s%s", r.ID(), key.Role(), of)
	return key.Role(), nil
}

// versions tells what the store keeps although somebody deletes or writes over it. A store that keeps nothing is fit for
// backups, and is no failure.
func (d *doctor) versions(ctx context.Context, st store.Store) {
	const what = "versions in the store"
	p, err := store.Protected(ctx, st)
	by := "as the URL says"
	if p.ByBucket {
		by = "by the bucket's default"
	}
	switch {
	case errors.Is(err, store.ErrUnsupported):
	case errors.Is(err, store.ErrDenied):
		d.ok(what, "are not known: it takes s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration to ask")
	case err != nil:
		d.failed(what, failureOf(err).next, err)
	case p.For > 0 && p.Mode == "governance":
		d.ok(what, "are kept, and new objects locked for %s %s: whoever may not bypass governance can remove no backup before; gc extends the locks of what backups need", snapshot.Span(p.For), by)
	case p.For > 0:
		d.ok(what, "are kept, and new objects locked for %s %s, in compliance mode: nobody can remove or change a backup before; gc extends the locks of what backups need", snapshot.Span(p.For), by)
	case p.Versions:
		d.ok(what, "are kept, but not locked: whoever may delete versions can destroy backups; see lock_mode in docs/stores.md")
	default:
		d.ok(what, "are not kept: whoever may delete or overwrite can destroy backups; see object lock in docs/stores.md")
	}
}

// endpoint shows the certificates and the clock of a store that is a server.
func (d *doctor) endpoint(ctx context.Context) {
	before := d.now()
	e, err := store.AskEndpoint(ctx, d.cfg.Repository)
	if err != nil {
		d.failed("server of the store", "check the URL's endpoint and ca, the name service and the network", err)
		return
	}
	if e == nil {
		return
	}
	d.ok("server of the store", "%s answers", e.URL)
	d.certificates("certificate of the store", e.Chain)
	if !e.Date.IsZero() {
		d.sameTime("clock of the store", "the store's", e.Date, before, d.now())
	}
}

// mayList asks for one object of the list, which is enough to see that listing is allowed.
func mayList(ctx context.Context, st store.Store) error {
	errEnough := errors.New("enough")
	err := st.List(ctx, "trust/", func(store.Info) error { return errEnough })
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// probe writes a scratch object and looks whether it is read, listed, kept and deleted as the repository needs.
func (d *doctor) probe(ctx context.Context, st store.Store, role roles.Role) {
	name := probePrefix + strings.ReplaceAll(uuid.NewString(), "-", "")
	data := []byte("cbk doctor " + name)
	before := d.now()
	if err := st.Create(ctx, name, data); err != nil {
		d.failed("writing", failureOf(err).next, err)
		return
	}
	after := d.now()
	d.ok("writing", "%s was created", name)
	d.check("reading", sameBytes(ctx, st, name, data), "what was written is read back")
	if info, err := st.Stat(ctx, name); err != nil {
		d.failed("clock of the store", failureOf(err).next, err)
	} else if !slices.ContainsFunc(d.doc.Checks, func(f checkedAt) bool { return f.Check == "clock of the store" }) {
		d.sameTime("clock of the store", "the store's", info.ModTime, before, after)
	}
	if err := inList(ctx, st, name, true); err != nil {
		d.failed("listing", "do not use this store: backups and gc go by listings", err)
	} else {
		d.ok("listing", "shows the object at once")
	}
	d.overwrite(ctx, st, name, data)
	d.remove(ctx, st, name, role)
}

func sameBytes(ctx context.Context, st store.Store, name string, want []byte) error {
	got, err := st.Get(ctx, name, int64(len(want)))
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s has other bytes than were written", name)
	}
	return err
}

// inList tells whether the listing shows an object, or no longer does, as it must.
func inList(ctx context.Context, st store.Store, name string, there bool) error {
	found := false
	err := st.List(ctx, name, func(i store.Info) error {
		found = found || i.Name == name
		return nil
	})
	if err == nil && found != there {
		err = fmt.Errorf("a listing right after the change shows %s: %t", name, found)
	}
	return err
}

// overwrite tries to, which must not succeed.
func (d *doctor) overwrite(ctx context.Context, st store.Store, name string, data []byte) {
	err := st.Create(ctx, name, []byte("other bytes"))
	switch {
	case err == nil:
		err = fmt.Errorf("%s could be overwritten", name)
	case errors.Is(err, store.ErrExists):
		err = sameBytes(ctx, st, name, data)
	}
	if err != nil {
		d.failed("overwriting", "do not use this store: two writers of one name would destroy each other's backups", err)
		return
	}
	d.ok("overwriting", "is refused, as it must be")
}

// remove deletes the probe. A writer need not be allowed to, and better is not: then a stolen node destroys nothing.
func (d *doctor) remove(ctx context.Context, st store.Store, name string, role roles.Role) {
	err := st.Delete(ctx, name)
	switch {
	case err == nil && role == roles.RoleWriter:
		d.ok("deleting", "is allowed; a writer needs it not, and a store that refuses it keeps backups from whoever steals the node")
	case err == nil:
		d.ok("deleting", "is allowed, as gc needs it")
	case errors.Is(err, store.ErrDenied) && role == roles.RoleWriter:
		d.ok("deleting", "is refused, as it should be for a writer; %s (%d bytes) stays behind", name, len("cbk doctor ")+len(name))
		return
	default:
		d.failed("deleting", "a "+string(role)+" needs the right to delete; see docs/stores.md", fmt.Errorf("%w; %s stays behind", err, name))
		return
	}
	if err := inList(ctx, st, name, false); err != nil {
		d.failed("listing after delete", "do not use this store: backups and gc go by listings", err)
		return
	}
	d.ok("listing after delete", "shows the object no more")
}
