package snapshot

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
)

func TestFactsOfTwoDirectoriesDoNotMix(t *testing.T) {
	d := node.TableDir{DataDir: 0, Live: "ks/t-1"}
	files := []node.File{{Dev: 7}}
	one := node.SSTable{Files: files}
	keys := map[string]string{
		"plain":          string(factKey(&d, &one)),
		"data directory": string(factKey(&node.TableDir{DataDir: 1, Live: "ks/t-1"}, &one)),
		"table":          string(factKey(&node.TableDir{Live: "ks/t-2"}, &one)),
		"index":          string(factKey(&d, &node.SSTable{Sub: ".i", Files: files})),
		"device":         string(factKey(&d, &node.SSTable{Files: []node.File{{Dev: 8}}})),
	}
	seen := make(map[string]string)
	for what, key := range keys {
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s share the key %q", what, other, key)
		}
		seen[key] = what
	}
}

func TestFactsComeBackAsTheyWere(t *testing.T) {
	want := &sstableFact{first: "-1", last: "7", files: []fileFact{
		{name: "nb-1-big-Data.db", inode: 1 << 63, size: maxSize, mtime: -5, read: 1 << 60, hash: filled(1),
			md5: []byte("0123456789abcdef"), damage: "Data.db does not match Digest.crc32",
			how: recipe{typ: recipeBlobs, segmented: true, refs: []ref{{ID: filled(2), Plain: 9}}}},
		{name: "nb-1-big-TOC.txt", inode: 2, size: 5, mtime: 1 << 60, hash: filled(3), how: recipe{typ: recipeBlobs, refs: []ref{}}},
	}}
	got, err := decodeFact(append(make([]byte, 8), encodeFact(want)...))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sstableFact{}, fileFact{}, recipe{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := decodeFact(append(make([]byte, 8), encodeFact(&sstableFact{files: make([]fileFact, maxComponents+1)})...)); err == nil {
		t.Error("took a fact of too many files")
	}
	older := append(make([]byte, 8), encodeFact(want)...)
	older[8] = factLayout - 1
	if _, err := decodeFact(older); err == nil {
		t.Error("took a fact of another layout")
	}
}
