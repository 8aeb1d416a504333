package snapshot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/cassandra/sstable/peel"
	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
)

func filled(b byte) (id pack.ID) {
	for i := range id {
		id[i] = b
	}
	return id
}

// dataID, digestID and the like stand for 32 equal bytes in the golden hex below.
func hex32(b byte) string { return strings.Repeat(fmt.Sprintf("%02x", b), 32) }

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func TestAPageHasTheseBytes(t *testing.T) {
	page := []SSTable{
		{DataDir: 1, Sub: ".by_mail", Prefix: "nb-12-big-", Recipe: filled(0xaa), Damage: []string{"bad"},
			Stats: &Stats{MinTimestamp: -1, MaxTimestamp: 1, MinDeletion: 2, MaxDeletion: 3, Level: 4, RepairedAt: 5, Rows: 6, Partitions: 64, FirstToken: "-7", LastToken: "8"}, Components: []Component{
				{Name: "Data.db", Size: 300, Hash: filled(0xbb), MD5: []byte("0123456789abcdef")},
				{Name: "Digest.crc32", Size: 3, Hash: filled(0xcc), Inline: []byte("123")}}},
		{Prefix: "oa-1-big-", Recipe: filled(0xdd)},
	}
	want := "02" + // SSTables
		"01" + "08" + text(".by_mail") + "0a" + text("nb-12-big-") + hex32(0xaa) + "01" + "03" + text("bad") +
		"01" + "01" + "02" + "04" + "06" + "08" + "0a" + "0c" + "8001" + "02" + text("-7") + "01" + text("8") + "02" +
		"07" + text("Data.db") + "ac02" + hex32(0xbb) + "10" + text("0123456789abcdef") + "00" +
		"0c" + text("Digest.crc32") + "03" + hex32(0xcc) + "00" + "03" + text("123") +
		"00" + "00" + "09" + text("oa-1-big-") + hex32(0xdd) + "00" + "00" + "00"
	if diff := cmp.Diff(want, hex.EncodeToString(encodePage(page))); diff != "" {
		t.Errorf("the format is another (-want +got):\n%s", diff)
	}
}

