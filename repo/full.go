package repo

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// A self-contained copy, full/<snapshot id>/, holds under the names that the same objects have in the repository all that
// one backup needs: packs, the shards that name them, session keys sealed anew, and last its root. With config, keys and
// trust log beside it, it can be listed, checked and restored. Names in signatures and seals are without the prefix, so
// one code reads both.

// fullTree returns the prefix of a copy.
func fullTree(id pack.ID) string { return fullPrefix + id.String() + "/" }

// logical returns the name of an object without the prefix of a copy.
func logical(name string) string {
	if _, inner, ok := SplitFull(name); ok {
		return inner
	}
	return name
}

// DomainOf returns the domain of a root by its name, in a copy or not.
func DomainOf(root string) string { return domainOf(root) }

// CopyOf returns the prefix of the self-contained copy in which an object lies, "" for none.
func CopyOf(name string) string {
	if id, _, ok := SplitFull(name); ok {
		return fullTree(id)
	}
	return ""
}

// placeOf takes the name of a root apart, which the grammar has accepted.
func placeOf(name string) Place {
	id, _ := pack.ParseID(path.Base(name))
	return Place{Domain: domainOf(name), ID: id}
}

// Copy returns the prefix of the self-contained copy that a root reads from, "" if it reads the shared packs.
func (r *Root) Copy() string {
	if r.Full {
		return fullTree(r.At.ID)
	}
	return ""
}

// standsAt refuses a root in a copy that is not its own.
func (r *Root) standsAt(name string) error {
	if in := CopyOf(name); in != "" && in != r.Copy() {
		return &DamageError{Object: name, What: "this copy is not of the root in it"}
	}
	return nil
}

// inside returns the repository as it is in a copy: shards, packs and session keys are those below the prefix.
func (r *Repo) inside(tree string) *Repo {
	in := *r
	in.within = tree
	return &in
}

func (r *Repo) packName(id pack.ID) string { return r.within + PackName(id) }

// NewReaderFor opens for reading what a root needs: its own copy and nothing else, or else its domain.
func (r *Repo) NewReaderFor(ctx context.Context, root *Root) (*Reader, error) {
	if !root.Full {
		return r.NewReader(ctx, root.At.Domain)
	}
	return r.inside(root.Copy()).newReader(ctx, root.At.Domain, func(*DamageError) {}, temporary)
}

// NewCheckReaderFor is NewCheckReader for what a root needs.
func (r *Repo) NewCheckReaderFor(ctx context.Context, root *Root, damaged func(*DamageError)) (*Reader, error) {
	return r.inside(root.Copy()).NewCheckReader(ctx, root.At.Domain, damaged)
}

// temporary gives the index of a copy a place for one command: a copy is read rarely, and by none that has read it before.
func temporary(*roles.Domain) (*index.Cache, error) { return index.OpenTemporary() }

// errOne ends a listing.
var errOne = errors.New("one is enough")

// any reports whether there is an object of a kind below a prefix.
func (r *Repo) any(ctx context.Context, prefix string, kind Kind) (bool, error) {
	err := r.st.List(ctx, prefix, func(i store.Info) error {
		if Classify(i.Name) == kind {
			return errOne
		}
		return nil
	})
	if errors.Is(err, errOne) {
		return true, nil
	}
	return false, err
}

// bareRoots returns the roots in copies, below a domain and a slash if that is given, if the repository is bare: nothing
// stands under snapshots/ nor pending/. Then whoever saved the copies saved nothing else, and they decide. Otherwise
// what stands under snapshots/ does. A backup under way has its pending root, so its copy never looks like a bare one;
// a deletion record outranks a copy as it does a root.
func (r *Repo) bareRoots(ctx context.Context, below string) (names []string, err error) {
	// Copies first: one that is being made has its pending root by then, and one that was committed its root.
	err = r.eachCopied(ctx, "", func(id pack.ID, inner string, i store.Info) error {
		if Classify(inner) == KindRoot && strings.HasPrefix(inner, rootPrefix+below) && placeOf(inner).ID == id && r.sees(domainOf(inner)) {
			names = append(names, i.Name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if there, err := r.any(ctx, pendPrefix, KindPending); err != nil || there {
		return nil, err
	}
	if there, err := r.any(ctx, rootPrefix, KindRoot); err != nil || there {
		return nil, err
	}
	return r.dropDeletedRoots(ctx, names)
}

// dropDeletedRoots leaves out the roots whose deletion record stands. What only bears the name of one takes none away.
func (r *Repo) dropDeletedRoots(ctx context.Context, names []string) (left []string, err error) {
	for _, name := range names {
		dead, err := r.deleted(ctx, logical(name))
		if ignoreDamage(err) != nil {
			return nil, err
		}
		if !dead {
			left = append(left, name)
		}
	}
	return left, nil
}

func (r *Repo) eachBareRoot(ctx context.Context, below string, fn func(name string) error) error {
	names, err := r.bareRoots(ctx, below)
	for _, name := range names {
		if err == nil {
			err = fn(name)
		}
	}
	return err
}

// eachCopied calls fn for every object of every copy, or of one tree.
func (r *Repo) eachCopied(ctx context.Context, tree string, fn func(id pack.ID, inner string, i store.Info) error) error {
	if tree == "" {
		tree = fullPrefix
	}
	err := r.st.List(ctx, tree, func(i store.Info) error {
		if Classify(i.Name) != KindFull {
			return nil
		}
		id, inner, _ := SplitFull(i.Name)
		return fn(id, inner, i)
	})
	if err != nil {
		return fmt.Errorf("list full copies: %w", err)
	}
	return nil
}

// tree is one self-contained copy, or what there is of it.
type tree struct {
	newest  time.Time // of its objects
	root    string    // the root in it, "" if there is none
	domains map[string]bool
}

// trees returns what stands under full/, by snapshot id.
func (r *Repo) trees(ctx context.Context) (map[pack.ID]*tree, error) {
	all := make(map[pack.ID]*tree)
	err := r.eachCopied(ctx, "", func(id pack.ID, inner string, i store.Info) error {
		t := all[id]
		if t == nil {
			t = &tree{domains: make(map[string]bool)}
			all[id] = t
		}
		if i.ModTime.After(t.newest) {
			t.newest = i.ModTime
		}
		switch Classify(inner) {
		case KindRoot:
			if placeOf(inner).ID == id {
				t.root = i.Name
			}
		case KindShard:
			t.domains[domainOf(inner)] = true
		}
		return nil
	})
	return all, err
}

// anyOverlay looks for the sealed forms of a session key in a copy, and then beside it: a copy being made gets them last.
func (r *Repo) anyOverlay(ctx context.Context, id pack.SessionID) func(roles.SealKeyID) ([]byte, error) {
	return func(to roles.SealKeyID) ([]byte, error) {
		b, err := r.overlays(ctx, id)(to)
		if b == nil && err == nil && r.within != "" {
			return r.inside("").overlays(ctx, id)(to)
		}
		return b, err
	}
}

// resealCopies seals the session keys in every copy too, those being made included.
func (r *Repo) resealCopies(ctx context.Context, k *roles.Keyring) (n int, err error) {
	all, err := r.trees(ctx)
	if err != nil {
		return 0, err
	}
	for id, t := range all {
		var domains []string
		for d := range t.domains {
			domains = append(domains, d)
		}
		did, err := r.inside(fullTree(id)).resealAll(ctx, k, domains)
		// What went since the listing was garbage, or its backup was deleted.
		if n += did; ignoreMissing(err) != nil {
			return n, fmt.Errorf("full copy %s: %w", id, err)
		}
	}
	return n, nil
}
