package repo_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// tryBoth backs up one file in node-1 and one in the shared domain, as one backup.
func tryBoth(ctx context.Context, r *repo.Repo, name string, file, shared []byte) (main, part *repo.Root, err error) {
	one, err := r.NewSession(ctx, "node-1")
	if err != nil {
		return nil, nil, err
	}
	two, err := r.NewSession(ctx, "shared")
	if err != nil {
		return nil, nil, errors.Join(err, one.Close())
	}
	if main, _, err = fill(one, name, file); err == nil {
		part, _, err = fill(two, name, shared)
	}
	if err == nil {
		err = one.Commit(name, main, repo.Part{Session: two, Root: part})
	}
	return main, part, errors.Join(err, one.Close(), two.Close())
}

func both(t *testing.T, r *repo.Repo, name string, file, shared []byte) (main, part *repo.Root) {
	t.Helper()
	main, part, err := tryBoth(t.Context(), r, name, file, shared)
	if err != nil {
		t.Fatal(err)
	}
	return main, part
}

// backups returns the roots that a caller takes for backups, all found in good order.
func backups(t *testing.T, r *repo.Repo) (names, parts []string) {
	t.Helper()
	for _, name := range committed(t, r) {
		root, err := r.ReadRoot(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if root.Main != nil {
			parts = append(parts, name)
		} else {
			names = append(names, name)
		}
	}
	return names, parts
}

// mustReadBoth reads a backup in both domains.
func mustReadBoth(t *testing.T, r *repo.Repo, at string, file, shared []byte) {
	t.Helper()
	main, err := r.ReadRoot(t.Context(), at)
	if err != nil || len(main.Parts) != 1 {
		t.Fatalf("%+v, %v", main, err)
	}
	for name, want := range map[string][]byte{at: file, main.Parts[0].Name(): shared} {
		got, err := restoreRoot(t.Context(), r, name)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sweepBoth collects both domains, the other one first.
func sweepBoth(t *testing.T, r *repo.Repo) {
	t.Helper()
	for _, domain := range []string{"shared", "node-1", "shared", "node-1"} {
		if _, err := r.GC(t.Context(), domain, impatient()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABackupMayLieInTwoDomains(t *testing.T) {
	owner, st := newRepo(t)
	w := keyed(t, owner, st, roles.RoleWriter, "node-1", "shared")
	file, shared := noise(1, 400_000), noise(2, 400_000)
	main, part := both(t, w, "daily", file, shared)
	if part.Main == nil || part.Main.Name() != rootName(t, owner, "daily") || !slices.Equal(main.Parts, []repo.Place{putAt(t, main.Parts[0].Name())}) {
		t.Fatalf("main %+v, part %+v", main, part)
	}
	both(t, w, "weekly", file, shared)
	names, parts := backups(t, openRepo(t, st, ""))
	if len(names) != 2 || len(parts) != 2 {
		t.Errorf("backups %v, parts %v", names, parts)
	}
	sweepBoth(t, keyed(t, owner, st, roles.RoleKeeper))
	for _, at := range names {
		mustReadBoth(t, openRepo(t, st, ""), at, file, shared)
	}
	mustBeSound(t, openRepo(t, st, ""))
}

func TestAPartEndsWithItsMainRootAndNotBefore(t *testing.T) {
	owner, st := newRepo(t)
	dir := t.TempDir()
	u, _ := export(t, owner, roles.RoleWriter, "node-1", "shared")
	w := openWith(t, st, u, dir)
	file, gone, kept := noise(1, 400_000), noise(2, 1<<20), noise(3, 400_000)
	first, _ := both(t, w, "first", file, gone)
	both(t, w, "second", file, kept)
	if err := owner.Delete(t.Context(), first.Parts[0].Name(), nil); err == nil {
		t.Error("a part was deleted by itself")
	}
	sweepBoth(t, owner)
	mustReadBoth(t, owner, rootName(t, owner, "first"), file, gone)
	remove(t, owner, "first")
	before := bytesIn(t, st, "packs/")
	sweepBoth(t, owner)
	if freed := before - bytesIn(t, st, "packs/"); freed < int64(len(gone)) {
		t.Errorf("%d bytes freed of a part of %d", freed, len(gone))
	}
	both(t, openWith(t, st, u, ""), "third", file, kept) // no local state: the chain goes on from the records
	fresh := openRepo(t, st, "")
	names, parts := backups(t, fresh)
	if len(names) != 2 || len(parts) != 2 {
		t.Errorf("backups %v, parts %v", names, parts)
	}
	for _, at := range names {
		mustReadBoth(t, fresh, at, file, kept)
	}
	mustBeSound(t, fresh) // in the chain of the shared domain nothing is missing
}

// A deletion that ends after its record leaves the rest to gc.
func TestGCRemovesThePartsOfABackupWhoseDeletionEndedEarly(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 100_000)
	both(t, owner, "first", file, file)
	main, _ := both(t, owner, "second", file, file)
	both(t, owner, "third", file, file)
	stuck := openRepo(t, undeletable{st, "snapshots/"}, t.TempDir())
	if err := stuck.Delete(t.Context(), rootName(t, owner, "second"), nil); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	k := openRepo(t, st, t.TempDir())
	sweepBoth(t, k)
	if there, err := k.HasRoot(t.Context(), main.Parts[0].Name()); there || err != nil {
		t.Errorf("the part is still there: %v", err)
	}
	mustBeSound(t, k)
}

// undeletable is a store that removes nothing under a prefix.
type undeletable struct {
	store.Store
	prefix string
}

func (u undeletable) Delete(ctx context.Context, name string) error {
	if strings.HasPrefix(name, u.prefix) {
		return errStore
	}
	return u.Store.Delete(ctx, name)
}

// A keeper that takes a session in two domains for dead ends both, and the blobs of both are free.
func TestAKeeperEndsADeadSessionInBothDomains(t *testing.T) {
	for _, domains := range [][]string{{"node-1", "shared"}, {"shared", "node-1"}} {
		for _, died := range []string{"pending/shared", "snapshots/shared", "snapshots/node-1"} {
			t.Run(strings.Join(domains, " then ")+", died before "+died, func(t *testing.T) {
				owner, st := newRepo(t)
				dir, file := t.TempDir(), noise(1, 400_000)
				both(t, openRepo(t, st, dir), "before", []byte("a"), []byte("b"))
				_, _, err := tryBoth(t.Context(), openRepo(t, dead{st, died}, dir), "daily", file, file)
				if !errors.Is(err, errDead) {
					t.Fatal(err)
				}
				for range 2 {
					for _, d := range domains {
						if _, err := owner.GC(t.Context(), d, impatient()); err != nil {
							t.Fatal(err)
						}
					}
				}
				if names, parts := backups(t, owner); len(names) != 1 || len(parts) != 1 {
					t.Errorf("backups %v, parts %v", names, parts)
				}
				if left := bytesIn(t, st, "packs/"); left > int64(len(file)) {
					t.Errorf("%d bytes left", left)
				}
				if left := objects(t, st, "pending/"); len(left) > 0 {
					t.Errorf("announced still: %v", left)
				}
				w := openRepo(t, st, dir)
				both(t, w, "daily", file, file)
				mustBeSound(t, openRepo(t, st, ""))
			})
		}
	}
}

// A stolen key that writes the shared domain too may name another node's part as its own: to delete its root takes no more
// than what calls itself a part of it.
func TestADeletionTakesNoPartOfAnotherBackup(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 100_000)
	victim, _ := both(t, owner, "daily", file, file)
	thief := keyed(t, owner, st, roles.RoleWriter, "node-1", "shared")
	name := repo.RootName("node-1", pack.ID{7})
	data := must(t)(thief.ForgeRoot("node-1", name, &repo.Root{Link: repo.Link{Sequence: 1}, Parts: victim.Parts}))
	if err := st.Create(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	if err := owner.Delete(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	mustReadBoth(t, owner, rootName(t, owner, "daily"), file, file)
}