func TestARecipeAndASegmentHaveTheseBytes(t *testing.T) {
	refs := []ref{{ID: filled(1), Plain: 127}, {ID: filled(2), Plain: 8 << 20}}
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"recipes of three components", "010100" + "02" + hex32(1) + "7f" + "00" + hex32(2) + "80808004" + "00" + "010101" + "01" + hex32(1) + "7f" + "00" + "01010000",
			encodeRecipes([]recipe{{typ: recipeBlobs, refs: refs}, {typ: recipeBlobs, segmented: true, refs: refs[:1]}, {typ: recipeBlobs}})},
		{"recipes of an SSTable that is all inline", "", encodeRecipes(nil)},
		{"recipes of a Data.db and its CompressionInfo.db", "0201" + "02" + text("nb") + "04" + text("head") + "00" + "02" + hex32(1) + "7f" + "02" + hex32(2) + "80808004" + "00" + "0301" + "01" + "00",
			encodeRecipes([]recipe{{typ: recipeLZ4, layout: peel.Layout{Version: "nb", Header: []byte("head")},
				refs: []ref{{ID: filled(1), Plain: 127, Kind: peel.Late}, refs[1]}}, {typ: recipeDerived, from: fromPeel}})},
		{"the recipe of a CRC.db", "0301" + "02" + "808004", encodeRecipes([]recipe{{typ: recipeDerived, from: fromData, length: 64 << 10}})},
		{"a segment", "02" + hex32(1) + "7f" + "00" + hex32(2) + "80808004" + "00", encodeSegment(refs)},
	} {
		if diff := cmp.Diff(c.want, hex.EncodeToString(c.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

var drawID = rapid.Custom(func(t *rapid.T) pack.ID {
	return pack.ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
})

var drawName = rapid.StringMatching(`[A-Za-z0-9_ ."'-]{0,20}[a-z]`)

var drawComponent = rapid.Custom(func(t *rapid.T) Component {
	c := Component{Name: drawName.Draw(t, "component"), Hash: drawID.Draw(t, "hash")}
	if rapid.Bool().Draw(t, "inline") {
		c.Inline = rapid.SliceOfN(rapid.Byte(), 1, inlineLimit).Draw(t, "content")
		c.Size = int64(len(c.Inline))
		return c
	}
	c.Size = rapid.Int64Range(inlineLimit+1, maxSize).Draw(t, "size")
	return c
})

var drawDamage = rapid.OneOf(rapid.Just([]string(nil)), rapid.SliceOfN(rapid.StringN(0, 20, maxDamage), 1, 3))

var drawStats = rapid.Custom(func(t *rapid.T) Stats {
	n := func(what string) int64 { return rapid.Int64().Draw(t, what) }
	return Stats{MinTimestamp: n("min"), MaxTimestamp: n("max"), MinDeletion: n("min deletion"), MaxDeletion: n("max deletion"),
		Level: int(rapid.Int32().Draw(t, "level")), RepairedAt: n("repaired"), Rows: n("rows"), Partitions: n("partitions"),
		FirstToken: rapid.StringMatching("-?[0-9]{0,39}").Draw(t, "first"), LastToken: rapid.StringMatching("-?[0-9]{0,39}").Draw(t, "last")}
})

var drawSSTable = rapid.Custom(func(t *rapid.T) SSTable {
	return SSTable{DataDir: rapid.IntRange(0, 1<<10).Draw(t, "data directory"), Sub: rapid.OneOf(rapid.Just(""), drawName).Draw(t, "sub"),
		Prefix: drawName.Draw(t, "prefix"), Recipe: drawID.Draw(t, "recipe"),
		Damage: drawDamage.Draw(t, "damage"), Stats: rapid.Ptr(drawStats, true).Draw(t, "stats"),
		Components: rapid.SliceOfN(drawComponent, 1, 12).Draw(t, "components")}
})

var drawRefs = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ref {
	return ref{ID: drawID.Draw(t, "blob"), Plain: rapid.Uint32Range(0, pack.MaxBlob).Draw(t, "size")}
}), 1, 70)

func TestPagesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		page := rapid.SliceOfN(drawSSTable, 1, 8).Draw(t, "page")
		got, err := decodePage(encodePage(page))
		if err != nil {
			t.Fatal(err)
		}
		normal := cmp.Transformer("normal", func(b []byte) string { return string(b) })
		if diff := cmp.Diff(page, got, normal); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if pageHash(&page[0]) != pageHash(&got[0]) {
			t.Error("an SSTable and its decoded form have two hashes")
		}
	})
}

func TestRecipesAndSegmentsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := drawRefs.Draw(t, "segment")
		segment, err := decodeSegment(encodeSegment(refs))
		if diff := cmp.Diff(refs, segment); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		recipes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) recipe {
			return recipe{typ: recipeBlobs, segmented: rapid.Bool().Draw(t, "segmented"), refs: drawRefs.Draw(t, "refs")}
		}), 1, 8).Draw(t, "recipes")
		got, err := decodeRecipes(encodeRecipes(recipes), len(recipes))
		if diff := cmp.Diff(recipes, got, cmp.AllowUnexported(recipe{})); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// Whatever a decoder takes is the one form of what it gives: two forms would be two blobs of one content.
func TestWhatADecoderTakesIsCanonical(t *testing.T) {
	valid := [][]byte{
		encodePage([]SSTable{{Prefix: "nb-1-big-", Recipe: filled(1), Components: []Component{
			{Name: "TOC.txt", Size: 4, Hash: filled(2), Inline: []byte("toc\n")}, {Name: "Data.db", Size: 200, Hash: filled(3)}}}}),
		encodeRecipes([]recipe{{typ: recipeBlobs, refs: []ref{{ID: filled(1), Plain: 5}}}}),
		encodeSegment([]ref{{ID: filled(1), Plain: 5}, {ID: filled(2), Plain: 500}}),
	}
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(valid[rapid.IntRange(0, 2).Draw(t, "which")])
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		b = b[:rapid.IntRange(len(b)-1, len(b)).Draw(t, "length")]
		if page, err := decodePage(b); err == nil && !bytes.Equal(encodePage(page), b) {
			t.Errorf("page of %x is written as %x", b, encodePage(page))
		}
		if recipes, err := decodeRecipes(b, 1); err == nil && !bytes.Equal(encodeRecipes(recipes), b) {
			t.Errorf("recipe of %x is written as %x", b, encodeRecipes(recipes))
		}
		if refs, err := decodeSegment(b); err == nil && !bytes.Equal(encodeSegment(refs), b) {
			t.Errorf("segment of %x is written as %x", b, encodeSegment(refs))
		}
	})
}

