package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/pack"
)

func TestAPackGivesBackItsBlobs(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	want := make(map[pack.ID][]byte)
	for i, plain := range [][]byte{nil, {1}, text(200_000), noise(1, 200_000)} {
		want[w.add(t, b, pack.Type(1+i), plain)] = plain
	}
	data, info := b.Finish(w.index, w.scope)
	got, err := pack.OpenPack(data, w.index, w.scope)
	if err != nil {
		t.Fatal(err)
	}
	got.Name = sha256.Sum256(data) // the tail cannot hold it
	if diff := cmp.Diff(info, *got); diff != "" {
		t.Error(diff)
	}
	for _, e := range got.Entries {
		plain, err := w.open(e, data[e.Offset:e.Offset+e.Stored])
		if err != nil || !bytes.Equal(plain, want[e.ID]) {
			t.Errorf("blob %s of type %d: %d bytes, %v", e.ID.Short(), e.Type, len(plain), err)
		}
		delete(want, e.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d blobs are not in the pack", len(want))
	}
}

func TestAnyPackReadsBackAndHasAPaddedSize(t *testing.T) {
	w := newWriter(t, "node")
	rapid.Check(t, func(rt *rapid.T) {
		b := pack.NewBuilder(make([]byte, 0, 1<<20))
		n := rapid.IntRange(1, 40).Draw(rt, "blobs")
		for i := range n {
			plain := noise(i, rapid.IntRange(0, 4000).Draw(rt, "size"))
			id := w.hasher.ID(pack.Data, plain)
			b.Add(pack.Data, id, append([]byte{9}, plain...), len(plain), w.session)
		}
		data, info := b.Finish(w.index, w.scope)
		if uint64(len(data)) != pack.Padme(uint64(len(data))) || int(info.Size) != len(data) {
			rt.Fatalf("pack of %d bytes, info says %d", len(data), info.Size)
		}
		got, err := pack.OpenPack(data, w.index, w.scope)
		if err != nil || len(got.Entries) != n {
			rt.Fatalf("%d blobs added: %v", n, err)
		}
		if diff := cmp.Diff(info.Entries, got.Entries); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// Taken apart by hand, as the drawing in tail.go has it.
func TestAPackIsLaidOutAsDocumented(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	idA, idB := w.hasher.ID(pack.Data, []byte("a")), w.hasher.ID(pack.Ring, []byte("bb"))
	blobA, blobB := bytes.Repeat([]byte{'A'}, 200), bytes.Repeat([]byte{'B'}, 300)
	b.Add(pack.Data, idA, blobA, 1, w.session)
	b.Add(pack.Ring, idB, blobB, 2, w.session)
	data, info := b.Finish(w.index, w.scope)

	end := len(data)
	if got := string(data[end-4:]); got != "cbkP" {
		t.Errorf("magic %q", got)
	}
	length := int(binary.BigEndian.Uint32(data[end-8 : end-4]))
	start := end - 8 - length
	tail, err := pack.Open(nil, w.index, pack.ClassTail, w.scope, data[start:end-8])
	if err != nil {
		t.Fatal(err)
	}
	content := sha256.Sum256(data[:start])
	want := append(append(content[:], 1), w.session.ID[:]...)
	want = append(append(want, byte(len(w.session.Sealed))), w.session.Sealed...)
	want = append(append(append(want, 2, 1), idA[:]...), 0, 200, 1, 1, 0)
	want = append(append(append(want, 5), idB[:]...), 200, 1, 172, 2, 2, 0)
	if diff := cmp.Diff(want, tail); diff != "" {
		t.Error(diff)
	}
	body := append(blobA, blobB...)
	if !bytes.HasPrefix(data, body) || !bytes.Equal(data[len(body):start], make([]byte, start-len(body))) {
		t.Error("the blobs and zeros are not where they belong")
	}
	if unpadded := uint64(len(body) + length + 8); uint64(end) != pack.Padme(unpadded) {
		t.Errorf("%d bytes were padded to %d", unpadded, end)
	}
	if info.Name != sha256.Sum256(data) {
		t.Error("the name is not the hash of the bytes")
	}
}

func TestAPackTakesBlobsUpToItsTarget(t *testing.T) {
	w := newWriter(t, "node")
	const target = 1 << 20
	b := pack.NewBuilder(make([]byte, 0, target))
	if !b.Fits(pack.MaxBlob) {
		t.Error("an empty pack refuses a large blob, which could then go nowhere")
	}
	sealed := noise(1, 10_000)
	n := 0
	for b.Fits(len(sealed)) {
		b.Add(pack.Data, w.hasher.ID(pack.Data, fmt.Append(nil, n)), sealed, len(sealed), w.session)
		n++
	}
	data, _ := b.Finish(w.index, w.scope)
	if len(data) > target || len(data) < target*9/10 {
		t.Errorf("%d blobs fill %d of %d bytes", n, len(data), target)
	}
}

func TestAPackTakesNoMoreBlobsThanItsReaderAllows(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 64<<20))
	n := fill(w, b, 0, pack.MaxEntries+10)
	if n != pack.MaxEntries {
		t.Errorf("%d blobs went in", n)
	}
	data, _ := b.Finish(w.index, w.scope)
	if info, err := pack.OpenPack(data, w.index, w.scope); err != nil || len(info.Entries) != n {
		t.Errorf("a pack of %d blobs does not open: %v", n, err)
	}
}

// fill adds tiny blobs numbered from first while they fit, at most n.
func fill(w *writer, b *pack.Builder, first, n int) (added int) {
	for i := range n {
		if !b.Fits(1) {
			break
		}
		b.Add(pack.Data, w.hasher.ID(pack.Data, fmt.Append(nil, first+i)), []byte{1}, 0, w.session)
		added++
	}
	return added
}

func TestOnePackAbsorbsAnotherWhereItFits(t *testing.T) {
	w := newWriter(t, "node")
	a, b := pack.NewBuilder(make([]byte, 0, 1<<20)), pack.NewBuilder(make([]byte, 0, 1<<20))
	plains := map[pack.ID][]byte{}
	for i := range 6 {
		plain := noise(i, 1000*i)
		plains[w.add(t, []*pack.Builder{a, b}[i%2], pack.Data, plain)] = plain
	}
	if !a.Absorb(b) || !b.Empty() || a.Empty() {
		t.Fatal("two small packs were not merged")
	}
	data, _ := a.Finish(w.index, w.scope)
	info, err := pack.OpenPack(data, w.index, w.scope)
	if err != nil || len(info.Entries) != len(plains) || len(info.Sessions) != 1 {
		t.Fatalf("merged to %+v: %v", info, err)
	}
	for _, e := range info.Entries {
		got, err := w.open(e, data[e.Offset:e.Offset+e.Stored])
		if err != nil || !bytes.Equal(got, plains[e.ID]) {
			t.Errorf("blob %s: %v", e.ID.Short(), err)
		}
	}
}

func TestAPackThatDoesNotFitIsNotAbsorbed(t *testing.T) {
	w := newWriter(t, "node")
	for _, c := range []struct {
		name       string
		fillA      func(*pack.Builder)
		fillB      func(*pack.Builder)
		wantA, inB int
	}{
		{"too many bytes", func(a *pack.Builder) { w.add(t, a, pack.Data, noise(1, 600_000)) },
			func(b *pack.Builder) { w.add(t, b, pack.Data, noise(2, 600_000)) }, 1, 1},
		{"too many blobs", func(a *pack.Builder) { fill(w, a, 0, 40_000) },
			func(b *pack.Builder) { fill(w, b, 40_000, 40_000) }, 40_000, 40_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := max(1<<20, (c.wantA+c.inB)*64)
			a, b := pack.NewBuilder(make([]byte, 0, size)), pack.NewBuilder(make([]byte, 0, size))
			c.fillA(a)
			c.fillB(b)
			if a.Absorb(b) {
				t.Fatal("absorbed")
			}
			for builder, want := range map[*pack.Builder]int{a: c.wantA, b: c.inB} {
				data, _ := builder.Finish(w.index, w.scope)
				if info, err := pack.OpenPack(data, w.index, w.scope); err != nil || len(info.Entries) != want {
					t.Errorf("a pack of %d blobs: %v", want, err)
				}
			}
		})
	}
}

func TestBlobsOfTwoSessionsKeepTheirSessions(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	var want []pack.SessionID
	for i := range 6 {
		s := pack.Session{ID: pack.SessionID{byte(i % 2)}, Sealed: []byte{byte(i % 2)}}
		b.Add(pack.Data, w.hasher.ID(pack.Data, []byte{byte(i)}), []byte("sealed"), 1, s)
		want = append(want, s.ID)
	}
	data, _ := b.Finish(w.index, w.scope)
	info, err := pack.OpenPack(data, w.index, w.scope)
	if err != nil {
		t.Fatal(err)
	}
	var got []pack.SessionID
	for _, e := range info.Entries {
		got = append(got, e.Session)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(info.Sessions) != 2 {
		t.Errorf("%d sessions; %s", len(info.Sessions), diff)
	}
}

func TestAResetBuilderStartsAnew(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	first := w.add(t, b, pack.Data, text(100))
	_, info := b.Finish(w.index, w.scope)
	b.Reset()
	if !b.Empty() {
		t.Error("it is not empty")
	}
	w.add(t, b, pack.Data, text(200))
	data, again := b.Finish(w.index, w.scope)
	if len(again.Entries) != 1 || again.Entries[0].Offset != 0 || again.Entries[0].ID == first {
		t.Errorf("the second pack holds %+v", again.Entries)
	}
	if info.Entries[0].ID != first {
		t.Error("the first pack's description was overwritten")
	}
	if _, err := pack.OpenPack(data, w.index, w.scope); err != nil {
		t.Error(err)
	}
}

func TestAPackAdmitsAsManySessionsAsAReaderTakes(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	n := 0
	for ; n < 100 && b.Admits(pack.SessionID{byte(n)}); n++ {
		b.Add(pack.Data, pack.ID{byte(n)}, []byte{1}, 1, pack.Session{ID: pack.SessionID{byte(n)}, Sealed: []byte{byte(n)}})
	}
	if n == 100 || !b.Admits(pack.SessionID{0}) {
		t.Fatalf("admits %d sessions, and the first again: %v", n, b.Admits(pack.SessionID{0}))
	}
	data, _ := b.Finish(w.index, w.scope)
	if info, err := pack.OpenPack(data, w.index, w.scope); err != nil || len(info.Sessions) != n {
		t.Errorf("a pack of %d sessions: %v", n, err)
	}
}
