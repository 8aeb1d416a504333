package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// plantOne makes a repository in dir with a backup of two nodes.
func plantOne(t *testing.T, dir string) {
	t.Helper()
	st, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := repo.Init(t.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte("correct horse"), roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		t.Fatal(err)
	}
	p, err := parsePlanted([]string{"b", "nodes=a,b"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range p.nodes {
		if err := p.commit(t.Context(), dir, letter); err != nil {
			t.Fatal(err)
		}
	}
}

// lendNode is what a coordinator does for one node: a loan, and where the root is.
func lendNode(t *testing.T, dir, node string, until time.Time) (loan []byte, root string) {
	t.Helper()
	st, err := store.Open(t.Context(), dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte("correct horse")), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := snapshot.Find(t.Context(), r, "b", "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Pick(node)
	if err != nil {
		t.Fatal(err)
	}
	if loan, err = snapshot.Lend(t.Context(), r, until, snapshot.Lent{Entry: e}); err != nil {
		t.Fatal(err)
	}
	return loan, e.Root
}

// runLent runs a command that opens the repository with a loan alone.
func runLent(t *testing.T, dir, state string, loan []byte, do func(context.Context, *repo.Repo) error) (code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	app := newApp(&bytes.Buffer{}, &errs)
	app.Commands = []*cli.Command{{Name: "lent", Flags: commonFlags(), Action: func(c *cli.Context) (err error) {
		s, err := openLent(c, loan)
		if err != nil {
			return err
		}
		defer s.close(&err)
		return do(c.Context, s.repo)
	}}}
	err := app.RunContext(t.Context(), []string{"cbk", "lent", "--repo", dir, "--state-dir", state, "--config", os.DevNull})
	return report(&errs, err), errs.String()
}

func TestACommandOpensWithALoanAndNoKeyOfItsMachine(t *testing.T) {
	for _, name := range []string{"CBK_KEY_FILE", "CBK_PASSPHRASE", "CBK_PASSPHRASE_FILE", "CBK_CONFIG"} {
		t.Setenv(name, "")
	}
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	plantOne(t, dir)
	loan, root := lendNode(t, dir, "node-a", time.Now().Add(time.Hour))
	_, other := lendNode(t, dir, "node-b", time.Now().Add(time.Hour))
	open := func(name string) func(context.Context, *repo.Repo) error {
		return func(ctx context.Context, r *repo.Repo) error {
			e, err := snapshot.EntryOf(ctx, r, name)
			if err != nil {
				return err
			}
			s, err := snapshot.Open(ctx, r, e)
			if err != nil {
				return err
			}
			defer s.Close()
			var cql strings.Builder
			if err := s.Schema(ctx, &cql); err != nil || cql.Len() == 0 {
				t.Errorf("schema %q: %v", &cql, err)
			}
			return nil
		}
	}
	over, _ := lendNode(t, dir, "node-a", time.Now().Add(-time.Hour))
	changed := bytes.Clone(loan)
	changed[len(changed)-1] ^= 1
	for _, c := range []struct {
		name string
		loan []byte
		do   func(context.Context, *repo.Repo) error
		code int
		says string
	}{
		{"the node it was made for", loan, open(root), exitOK, ""},
		{"another node", loan, open(other), exitKey, "cbk: not-allowed: "},
		{"a loan that is over", over, open(root), exitKey, "cbk: loan: "},
		{"a loan that somebody changed", changed, open(root), exitKey, "cbk: loan: "},
		{"a part of a loan", loan[:50], open(root), exitKey, "cbk: loan: "},
		{"nothing", nil, open(root), exitKey, "cbk: loan: "},
		{"a session that was not lent", loan, func(_ context.Context, r *repo.Repo) error {
			_, err := r.Key().OpenSession("node-a", pack.Session{}, nil)
			return err
		}, exitKey, "cbk: loan: "},
	} {
		code, stderr := runLent(t, dir, state, bytes.Clone(c.loan), c.do)
		if code != c.code || !strings.HasPrefix(stderr, c.says) {
			t.Errorf("%s: exit %d, %s", c.name, code, stderr)
		}
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("it left something in the state directory: %v", err)
	}
}
