package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cbk/cassandra/cluster"
	"cbk/cassandra/node"
	"cbk/index"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/restore"
	"cbk/restore/fit"
	"cbk/restore/prove"
	"cbk/restore/whole"
	"cbk/snapshot"
	"cbk/snapshot/fleet"
	"cbk/snapshot/guest"
)

// The exit codes. Where several apply, the first of interrupted, failed, refused, damage, incomplete wins.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitDamage      = 4
	exitRefused     = 5
	exitNoRepo      = 10
	exitKey         = 12
	exitInterrupted = 130
)

// usage is an error in the command line or the configuration.
type usage struct{ error }

// Unwrap returns the cause.
func (u usage) Unwrap() error { return u.error }

func usageError(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// quiet is an error that has been printed already; only its exit code is left to tell.
type quiet struct {
	exit int
}

// Error is never shown.
func (q quiet) Error() string { return fmt.Sprintf("exit %d", q.exit) }

// failure is how an error is told: exit code, stable code word, next step ("" where the error names it).
type failure struct {
	exit int
	code string
	next string
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// failures, in order: the first that matches tells the error.
var failures = []struct {
	match func(error) bool
	failure
}{
	{is(errInterrupted), failure{exitInterrupted, "interrupted", "run the command again: what was done is not done twice"}},
	{as[*guest.SpaceError], failure{exitFailed, "space", "make room on the node, or allow less with --min-free"}},
	{is(cluster.ErrUnleashed), failure{exitInterrupted, "interrupted", "run the command again: what was done is not done twice"}},
	{is(context.Canceled), failure{exitInterrupted, "interrupted", "run the command again: what was done is not done twice"}},
	{unfinished(true), failure{exitIncomplete, "incomplete", "run the command again under the same --name: it goes on with the nodes that are not in"}},
	{unfinished(false), failure{exitFailed, "no-node", "run the command again under the same --name when they can be reached"}},
	{as[*whole.StoppedError], failure{exitFailed, "stopped", ""}},
	{as[*restore.AnotherShapeError], failure{exitRefused, "another-shape", "restore its nodes with --to and load their files"}},
	{as[*fleet.LacksError], failure{exitFailed, "too-few-nodes", "start them, or be content with less: --require"}},
	{is(fleet.ErrAllRecorded), failure{exitUsage, "duplicate-name", "choose another --name"}},
	{as[*fleet.UnknownError], failure{exitUsage, "not-found", "nodetool status lists them"}},
	{as[*cluster.HostKeyError], failure{exitFailed, "host-key", ""}},
	{as[*cluster.AuthError], failure{exitFailed, "ssh-auth", ""}},
	{as[*cluster.MachineError], failure{exitFailed, "other-machine", "push a build for it"}},
	{as[*cluster.DialError], failure{exitFailed, "unreachable", "look whether the host is up, and cluster.ssh in the configuration"}},
	{as[*cluster.LostError], failure{exitFailed, "connection-lost", "run the command again: what was done is not done twice"}},
	{as[*auditError], failure{exitFailed, "audit", "keep this line: it is all there is of the record"}},
	{as[usage], failure{exitUsage, "usage", "cbk help lists the commands, cbk help COMMAND its flags"}},
	{is(repo.ErrNoRepository), failure{exitNoRepo, "no-repository", "check --repo, or make a repository with cbk init"}},
	{is(store.ErrNoStore), failure{exitNoRepo, "no-repository", "check --repo, or make a repository with cbk init"}},
	{is(roles.ErrRolledBack), failure{exitDamage, "rolled-back", "the store shows an older state than this machine has seen: find out who put it there"}},
	{is(roles.ErrLast), failure{exitRefused, "last-key", "add another with cbk key add first"}},
	{is(roles.ErrRevoked), failure{exitKey, "revoked", "ask an owner of the repository for another key"}},
	{is(roles.ErrLoan), failure{exitKey, "loan", "have keys lent again"}},
	{is(roles.ErrExpired), failure{exitKey, "loan", "have keys lent again"}},
	{is(roles.ErrNotLent), failure{exitKey, "loan", "have keys lent for all that is to be restored"}},
	{is(roles.ErrRole), failure{exitKey, "not-allowed", ""}},
	{is(roles.ErrUnknownSigner), failure{exitUsage, "not-found", "cbk key list shows the keys"}},
	{is(roles.ErrNoSealKey), failure{exitKey, "wrong-key", "use a key that was there when the backup was made, or sealed anew since"}},
	{is(roles.ErrKeyFile), failure{exitUsage, "usage", "export another with cbk key export"}},
	{repo.KeyMismatch, failure{exitKey, "wrong-key", "check the key"}},
	{is(repo.ErrUnfinishedInit), failure{exitUsage, "unfinished-init", "if no other init is running: cbk init --discard-unfinished"}},
	{is(repo.ErrRepositoryExists), failure{exitUsage, "exists", "use it, or choose another --repo"}},
	{is(repo.ErrSnapshotExists), failure{exitUsage, "duplicate-name", "choose another --name"}},
	{is(snapshot.ErrNotPrepared), failure{exitUsage, "not-prepared", ""}},
	{is(snapshot.ErrNoTable), failure{exitUsage, "not-found", ""}},
	{as[*sourceDamageError], failure{exitDamage, "source-damage", "nodetool scrub, or repair from the other replicas"}},
	{as[*incompleteError], failure{exitIncomplete, "incomplete", "find out why Cassandra has no snapshot of them"}},
	{as[*heldError], failure{exitRefused, "held", "cbk hold list shows the holds, cbk hold remove ends one"}},
	{as[*lostError], failure{exitRefused, "lost", ""}},
	{as[*acceptedError], failure{exitIncomplete, "incomplete", "cbk show names what is lost"}},
	{as[*lockedError], failure{exitRefused, "locked", "delete it after that; cbk gc extends the locks of what the retention policy keeps"}},
	{as[*refusedError], failure{exitRefused, "refused", ""}},
	{is(snapshot.ErrNoHold), failure{exitUsage, "not-found", "cbk hold list shows what there is"}},
	{is(snapshot.ErrNotFound), failure{exitUsage, "not-found", "cbk list shows what there is"}},
	{is(pack.ErrNewer), failure{exitFailed, "newer-format", "use a newer cbk"}},
	{as[*restore.RefusedError], failure{exitRefused, "refused", ""}},
	{as[*restore.SpaceError], failure{exitRefused, "space", ""}},
	{as[*fit.RefusedError], failure{exitRefused, "risk", ""}},
	{as[*fit.UnknownRiskError], failure{exitUsage, "usage", ""}},
	{as[*prove.UnprovenError], failure{exitFailed, "unproven", "look at what is missing; the same command verifies again, --rollback puts the old files back"}},
	{as[*restore.UnfinishedError], failure{exitFailed, "unfinished-restore", ""}},
	{as[*restore.DamagedError], failure{exitDamage, "damage", "cbk check --read-data lists what is hit; restore from another backup"}},
	{as[*repo.DamageError], failure{exitDamage, "damage", "cbk check --read-data lists what is hit"}},
	{as[*node.ConfigError], failure{exitUsage, "usage", "cbk config show --origin tells where it is set"}},
	{as[*node.CommandError], failure{exitFailed, "command-failed", "its output follows"}},
	{is(index.ErrLocked), failure{exitFailed, "busy", "wait for the other cbk on this machine, or give each its own --state-dir"}},
	{is(store.ErrNoVersions), failure{exitUsage, "first-version-unsupported", "leave out --first-version"}},
	{is(store.ErrFull), failure{exitFailed, "full", "make room in the repository's store"}},
	{is(store.ErrDenied), failure{exitFailed, "denied", "check the rights on the repository's store"}},
	{func(error) bool { return true }, failure{exitFailed, "failed", ""}},
}

// failureOf tells what kind of error it is.
func failureOf(err error) failure {
	i := slices.IndexFunc(failures, func(f struct {
		match func(error) bool
		failure
	}) bool {
		return f.match(err)
	})
	return failures[i].failure
}

// report prints an error in one line, code word first, and returns the exit code.
func report(w io.Writer, err error) int {
	var q quiet
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &q):
		return q.exit
	}
	f, line := failureOf(err), flat(err)
	if a := (*advised)(nil); errors.As(err, &a) && f.code != "audit" {
		f.next = a.next
	}
	if f.next != "" {
		line += "; " + f.next
	}
	fmt.Fprintf(w, "cbk: %s: %s\n", f.code, line)
	var cmd *node.CommandError
	if errors.As(err, &cmd) && strings.TrimSpace(cmd.Output) != "" {
		fmt.Fprintln(w, indent(cmd.Output))
	}
	return f.exit
}

// exitCode is the code a command ends with.
func exitCode(err error) int {
	var q quiet
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &q):
		return q.exit
	}
	return failureOf(err).exit
}

func indent(s string) string {
	return "  | " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  | ")
}
