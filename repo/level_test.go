package repo_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// slowPacks is a store on which packs take their time.
type slowPacks struct {
	store.Store
	pause time.Duration
}

func (s slowPacks) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "packs/") {
		time.Sleep(s.pause)
	}
	return s.Store.Create(ctx, name, data)
}

// Workers that would only wait for the store make blobs smaller instead. Chunks of one size are cut alike in every
// repository, so that the bytes stored can be compared.
func TestASlowStoreGetsFewerBytes(t *testing.T) {
	var rows bytes.Buffer
	if err := writeRows(&rows, 32<<20); err != nil {
		t.Fatal(err)
	}
	stored := func(pause time.Duration) int64 {
		_, st := newRepo(t)
		s := session(t, openRepo(t, slowPacks{st, pause}, t.TempDir()), "node-1")
		cost, err := s.Stream(bytes.NewReader(rows.Bytes()), pack.Sizes{Min: 1 << 20, Bits: 20, Max: 1 << 20},
			func([]repo.Ref) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Finish(); err != nil {
			t.Fatal(err)
		}
		return cost.Stored
	}
	// The slow store takes for each of eight packs what all of them take without it.
	start := time.Now()
	quick := stored(0)
	if late := stored(time.Since(start)); late >= quick {
		t.Errorf("a slow store got %d bytes, a quick one %d", late, quick)
	}
}
