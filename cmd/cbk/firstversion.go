package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/restore"
	"cbk/snapshot"
)

func firstVersionFlag() cli.Flag {
	return &cli.BoolFlag{Name: "first-version", EnvVars: []string{"CBK_FIRST_VERSION"},
		Usage: "read the first version of every object that a versioned bucket keeps, whatever was deleted or written over it since; only for commands that read"}
}

// overrideFirstVersion lays the flag over the file's setting.
func (c *config) overrideFirstVersion(ctx *cli.Context) {
	const flag = "first-version"
	if ctx.IsSet(flag) {
		c.FirstVersion = ctx.Bool(flag)
		c.origins["first_version"] = flagOrigin(ctx, flag)
	}
}

// access is what a command does to the repository.
type access int

const (
	reading   access = iota
	recording        // it reads, and leaves a record where it can
	changing
)

// storeOptions are those by which a command opens the store.
func (c *config) storeOptions(ctx *cli.Context, do access) (store.Options, error) {
	o := store.Options{ReadOnly: do == reading, FirstVersion: c.FirstVersion}
	if c.FirstVersion && do == changing {
		return o, usageError("%s changes the repository, and first versions are only read: leave out --first-version, CBK_FIRST_VERSION and first_version:", ctx.Command.Name)
	}
	o.ReadOnly = o.ReadOnly || c.FirstVersion
	return o, nil
}

// advised is an error with a next step of its own.
type advised struct {
	error
	next string
}

// Unwrap returns the cause.
func (a *advised) Unwrap() error { return a.error }

const (
	tryFirstVersion = "this store keeps versions: cbk check --first-version reads the first of each object, whatever was deleted or written over it since, and restore --first-version brings them back"
	notTheFirst     = "these are the first versions: if somebody wrote under that name before cbk did, read it without --first-version"
)

// advise adds to an error of objects that are missing or not as written that versions of them may be.
func (c *config) advise(ctx context.Context, st store.Store, err error) error {
	lost := as[*repo.DamageError](err) || as[*restore.DamagedError](err) || is(repo.ErrNoRepository)(err) ||
		is(roles.ErrRolledBack)(err) || is(snapshot.ErrNotFound)(err)
	if !lost || as[*advised](err) {
		return err
	}
	if next := c.versionsOf(ctx, st); next != "" {
		return &advised{err, next}
	}
	return err
}

// versionsOf says what versions may help against damage; nothing where there are none, or the store does not tell.
func (c *config) versionsOf(ctx context.Context, st store.Store) string {
	if c.FirstVersion {
		return notTheFirst
	}
	if p, err := store.Protected(ctx, st); err == nil && (p.Versions || p.Suspended) {
		return tryFirstVersion
	}
	return ""
}
