package pack_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"cbk/pack"
)

func TestASealedBlobOpens(t *testing.T) {
	w := newWriter(t, "node")
	for _, plain := range [][]byte{nil, {1}, text(100_000), noise(1, 100_000), noise(2, pack.MaxBlob)} {
		id, sealed := w.seal(t, pack.Data, plain)
		if len(sealed) > len(plain)+1+pack.Overhead {
			t.Errorf("%d bytes became %d", len(plain), len(sealed))
		}
		got, err := w.open(pack.Entry{Type: pack.Data, ID: id, Plain: uint32(len(plain))}, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes came back as %d: %v", len(plain), len(got), err)
		}
	}
}

func TestAnyBlobOpensWithUsedScratch(t *testing.T) {
	w := newWriter(t, "node")
	var buf []byte
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(rt, "plain")
		typ := pack.Type(rapid.IntRange(1, 6).Draw(rt, "type"))
		id, sealed := w.seal(t, typ, plain)
		out, err := w.sealer.Open(buf, &w.scratch, w.data, typ, id, sealed, len(plain))
		if err != nil || !bytes.Equal(out, plain) {
			rt.Fatalf("%d bytes came back as %d: %v", len(plain), len(out), err)
		}
		buf = out
	})
}

func TestABlobOpensOnlyAsWhatItIs(t *testing.T) {
	w := newWriter(t, "node")
	plain := text(500)
	id, sealed := w.seal(t, pack.Data, plain)
	other := id
	other[31] ^= 1
	as := func(change func(*writer, *pack.Entry)) error {
		v := newWriter(t, "node")
		e := pack.Entry{Type: pack.Data, ID: id, Plain: uint32(len(plain))}
		change(v, &e)
		_, err := v.open(e, sealed)
		return err
	}
	for name, change := range map[string]func(*writer, *pack.Entry){
		"another type":       func(_ *writer, e *pack.Entry) { e.Type = pack.Recipe },
		"another id":         func(_ *writer, e *pack.Entry) { e.ID = other },
		"another domain":     func(v *writer, _ *pack.Entry) { v.sealer.Domain = "node-2" },
		"another repository": func(v *writer, _ *pack.Entry) { v.sealer.Repository[15]++ },
		"another data key":   func(v *writer, _ *pack.Entry) { v.data = testKey("else") },
		"another id key":     func(v *writer, _ *pack.Entry) { v.sealer.Hasher = pack.NewHasher(secret("else")) },
	} {
		if err := as(change); !errors.Is(err, pack.ErrAuthentication) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := as(func(_ *writer, e *pack.Entry) { e.Plain++ }); err == nil {
		t.Error("it opens as one byte more")
	}
	if err := as(func(*writer, *pack.Entry) {}); err != nil {
		t.Errorf("it does not open as itself: %v", err)
	}
}

// A writer that holds the right keys and yet seals something else under an id is caught by whoever reads.
func TestContentUnderAForeignIDIsRefused(t *testing.T) {
	w := newWriter(t, "node")
	id := w.hasher.ID(pack.Data, []byte("the truth"))
	forged := pack.Seal(nil, w.data, pack.ClassBlob, pack.BlobScope(w.sealer.Repository, "node", pack.Data, id),
		append([]byte{0}, "the  lie!"...))
	_, err := w.open(pack.Entry{Type: pack.Data, ID: id, Plain: 9}, forged)
	if !errors.Is(err, pack.ErrAuthentication) || !strings.Contains(err.Error(), "does not match id") {
		t.Errorf("error %v", err)
	}
}

func TestAStepThatFailsIsCaughtBeforeUpload(t *testing.T) {
	plain := text(5000)
	for name, breakIt := range map[string]func(w *writer) pack.ID{
		"the id was computed over other bytes": func(w *writer) pack.ID { return w.hasher.ID(pack.Data, plain[1:]) },
		"the id was computed for another type": func(w *writer) pack.ID { return w.hasher.ID(pack.Refs, plain) },
		"the id key is another domain's": func(w *writer) pack.ID {
			w.sealer.Hasher = pack.NewHasher(secret("else"))
			return w.hasher.ID(pack.Data, plain)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t, "node")
			out, err := w.sealer.Seal(nil, &w.scratch, w.data, pack.Data, breakIt(w), plain)
			if out != nil || !errors.Is(err, pack.ErrAuthentication) || !strings.Contains(err.Error(), "verify sealed blob") {
				t.Fatalf("%d bytes, error %v", len(out), err)
			}
		})
	}
}

// A blob over the limit could be sealed by a careless caller but never be read again.
func TestABlobOverTheLimitIsNotSealed(t *testing.T) {
	w := newWriter(t, "node")
	for name, plain := range map[string][]byte{"zeros": make([]byte, pack.MaxBlob+1), "noise": noise(1, pack.MaxBlob+1)} {
		_, err := w.sealer.Seal(nil, &w.scratch, w.data, pack.Data, w.hasher.ID(pack.Data, plain), plain)
		if err == nil {
			t.Errorf("%s: it was sealed", name)
		}
	}
}

func TestASealerServesManyGoroutines(t *testing.T) {
	w := newWriter(t, "node")
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			var mine pack.Scratch
			for i := range 20 {
				plain := append(text(10_000*i), byte(g))
				id := w.hasher.ID(pack.Data, plain)
				sealed, err := w.sealer.Seal(nil, &mine, w.data, pack.Data, id, plain)
				if err != nil {
					t.Errorf("goroutine %d, blob %d: %v", g, i, err)
					return
				}
				got, err := w.sealer.Open(nil, &mine, w.data, pack.Data, id, sealed, len(plain))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("goroutine %d, blob %d came back as %d bytes: %v", g, i, len(got), err)
				}
			}
		})
	}
	wait.Wait()
}
