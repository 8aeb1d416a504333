package restore

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/snapshot"
)

// spoilt returns content with something wrong with it: bytes flipped, cut off, doubled, overwritten or added.
func spoilt(rng *rand.Rand, content string) string {
	if content == "" {
		return "x"
	}
	b := []byte(content)
	at := rng.IntN(len(b))
	switch rng.IntN(6) {
	case 0:
		b[at] ^= 1 << rng.IntN(8)
	case 1:
		return string(b[:at])
	case 2:
		return string(b[:at]) + content[at:] + content[at/2:]
	case 3:
		copy(b[at:], strings.Repeat("\xff", 8))
	case 4:
		clear(b[at:min(at+5000, len(b))])
	case 5:
		return string(slices.Insert(b, at, 0, 0, 0))
	}
	return string(b)
}

// TestDamagedSSTablesComeBackAsTheyWere damages real SSTables before they are backed up, in Data.db and in what says how it
// is compressed: a backup must neither fail nor change a byte. The damage is drawn anew in each run.
func TestDamagedSSTablesComeBackAsTheyWere(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var list []cassandratest.Fixture
	for _, rel := range cassandratest.Releases() {
		for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
			few := []string{"lz4_4", "lz4_ratio_16", "noop_16", "uncompressed", "ranges"}
			if f.How == "compaction" && slices.Contains(few, f.Table) {
				list = append(list, f)
			}
		}
	}
	r := newRig(t)
	for round := range 6 {
		damaged := make(files)
		for name, content := range components(t, list) {
			base := filepath.Base(name)
			for _, part := range []string{sstable.Data, sstable.CompressionInfo, sstable.CRC} {
				if strings.HasSuffix(base, part) && rng.IntN(2) == 0 {
					content = spoilt(rng, content)
				}
			}
			damaged[name] = content
		}
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := toDir(t.Context(), r.backup(string(rune('a'+round)), damaged), &snapshot.Selection{}, dir, silent{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sums(damaged), sums(tree(t, dir))); diff != "" {
			t.Fatalf("came back different (-want +got):\n%s", diff)
		}
	}
}
