package pack_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/pack/wire"
)

// rawEntry is one line of a tail with nothing checked.
type rawEntry struct {
	typ                            byte
	offset, stored, plain, session uint64
}

// rawTail writes a tail's plaintext: sessions of so many sealed bytes each, then entries.
func rawTail(sessions []int, entries []rawEntry) []byte {
	var e wire.Encoder
	e.Count(len(sessions))
	for i, n := range sessions {
		e.Fixed(append(make([]byte, 15), byte(i)))
		e.Bytes(make([]byte, n))
	}
	e.Count(len(entries))
	for _, r := range entries {
		e.Byte(r.typ)
		e.Fixed(make([]byte, 32))
		for _, n := range []uint64{r.offset, r.stored, r.plain, r.session} {
			e.Uvarint(n)
		}
	}
	return e.Out()
}

func TestHostileTailsAreRefused(t *testing.T) {
	w := newWriter(t, "node")
	one := []int{10}
	body := make([]byte, 1000)
	for _, c := range []struct {
		name string
		tail []byte
		want string
	}{
		{"blobs that overlap", rawTail(one, []rawEntry{{1, 0, 600, 1, 0}, {1, 599, 100, 1, 0}}), "outside its place"},
		{"blobs out of order", rawTail(one, []rawEntry{{1, 500, 100, 1, 0}, {1, 0, 100, 1, 0}}), "outside its place"},
		{"one blob twice", rawTail(one, []rawEntry{{1, 0, 100, 1, 0}, {1, 0, 100, 1, 0}}), "outside its place"},
		{"a blob that runs into the tail", rawTail(one, []rawEntry{{1, 900, 101, 1, 0}}), "outside its place"},
		{"a blob behind the end", rawTail(one, []rawEntry{{1, 1001, 0, 1, 0}}), "outside its place"},
		{"an offset over any pack", rawTail(one, []rawEntry{{1, pack.MaxPack + 1, 1, 1, 0}}), "over its limit"},
		{"an offset over 32 bits", rawTail(one, []rawEntry{{1, 1 << 32, 1, 1, 0}}), "over its limit"},
		{"a sealed length over any blob", rawTail(one, []rawEntry{{1, 0, pack.MaxBlob + 1 + pack.Overhead + 1, 1, 0}}), "over its limit"},
		{"a plain length over any blob", rawTail(one, []rawEntry{{1, 0, 100, pack.MaxBlob + 1, 0}}), "over its limit"},
		{"a session that is not there", rawTail(one, []rawEntry{{1, 0, 100, 1, 1}}), "session 1 of 1"},
		{"a session where there is none", rawTail(nil, []rawEntry{{1, 0, 100, 1, 0}}), "session 0 of 0"},
		{"a session number over the limit", rawTail(one, []rawEntry{{1, 0, 100, 1, 17}}), "over its limit"},
		{"blob type 0", rawTail(one, []rawEntry{{0, 0, 100, 1, 0}}), "blob type 0"},
		{"blob type 7", rawTail(one, []rawEntry{{7, 0, 100, 1, 0}}), "blob type 7"},
		{"too many blobs", rawTail(one, make([]rawEntry, pack.MaxEntries+1)), "over its limit"},
		{"too many sessions", rawTail(make([]int, 17), nil), "over its limit"},
		{"a sealed key too long", rawTail([]int{4<<10 + 1}, nil), "over its limit"},
		{"more blobs than bytes", append([]byte{0}, binary.AppendUvarint(nil, 60_000)...), "60000 items in 0 bytes"},
		{"bytes left over", append(rawTail(one, nil), 0), "left over"},
		{"nothing", nil, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := pack.OpenPack(w.assemble(body, c.tail), w.index, w.scope)
			if info != nil || !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%+v, error %v", info, err)
			}
		})
	}
}

