package fuzz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
	"cbk/repo/roles"
)

// FuzzRoot reads roots: a real one with a byte changed, arbitrary bytes, and arbitrary heads and bodies that a writer has
// signed and sealed.
func FuzzRoot(f *testing.F) {
	st, _ := realRepository(f)
	alt := &changed{Store: st}
	r, err := repo.Open(f.Context(), alt, roles.WithPassphrase([]byte(passphrase)), "")
	if err != nil {
		f.Fatal(err)
	}
	commitRoot(f, r)
	name := objects(f, st, "snapshots/")[0]
	genuine := get(f, st, name)
	head, body := inside(f, r, name, genuine)
	f.Add(genuine, head, body, uint32(0), byte(0))
	f.Add(genuine[:8], head[:len(head)-1], body, uint32(5), byte(1))
	f.Add([]byte("cbkR\xff\xff\xff\xff"), append(bytes.Clone(head), 0), []byte{0, 0}, uint32(60), byte(0x80))
	f.Add([]byte("cbk\x01"), []byte{0}, binary.AppendUvarint(nil, 1<<20), uint32(100), byte(2))
	f.Fuzz(func(t *testing.T, data, head, body []byte, at uint32, mask byte) {
		read := func(b []byte) (*repo.Root, error) {
			alt.name, alt.data = name, b
			root, err := r.ReadRoot(t.Context(), name)
			if err != nil && !errors.As(err, new(*repo.DamageError)) {
				t.Fatalf("error %v", err)
			}
			return root, err
		}
		read(data)

		flipped := bytes.Clone(genuine)
		flipped[int(at)%len(flipped)] ^= mask
		if _, err := read(flipped); (err == nil) != (mask == 0) {
			t.Fatalf("a root changed at %d by %x: %v", at, mask, err)
		}

		root, err := read(sealedRoot(t, r, name, head, body))
		if err != nil {
			return
		}
		if len(root.Catalogue) > 8<<10 || len(root.Refs)+len(root.Descriptions) > len(body) {
			t.Fatalf("a root of %d bytes has %+v", len(body), root)
		}
		again, err := read(sealedRoot(t, r, name, head, body))
		if err != nil {
			t.Fatal(err)
		}
		again.Hash = root.Hash // nonces differ
		if diff := cmp.Diff(root, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func commitRoot(f *testing.F, r *repo.Repo) {
	f.Helper()
	s, err := r.NewSession(f.Context(), domainLabel)
	if err != nil {
		f.Fatal(err)
	}
	root := &repo.Root{Catalogue: []byte("entry"), Ring: pack.ID{1}, Refs: []pack.ID{{2}, {3}}, Descriptions: []pack.ID{{4}}}
	if err := errors.Join(s.Commit("fuzz", root), s.Close()); err != nil {
		f.Fatal(err)
	}
}

func keyOf(t testing.TB, r *repo.Repo) *pack.Key {
	t.Helper()
	d, err := r.Key().Domain(domainLabel)
	if err != nil {
		t.Fatal(err)
	}
	return d.Index
}

func rootScope(r *repo.Repo, name string) pack.Scope {
	return pack.Scope{Repository: r.Key().Repository(), Domain: domainLabel, Name: name}
}

// inside returns the plaintexts of a root's head, without its signatures, and of its body.
func inside(f *testing.F, r *repo.Repo, name string, data []byte) (head, body []byte) {
	f.Helper()
	n := binary.BigEndian.Uint32(data[4:])
	frame, err := pack.Open(nil, keyOf(f, r), pack.ClassRoot, rootScope(r, name), data[8:8+n])
	if err != nil {
		f.Fatal(err)
	}
	d := wire.NewDecoder(frame)
	d.Fixed(d.Count(8, roles.SignatureSize) * roles.SignatureSize)
	head = d.Bytes(len(frame))
	body, err = pack.Open(nil, keyOf(f, r), pack.ClassRootBody, rootScope(r, name), data[8+n:])
	if err = errors.Join(err, d.Done()); err != nil {
		f.Fatal(err)
	}
	return head, body
}

// sealedRoot makes a root of a head and a body; the head's hash of the body, its third field, is set right.
func sealedRoot(t *testing.T, r *repo.Repo, name string, head, body []byte) []byte {
	t.Helper()
	key := keyOf(t, r)
	sealed := pack.Seal(nil, key, pack.ClassRootBody, rootScope(r, name), body)
	if _, n := binary.Uvarint(head); n > 0 && len(head) >= n+64 {
		sum := sha256.Sum256(sealed)
		head = bytes.Clone(head)
		copy(head[n+32:], sum[:])
	}
	var e wire.Encoder
	e.Count(1)
	e.Fixed(r.Key().Sign("4 "+name, head).Bytes())
	e.Bytes(head)
	frame := pack.Seal(nil, key, pack.ClassRoot, rootScope(r, name), e.Out())
	out := binary.BigEndian.AppendUint32([]byte("cbkR"), uint32(len(frame)))
	return append(append(out, frame...), sealed...)
}
