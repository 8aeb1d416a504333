package fuzz

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzConfig opens a repository whose config is arbitrary bytes, or an arbitrary identity in an intact frame. Only the
// genuine config opens.
func FuzzConfig(f *testing.F) {
	st, genuine := realRepository(f)
	identity := genuine[12 : len(genuine)-64]
	f.Add(genuine, identity)
	f.Add(genuine[:100], bytes.Replace(identity, []byte(`"suite":1`), []byte(`"suite":2`), 1))
	f.Add(append(bytes.Clone(genuine), 0), []byte(`{}`))
	f.Add([]byte("cbkC"), []byte(`{"repository":"zz"}`))
	f.Add([]byte(nil), bytes.Replace(identity, []byte(`"owner":"`), []byte(`"owner":"00`), 1))
	f.Fuzz(func(t *testing.T, config, identity []byte) {
		for _, c := range [][]byte{config, framed(identity, genuine[len(genuine)-64:])} {
			if err := opens(t, &changed{st, "config", c}); (err == nil) != bytes.Equal(c, genuine) {
				t.Fatalf("config %q opens with %v", c, err)
			}
		}
	})
}

// framed wraps an identity in a config with the right length and a signature of another one.
func framed(identity, signature []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("cbkC\x00\x00\x00\x00"), uint32(len(identity)))
	return append(append(b, identity...), signature...)
}
