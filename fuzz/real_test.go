package fuzz

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/keys"
	"cbk/repo/store"
)

const (
	domainLabel = "node-1"
	passphrase  = "correct horse"
)

var (
	repository = [16]byte{'f', 'u', 'z', 'z'}
	cheap      = keys.Cost{Time: 1, Memory: 8, Threads: 1}
)

// real is what a writer of one domain made.
type real struct {
	index *pack.Key
	pack  []byte
	info  pack.Info
}

// realPack seals blobs of many kinds into a pack.
func realPack(f *testing.F, blobs int) real {
	f.Helper()
	secrets := keys.New(repository)
	d, err := secrets.Domain(domainLabel)
	if err != nil {
		f.Fatal(err)
	}
	key, session, err := secrets.NewSession(domainLabel)
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
	if err := repo.Init(f.Context(), st, []byte(passphrase), cheap, repo.DefaultConfig()); err != nil {
		f.Fatal(err)
	}
	config, err = st.Get(f.Context(), "config", 64<<10)
	if err != nil {
		f.Fatal(err)
	}
	return st, config
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}