func TestHostilePagesAreRefused(t *testing.T) {
	page := func(change func(*SSTable)) []byte {
		s := SSTable{Prefix: "nb-1-big-", Recipe: filled(1), Components: []Component{{Name: "Data.db", Size: 200, Hash: filled(2)}}}
		change(&s)
		return encodePage([]SSTable{s})
	}
	named := func(sub, prefix, name string) []byte {
		return page(func(s *SSTable) { s.Sub, s.Prefix, s.Components[0].Name = sub, prefix, name })
	}
	count := func(n uint64) []byte { var e wire.Encoder; e.Uvarint(n); return e.Out() }
	for _, c := range []struct {
		name string
		page []byte
		says string
	}{
		{"a file in the directory above", named("", "../", "Data.db"), "file name"},
		{"a file that is the directory above, cut in two", named("", ".", "."), "file name"},
		{"a file that is the directory", named("", "", "."), "file name"},
		{"a file without a name", named("", "", ""), "file name"},
		{"an absolute file", named("", "/etc/", "passwd"), "file name"},
		{"a file in a directory below", named("", "nb-1-big-", "x/Data.db"), "file name"},
		{"a file with a backslash", named("", `..\`, "Data.db"), "file name"},
		{"a file name with a NUL", named("", "nb-1-big-", "Data.db\x00"), "file name"},
		{"an index directory above", named("..", "nb-1-big-", "Data.db"), "directory name"},
		{"an index directory far above", named("../../x", "nb-1-big-", "Data.db"), "directory name"},
		{"the table's directory as an index directory", named(".", "nb-1-big-", "Data.db"), "directory name"},
		{"an absolute index directory", named("/tmp", "nb-1-big-", "Data.db"), "directory name"},
		{"an index directory with a NUL", named(".a\x00b", "nb-1-big-", "Data.db"), "directory name"},
		{"a name beyond any file system", named("", strings.Repeat("x", maxName+1), "Data.db"), "over its limit"},
		{"a small component without its content", page(func(s *SSTable) { s.Components[0].Size = 20 }), "20 bytes with 0 inline"},
		{"a small component with too much content", page(func(s *SSTable) { s.Components[0].Size, s.Components[0].Inline = 1, []byte("ab") }), "1 bytes with 2 inline"},
		{"an empty component with content", page(func(s *SSTable) { s.Components[0].Size, s.Components[0].Inline = 0, []byte("a") }), "0 bytes with 1 inline"},
		{"a large component with content", page(func(s *SSTable) { s.Components[0].Size, s.Components[0].Inline = 1000, []byte("ab") }), "1000 bytes with 2 inline"},
		{"inline content beyond the limit", page(func(s *SSTable) { s.Components[0].Inline = make([]byte, inlineLimit+1) }), "over its limit"},
		{"a component of a pebibyte and more", page(func(s *SSTable) { s.Components[0].Size = maxSize + 1 }), "over its limit"},
		{"a data directory no node has", page(func(s *SSTable) { s.DataDir = 1<<10 + 1 }), "over its limit"},
		{"more components than an SSTable has", page(func(s *SSTable) { s.Components = make([]Component, maxComponents+1) }), "over its limit"},
		{"more SSTables than a page has", encodePage(make([]SSTable, pageSSTables+1)), "over its limit"},
		{"half an MD5", page(func(s *SSTable) { s.Components[0].MD5 = make([]byte, 8) }), "MD5 of 8 bytes"},
		{"a token that is no token", page(func(s *SSTable) { s.Stats = &Stats{FirstToken: strings.Repeat("1", maxToken+1)} }), "over its limit"},
		{"a level that is none", page(func(s *SSTable) { s.Stats = &Stats{Level: 1 << 31} }), "level 2147483648"},
		{"a story of damage", page(func(s *SSTable) { s.Damage = []string{strings.Repeat("x", maxDamage+1)} }), "over its limit"},
		{"a count that the bytes cannot hold", count(200), "200 items in 0 bytes"},
		{"a count of ten bytes", count(1 << 63), "over its limit"},
		{"bytes left over", append(page(func(*SSTable) {}), 0), "left over"},
		{"a page cut short", page(func(*SSTable) {})[:60], "malformed"},
		{"no bytes at all", nil, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodePage(c.page)
			if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestHostileRecipesAndSegmentsAreRefused(t *testing.T) {
	one := encodeRecipes([]recipe{{typ: recipeBlobs, refs: []ref{{ID: filled(1), Plain: 5}}}})
	with := func(at int, b byte) []byte { c := bytes.Clone(one); c[at] = b; return c }
	huge := encodeSegment([]ref{{ID: filled(1), Plain: pack.MaxBlob + 1}})
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"a type of recipe to come", decodedRecipes(with(0, 4), 1), "type 4, version 1: a newer cbk is needed"},
		{"a type of recipe that is none", decodedRecipes(with(0, 0), 1), "type 0, version 1"},
		{"plain bytes in the recipe blobs", decodedRecipes(with(len(one)-1, 2), 1), "kind 2 in a recipe of type 1"},
		{"a kind of bytes to come", decodedRecipes(with(len(one)-1, 9), 1), "kind 9: a newer cbk is needed"},
		{"plain bytes in a segment of segments", decodedRecipes(encodeRecipes([]recipe{{typ: recipeLZ4, segmented: true, refs: []ref{{Kind: peel.Late}}}}), 1), "kind 2"},
		{"derived from something to come", decodedRecipes([]byte{3, 1, 3, 0}, 1), "derived from 3"},
		{"checksums of nothing", decodedRecipes([]byte{3, 1, fromData, 0}, 1), "derived from 2 by 0"},
		{"a length that means nothing", decodedRecipes([]byte{3, 1, fromPeel, 1}, 1), "derived from 1 by 1"},
		{"a version to come", decodedRecipes(with(1, 9), 1), "version 9"},
		{"neither segments nor data", decodedRecipes(with(2, 2), 1), "segments byte 2"},
		{"a recipe too few", decodedRecipes(one, 2), "malformed"},
		{"a recipe too many", decodedRecipes(one, 0), "left over"},
		{"refs that are not there", decodedRecipes([]byte{1, 1, 0, 0xff, 0xff, 3}, 1), "items in 0 bytes"},
		{"more segments than any file has", decodedRecipes([]byte{1, 1, 1, 0x81, 0x80, 4}, 1), "over its limit"},
		{"a blob larger than blobs are", decodedSegment(huge), "over its limit"},
		{"more refs than a segment has", decodedSegment(encodeSegment(make([]ref, repo.Window+1))), "over its limit"},
		{"an empty segment blob", decodedSegment(nil), "malformed"},
	} {
		if !errors.Is(c.err, wire.ErrMalformed) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.says)
		}
	}
}

func decodedRecipes(b []byte, n int) error { _, err := decodeRecipes(b, n); return err }
func decodedSegment(b []byte) error        { _, err := decodeSegment(b); return err }

func TestIDsReadAndWriteAsHex(t *testing.T) {
	id := ID(filled(0xab))
	b, err := encodeJSON(map[string]ID{"id": id})
	if err != nil || string(b) != `{"id":"`+hex32(0xab)+`"}` {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range []string{"", "abc", hex32(1)[1:], hex32(1) + "00", strings.Repeat("zz", 32)} {
		if err := new(ID).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("took %q for an id", bad)
		}
	}
}
