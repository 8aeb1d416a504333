package fuzz

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const (
	domainLabel = "node-1"
	passphrase  = "correct horse"
)

var (
	repository = [16]byte{'f', 'u', 'z', 'z'}
	cheap      = roles.Cost{Time: 1, Memory: 8, Threads: 1}
)

// real is what a writer of one domain made.
type real struct {
	index *pack.Key
	pack  []byte
	info  pack.Info
}

// realKeyring is an owner's.
func realKeyring(f *testing.F) *roles.Keyring {
	f.Helper()
	owner, objects, err := roles.Create(repository, []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	_, more, err := owner.AddSlot(roles.RoleOwner, roles.Passphrase([]byte(passphrase), cheap))
	if err != nil {
		f.Fatal(err)
	}
	objects = append(objects, more...)
	statements := make([][]byte, 0, 3)
	for n := uint64(1); n <= 3; n++ {
		for _, o := range objects {
			if o.Name == roles.TrustName(n) {
				statements = append(statements, o.Data)
			}
		}
	}
	trust, err := roles.ParseTrust(repository, owner.Trust().Owner(), statements)
	if err != nil {
		f.Fatal(err)
	}
	each := func(yield func(roles.Object, error) bool) {
		for _, o := range objects {
			if strings.HasPrefix(o.Name, "keys/") && !yield(o, nil) {
				return
			}
		}
	}
	k, err := roles.Open(repository, owner.Trust().Owner(), trust, each, roles.WithPassphrase([]byte(passphrase)))
	if err != nil {
		f.Fatal(err)
	}
	return k
}

// realPack seals blobs of many kinds into a pack.
func realPack(f *testing.F, blobs int) real {
	f.Helper()
	keyring := realKeyring(f)
	d, err := keyring.Domain(domainLabel)
	if err != nil {
		f.Fatal(err)
	}
	key, session, err := keyring.NewSession(domainLabel)
	if err != nil {
		f.Fatal(err)
	}
	codec, err := pack.NewCodec()
	if err != nil {
		f.Fatal(err)
	}
	sealer := pack.Sealer{Codec: codec, Repository: repository, Domain: domainLabel, Hasher: d.Hasher}
	b := pack.NewBuilder(make([]byte, 1<<20))
	var w pack.Scratch
	for i := range blobs {
		plain := fmt.Append(nil, "content of blob ", i)
		typ := pack.Type(1 + i%6)
		id := d.Hasher.ID(typ, plain)
		sealed, err := sealer.Seal(nil, &w, key, typ, id, plain)
		if err != nil {
			f.Fatal(err)
		}
		b.Add(typ, id, sealed, len(plain), session)
	}
	data, info := b.Finish(d.Index, pack.TailScope(repository, domainLabel))
	return real{index: d.Index, pack: data, info: info}
}

// realRepository makes a repository in memory and returns its store with the bytes of its config.
func realRepository(f *testing.F) (st store.Store, config []byte) {
	f.Helper()
	st, err := store.Open(f.Context(), "mem://", store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { st.Close() })
	if err := repo.Init(f.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		f.Fatal(err)
	}
	config, err = st.Get(f.Context(), "config", 64<<10)
	if err != nil {
		f.Fatal(err)
	}
	return st, config
}

// changed is a store in which one object has other bytes.
type changed struct {
	store.Store
	name string
	data []byte
}

// Get implements store.Store.
func (c *changed) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name != c.name {
		return c.Store.Get(ctx, name, limit)
	}
	if int64(len(c.data)) > limit {
		return nil, store.ErrTooLarge
	}
	return c.data, nil
}

// opens reports whether the repository in st opens with the passphrase.
func opens(t *testing.T, st store.Store) error {
	r, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte(passphrase)), "")
	if (r == nil) != (err != nil) {
		t.Fatalf("repository %v and error %v", r, err)
	}
	return err
}

// objects returns the names below a prefix.
func objects(f *testing.F, st store.Store, prefix string) (names []string) {
	f.Helper()
	err := st.List(f.Context(), prefix, func(i store.Info) error { names = append(names, i.Name); return nil })
	if err != nil || len(names) == 0 {
		f.Fatalf("%d objects below %q: %v", len(names), prefix, err)
	}
	return names
}

func get(f *testing.F, st store.Store, name string) []byte {
	f.Helper()
	data, err := st.Get(f.Context(), name, pack.MaxPack)
	if err != nil {
		f.Fatal(err)
	}
	return data
}
