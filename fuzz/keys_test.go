package fuzz

import (
	"bytes"
	"errors"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
)

// FuzzSlot opens a repository one of whose key objects is arbitrary bytes under the name that fits them, or under its
// old one. Only the genuine one opens it, and no other error than that of a key that does not fit is told.
func FuzzSlot(f *testing.F) {
	st, _ := realRepository(f)
	for _, name := range objects(f, st, "keys/") {
		f.Add(get(f, st, name), uint16(0), byte(0))
		f.Add(get(f, st, name), uint16(40), byte(1))
	}
	f.Add([]byte("cbkS\x00\x01\x01"), uint16(4), byte(0xff))
	f.Add([]byte("cbkG"), uint16(0), byte(0))
	names := objects(f, st, "keys/")
	f.Fuzz(func(t *testing.T, data []byte, at uint16, mask byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= mask
		}
		for _, name := range names {
			err := opens(t, &changed{st, name, data})
			genuine, _ := st.Get(t.Context(), name, roles.MaxGrant)
			if (err == nil) != bytes.Equal(data, genuine) {
				t.Fatalf("%s opens with %v", name, err)
			}
			if err != nil && !repo.KeyMismatch(err) && !errors.As(err, new(*repo.DamageError)) {
				t.Fatalf("error %v", err)
			}
		}
	})
}

// FuzzTrustStatement opens a repository one of whose trust statements is arbitrary bytes. It is refused, and named.
func FuzzTrustStatement(f *testing.F) {
	st, _ := realRepository(f)
	names := objects(f, st, "trust/")
	for _, name := range names {
		f.Add(get(f, st, name), uint16(0), byte(0))
		f.Add(get(f, st, name), uint16(4), byte(1))
		f.Add(get(f, st, name), uint16(100), byte(2))
	}
	f.Add([]byte("cbkT\x00\xff\xff\xff\xff"), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, mask byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= mask
		}
		for _, name := range names {
			genuine, _ := st.Get(t.Context(), name, roles.MaxStatement)
			err := opens(t, &changed{st, name, data})
			if (err == nil) != bytes.Equal(data, genuine) {
				t.Fatalf("%s opens with %v", name, err)
			}
			var damage *repo.DamageError
			if err != nil && !errors.Is(err, pack.ErrNewer) && (!errors.As(err, &damage) || damage.Object != name) {
				t.Fatalf("%s: error %v", name, err)
			}
		}
	})
}