func TestTailsAtTheirLimitsPass(t *testing.T) {
	w := newWriter(t, "node")
	sessions := make([]int, 16)
	sessions[3] = 4 << 10
	for name, entries := range map[string][]rawEntry{
		"a blob that fills the body":   {{1, 0, 1000, pack.MaxBlob, 15}},
		"blobs that touch":             {{1, 0, 500, 1, 0}, {6, 500, 500, 1, 15}},
		"blobs with room between them": {{1, 10, 100, 1, 0}, {1, 900, 100, 0, 3}},
		"no blob":                      nil,
	} {
		info, err := pack.OpenPack(w.assemble(make([]byte, 1000), rawTail(sessions, entries)), w.index, w.scope)
		if err != nil || len(info.Entries) != len(entries) || len(info.Sessions) != 16 {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}

func TestHostileCountsInATailAllocateLittle(t *testing.T) {
	for name, in := range map[string][]byte{
		"entries":  append([]byte{0}, binary.AppendUvarint(nil, pack.MaxEntries)...),
		"sessions": {16, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := wire.NewDecoder(in)
			if got := allocated(func() { pack.DecodeInfo(d, 1000) }); got > 64<<10 {
				t.Errorf("%d bytes allocated for %d bytes of input", got, len(in))
			}
			if !errors.Is(d.Done(), wire.ErrMalformed) {
				t.Errorf("error %v", d.Done())
			}
		})
	}
}

func TestDamagedFootersAreRefused(t *testing.T) {
	w := newWriter(t, "node")
	good := w.assemble(make([]byte, 100), rawTail(nil, nil))
	if _, err := pack.OpenPack(good, w.index, w.scope); err != nil {
		t.Fatal(err)
	}
	footer := func(length uint32) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[len(b)-8:], length)
		return b
	}
	right := binary.BigEndian.Uint32(good[len(good)-8:])
	for name, data := range map[string][]byte{
		"no bytes":                      nil,
		"less than a footer":            good[len(good)-7:],
		"another magic":                 append(bytes.Clone(good[:len(good)-1]), 'Q'),
		"a byte behind the magic":       append(bytes.Clone(good), 0),
		"a tail longer than the pack":   footer(uint32(len(good) - 7)),
		"a tail of 4 GiB":               footer(1<<32 - 1),
		"a tail over the limit":         footer(pack.MaxTail + 1),
		"a tail of no bytes":            footer(0),
		"a tail that starts too late":   footer(right - 1),
		"a tail that starts too early":  footer(right + 1),
		"a pack cut off at the front":   good[101:],
		"zeros as long as the pack was": make([]byte, len(good)),
	} {
		if info, err := pack.OpenPack(data, w.index, w.scope); info != nil || err == nil {
			t.Errorf("%s: opened to %+v", name, info)
		}
	}
}

func TestATailBelongsToItsDomainAndKey(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	w.add(t, b, pack.Data, text(100))
	data, _ := b.Finish(w.index, w.scope)
	for name, open := range map[string]func() (*pack.Info, error){
		"another domain": func() (*pack.Info, error) {
			return pack.OpenPack(data, w.index, pack.TailScope(w.scope.Repository, "node-2"))
		},
		"another repository": func() (*pack.Info, error) {
			return pack.OpenPack(data, w.index, pack.TailScope([16]byte{}, "node"))
		},
		"another key": func() (*pack.Info, error) { return pack.OpenPack(data, testKey("else"), w.scope) },
	} {
		if _, err := open(); !errors.Is(err, pack.ErrAuthentication) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnyFlippedByteOfAPackIsFound(t *testing.T) {
	w := newWriter(t, "node")
	b := pack.NewBuilder(make([]byte, 0, 1<<20))
	plain := text(100)
	w.add(t, b, pack.Data, plain)
	data, info := b.Finish(w.index, w.scope)
	e := info.Entries[0]
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		_, tailErr := pack.OpenPack(bad, w.index, w.scope)
		_, blobErr := w.open(e, bad[e.Offset:e.Offset+e.Stored])
		inBlob := i < int(e.Offset+e.Stored)
		if (blobErr != nil) != inBlob || tailErr == nil {
			t.Errorf("byte %d of %d: tail %v, blob %v", i, len(data), tailErr, blobErr)
		}
	}
}

func TestTheTailIsFoundFromTheFooterAlone(t *testing.T) {
	for _, c := range []struct {
		name           string
		length, size   int64
		offset, wanted int64
		fails          bool
	}{
		{"a small tail", 100, 1000, 892, 100, false},
		{"a tail that is the whole pack", 992, 1000, 0, 992, false},
		{"a tail one byte longer", 993, 1000, 0, 0, true},
		{"the largest tail", pack.MaxTail, pack.MaxPack, pack.MaxPack - 8 - pack.MaxTail, pack.MaxTail, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var footer [8]byte
			binary.BigEndian.PutUint32(footer[:], uint32(c.length))
			copy(footer[4:], "cbkP")
			off, n, err := pack.TailRange(footer, c.size)
			if off != c.offset || n != c.wanted || (err != nil) != c.fails {
				t.Fatalf("tail at %d, %d bytes, error %v", off, n, err)
			}
		})
	}
}

// Who can write the store but holds no keys may put a genuine tail behind other bytes; it must not open there.
func TestATailOnOtherContentIsNone(t *testing.T) {
	w := newWriter(t, "node")
	tailOf := func(seed int) (body, tail []byte) {
		b := pack.NewBuilder(make([]byte, 0, 1<<20))
		w.add(t, b, pack.Data, text(seed))
		data, _ := b.Finish(w.index, w.scope)
		off, n, err := pack.TailRange([8]byte(data[len(data)-8:]), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(data[:off]), bytes.Clone(data[off : off+n+8])
	}
	one, tail := tailOf(100)
	junk := bytes.Repeat([]byte{1}, len(one))
	if _, err := pack.OpenPack(append(one, tail...), w.index, w.scope); err != nil {
		t.Fatal(err)
	}
	if info, err := pack.OpenPack(append(junk, tail...), w.index, w.scope); info != nil || !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("it opens: %v", err)
	}
}
