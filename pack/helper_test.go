package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"cbk/pack"
)

// secret returns the 32 bytes that stand for one of a test's keys.
func secret(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func testKey(name string) *pack.Key {
	s := secret(name)
	return &pack.Key{ID: [8]byte(s[24:]), Secret: s}
}

// noise returns n bytes that do not compress, the same for the same seed.
func noise(seed, n int) []byte {
	src := rand.NewChaCha8(secret(fmt.Sprint("noise", seed)))
	b := make([]byte, n)
	src.Read(b)
	return b
}

// text returns n bytes that compress well.
func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "row %d of table users\n", i)
	}
	return b.Bytes()[:n]
}

// frame returns a zstd frame of b as another program might have made it.
func frame(t *testing.T, b []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(b, nil)
}

// writer is what one session of one domain seals and packs with.
type writer struct {
	sealer  *pack.Sealer
	hasher  *pack.Hasher
	data    *pack.Key // seals blobs
	index   *pack.Key // seals tails
	session pack.Session
	scope   pack.Scope
	scratch pack.Scratch
}

func newWriter(t testing.TB, domain string) *writer {
	t.Helper()
	codec, err := pack.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	repository := [16]byte{'r', 'e', 'p', 'o'}
	hasher := pack.NewHasher(secret("id " + domain))
	data := testKey("data " + domain)
	session := pack.Session{ID: pack.SessionID{'s', 'e', 's', 's'}, Sealed: []byte("the sealed key of " + domain)}
	copy(session.ID[:], data.ID[:])
	return &writer{hasher: hasher, data: data, index: testKey("index " + domain), session: session,
		scope:  pack.TailScope(repository, domain),
		sealer: &pack.Sealer{Codec: codec, Repository: repository, Domain: domain, Hasher: hasher}}
}

func (w *writer) seal(t testing.TB, typ pack.Type, plain []byte) (pack.ID, []byte) {
	t.Helper()
	id := w.hasher.ID(typ, plain)
	sealed, err := w.sealer.Seal(nil, &w.scratch, w.data, typ, id, plain)
	if err != nil {
		t.Fatal(err)
	}
	return id, sealed
}

// add seals plain into b.
func (w *writer) add(t testing.TB, b *pack.Builder, typ pack.Type, plain []byte) pack.ID {
	t.Helper()
	id, sealed := w.seal(t, typ, plain)
	b.Add(typ, id, sealed, len(plain), w.session)
	return id
}

func (w *writer) open(e pack.Entry, sealed []byte) ([]byte, error) {
	return w.sealer.Open(nil, &w.scratch, w.data, e.Type, e.ID, sealed, int(e.Plain))
}

// assemble makes a pack of a body and a tail's plaintext, with everything else as it should be.
func (w *writer) assemble(body, tail []byte) []byte {
	sum := sha256.Sum256(body)
	sealed := pack.Seal(nil, w.index, pack.ClassTail, w.scope, append(sum[:], tail...))
	b := append(bytes.Clone(body), sealed...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(sealed)))
	return append(b, "cbkP"...)
}

// allocated returns how many bytes fn allocates. Tests that use it do not run in parallel.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
