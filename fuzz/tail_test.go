package fuzz

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/pack/wire"
)

// FuzzTail opens packs: a real one with a byte changed, arbitrary bytes, and a sealed tail of arbitrary plaintext.
func FuzzTail(f *testing.F) {
	r := realPack(f, 7)
	scope := pack.TailScope(repository, domainLabel)
	var e wire.Encoder
	pack.AppendInfo(&e, r.info.Sessions, r.info.Entries)
	f.Add(r.pack, e.Out(), uint32(0), byte(1))
	f.Add(r.pack, e.Out(), uint32(len(r.pack)-1), byte(0x80))
	f.Add(r.pack[len(r.pack)-8:], []byte{0, 0}, uint32(len(r.pack)-8), byte(0xff))
	f.Add([]byte("\xff\xff\xff\xffcbkP"), append([]byte{0}, binary.AppendUvarint(nil, pack.MaxEntries)...), uint32(len(r.pack)-20), byte(4))
	f.Fuzz(func(t *testing.T, data, plain []byte, at uint32, mask byte) {
		if info, err := pack.OpenPack(data, r.index, scope); err == nil {
			inBounds(t, info, len(data))
		}

		changed := append([]byte{}, r.pack...)
		changed[int(at)%len(changed)] ^= mask
		if info, err := pack.OpenPack(changed, r.index, scope); err == nil {
			if diff := cmp.Diff(r.info.Entries, info.Entries); diff != "" {
				t.Fatalf("a pack changed at %d by %x lists other blobs: %s", at, mask, diff)
			}
		}

		body := make([]byte, 1000)
		if info, err := pack.OpenPack(sealedTail(r.index, scope, body, plain), r.index, scope); err == nil {
			inBounds(t, info, len(body))
			comesBack(t, info, len(body))
		}
	})
}

func sealedTail(key *pack.Key, scope pack.Scope, body, plain []byte) []byte {
	sum := sha256.Sum256(body)
	sealed := pack.Seal(nil, key, pack.ClassTail, scope, append(sum[:], plain...))
	b := binary.BigEndian.AppendUint32(append(append([]byte{}, body...), sealed...), uint32(len(sealed)))
	return append(b, "cbkP"...)
}

// inBounds requires what readers rely on when they slice a pack.
func inBounds(t *testing.T, info *pack.Info, size int) {
	t.Helper()
	end := 0
	for _, e := range info.Entries {
		if int(e.Offset) < end || int(e.Offset)+int(e.Stored) > size || !e.Type.Valid() || e.Plain > pack.MaxBlob {
			t.Fatalf("blob %+v in a pack of %d bytes, behind %d", e, size, end)
		}
		end = int(e.Offset) + int(e.Stored)
	}
}

// comesBack requires that a table of contents is the same after being written and read.
func comesBack(t *testing.T, info *pack.Info, size int) {
	t.Helper()
	var e wire.Encoder
	pack.AppendInfo(&e, info.Sessions, info.Entries)
	d := wire.NewDecoder(e.Out())
	sessions, entries := pack.DecodeInfo(d, uint32(size))
	if err := d.Done(); err != nil {
		t.Fatal(err)
	}
	again := pack.Info{Name: info.Name, Size: info.Size, Sessions: sessions, Entries: entries}
	if diff := cmp.Diff(*info, again); diff != "" {
		t.Fatal(diff)
	}
}
