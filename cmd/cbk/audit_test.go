package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// within runs fn as the action of a command line's command.
func within(t *testing.T, stderr io.Writer, fn func(*cli.Context), args ...string) {
	t.Helper()
	app := newApp(io.Discard, stderr)
	ran := false
	var replace func([]*cli.Command)
	replace = func(commands []*cli.Command) {
		for _, c := range commands {
			c.Action = func(c *cli.Context) error { ran = true; fn(c); return nil }
			replace(c.Subcommands)
		}
	}
	replace(app.Commands)
	if err := app.RunContext(t.Context(), permute(append([]string{"cbk"}, args...), app.Commands)); err != nil || !ran {
		t.Fatalf("cbk %v: ran %v, %v", args, ran, err)
	}
}

func TestARecordHasWhatWasSaidAndNoSecret(t *testing.T) {
	t.Setenv("CBK_KMS", "base64key://secret")
	for _, c := range []struct{ line, command, args string }{
		{"init --repo s3://key:secret@bucket --passphrase-file p --pack-size 2MiB", "init", "--pack-size=2MiB"},
		{"gc", "gc", ""},
		{"gc --grace 1h --json --log-level debug --state-dir d", "gc", "--grace=1h0m0s"},
		{"delete monday --yes tuesday", "delete", "--yes|monday|tuesday"},
		{"backup --keyspace a --keyspace b --concurrency 2", "backup", "--keyspace=a|--keyspace=b|--concurrency=2"},
		{"key add --role keeper --new-kms base64key://secret", "key add", "--role=keeper|--new-kms=base64key://…"},
		{"key revoke 0123 --kms base64key://secret", "key revoke", "0123"},
		{"restore https://user:secret@host --in-place", "restore", "--in-place|https://…"},
	} {
		within(t, io.Discard, func(ctx *cli.Context) {
			got, want := spoken(ctx), strings.Split(c.args, "|")
			if c.args == "" {
				want = nil
			}
			slices.Sort(got)
			slices.Sort(want)
			if commandName(ctx) != c.command || !slices.Equal(got, want) {
				t.Errorf("%s: command %q, arguments %q", c.line, commandName(ctx), got)
			}
		}, strings.Fields(c.line)...)
	}
}

// readerOf makes a repository in a directory and returns a session of a reader's key, which found it open for reading only.
func readerOf(t *testing.T, dir string, log io.Writer) *session {
	t.Helper()
	cheap := roles.Cost{Time: 1, Memory: 8, Threads: 1}
	st, err := store.Open(t.Context(), dir, store.Options{Make: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Init(t.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte("p"), cheap)); err != nil {
		t.Fatal(err)
	}
	owner, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte("p")), "")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := owner.ExportKey(t.Context(), roles.RoleReader, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := roles.ParseKeyFile(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), store.ReadOnly(st), roles.WithKeyFile(file), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &session{cfg: &config{Repository: dir}, log: slog.New(slog.NewTextHandler(log, nil)), repo: r, advise: func(err error) error { return err }}
}

func TestARestoreLeavesARecordWhereItMayAndDoesWithoutElsewhere(t *testing.T) {
	var log, stderr bytes.Buffer
	dir := filepath.Join(t.TempDir(), "repo")
	s := readerOf(t, dir, &log)
	var heads []string
	restored := func(done error) {
		within(t, &stderr, func(c *cli.Context) { heads = append(heads, s.auditIfAllowed(c, done)) }, "restore", "monday", "--in-place")
	}
	restored(nil)
	restored(errors.New("disk full"))
	restored(usageError("not confirmed"))
	if !strings.Contains(heads[0], ":1:") || !strings.Contains(heads[1], ":2:") || heads[2] != "" || log.Len() > 0 {
		t.Fatalf("heads %q, log %s", heads, &log)
	}
	if want := "audit head " + heads[0] + "\naudit head " + heads[1] + "\n"; stderr.String() != want {
		t.Errorf("printed %q", &stderr)
	}
	err := s.repo.Audit(t.Context(), repo.AuditOptions{}, func(r repo.AuditRecord, err error) error {
		if r.Seq == 2 && (r.Result != "failed" || r.Exit != exitFailed) || r.Command != "restore" || r.User == "" || r.Host == "" {
			t.Errorf("record %+v", r)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "audit")), os.WriteFile(filepath.Join(dir, "audit"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	restored(nil)
	if heads[3] != "" || !strings.Contains(log.String(), "no audit record") {
		t.Errorf("head %q, log %q", heads[3], &log)
	}
	s.close(&err)
	if err != nil {
		t.Errorf("the restore ends with %v", err)
	}
}

func TestAMissingRecordIsToldUnlessTheCommandFailedAnyway(t *testing.T) {
	for _, c := range []struct {
		name string
		done error
		exit int
		says string
	}{
		{"done", nil, exitFailed, "cbk: audit: the change is made, but not in the audit chain: "},
		{"damaged at the source", &sourceDamageError{1}, exitFailed, "cbk: audit: "},
		{"told already", quiet{exitDamage}, exitFailed, "cbk: audit: "},
		{"interrupted", errInterrupted, exitInterrupted, "cbk: interrupted: "},
		{"cancelled", context.Canceled, exitInterrupted, "the change is made, but not in the audit chain"},
		{"failed", errors.New("disk on fire"), exitFailed, "cbk: failed: disk on fire"},
		{"refused", roles.ErrLast, exitRefused, "cbk: last-key: "},
		{"not allowed", roles.ErrRole, exitKey, "cbk: not-allowed: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := readerOf(t, filepath.Join(t.TempDir(), "repo"), io.Discard)
			var stderr strings.Builder
			err := c.done
			within(t, &stderr, func(ctx *cli.Context) { // its store is open for reading only
				if head := s.audit(ctx, nil, c.done); head != "" {
					t.Errorf("head %s", head)
				}
			}, "gc")
			s.close(&err)
			exit := report(&stderr, err)
			if exit != c.exit || exitCode(err) != c.exit || strings.Contains(stderr.String(), "exit 4") || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("exit %d: %s", exit, &stderr)
			}
		})
	}
}

// The plan's hash is that of what --dry-run --json prints.
func TestAPlanIsNamedByTheHashOfItsDocument(t *testing.T) {
	within(t, io.Discard, func(c *cli.Context) {
		plan := struct {
			Schema  string   `json:"schema"`
			DryRun  bool     `json:"dry_run"`
			Deleted []string `json:"deleted"`
			Left    []string `json:"left"`
		}{"cbk.delete/1", true, []string{"b1"}, []string{"b<10>"}}
		e, err := auditEntry(c, plan, nil)
		// printf '%s\n' '{"schema":"cbk.delete/1","dry_run":true,"deleted":["b1"],"left":["b<10>"]}' | sha256sum
		if want := "dd6cb934ec157a32ad068dd858168494ec87784265b86b0f98d6c9376120580a"; err != nil || e.Plan != want {
			t.Errorf("plan %s, %v", e.Plan, err)
		}
		if e, err := auditEntry(c, nil, nil); err != nil || e.Plan != "" {
			t.Errorf("without a plan: %q, %v", e.Plan, err)
		}
	}, "gc")
}
