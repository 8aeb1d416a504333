package fuzz

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"cbk/repo"
	"cbk/repo/store"
)

// withConfig is a store that has another config.
type withConfig struct {
	store.Store
	config []byte
}

func (w withConfig) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name != "config" {
		return w.Store.Get(ctx, name, limit)
	}
	if int64(len(w.config)) > limit {
		return nil, store.ErrTooLarge
	}
	return w.config, nil
}

// FuzzConfig opens a repository whose config is arbitrary bytes, or arbitrary settings with a checksum that fits. Only
// the genuine config opens.
func FuzzConfig(f *testing.F) {
	st, genuine := realRepository(f)
	settings := genuine[10 : len(genuine)-64]
	f.Add(genuine, settings)
	f.Add(genuine[:100], bytes.Replace(settings, []byte(`"suite":1`), []byte(`"suite":2`), 1))
	f.Add(append(bytes.Clone(genuine), 0), []byte(`{}`))
	f.Add([]byte("cbkC"), []byte(`{"repository":"zz"}`))
	f.Add([]byte(nil), bytes.Replace(settings, []byte(`"pack_size":`), []byte(`"pack_size":9`), 1))
	f.Fuzz(func(t *testing.T, config, settings []byte) {
		for _, c := range [][]byte{config, summed(settings)} {
			r, err := repo.Open(t.Context(), withConfig{st, c}, []byte(passphrase), "")
			if (err == nil) != bytes.Equal(c, genuine) || (r == nil) != (err != nil) {
				t.Fatalf("config %q opens with %v", c, err)
			}
		}
	})
}

// summed wraps settings in a config with the right length and checksum; its authentication code is zero.
func summed(settings []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte("cbkC"), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(settings)))
	b = append(b, settings...)
	b = append(b, sum(b)...)
	return append(b, make([]byte, 32)...)
}
