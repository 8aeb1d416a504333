package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/repo"
	"cbk/snapshot"
)

// TestStatsPredictWhatADeletionBrings compares every prediction with what delete and gc then do.
func TestStatsPredictWhatADeletionBrings(t *testing.T) {
	r, first, second := twoBackups(t)
	s := doc[statsJSON](r, "stats")
	logical := first.amount("").Bytes + second.amount("").Bytes
	if s.Backups != 2 || s.Snapshots != 2 || s.BytesSource != logical || s.Nodes != nil || s.Freed != nil || s.Tables != nil {
		t.Errorf("%+v, want %d bytes", s, logical)
	}
	if s.Unique.Bytes == 0 || s.Unique.Bytes >= logical || s.Stored.Bytes == 0 || s.Stored.Unseen != 0 {
		t.Errorf("unique %+v, stored %+v", s.Unique, s.Stored)
	}
	if len(s.Growth.Days) == 0 || s.Growth.New == 0 || s.Growth.Stored == 0 {
		t.Errorf("growth %+v", s.Growth)
	}

	one := doc[statsJSON](r, "stats", "one", "oldest").Freed
	both := doc[statsJSON](r, "stats", "one", "two").Freed
	if one.Bytes == 0 || one.Bytes >= both.Bytes || both.Later != 0 || both.Repacked.Objects != 0 || both.Whole.Bytes < both.Bytes {
		t.Errorf("of all backups %+v, of one %+v", both, one)
	}
	if both.Young != both.Whole || both.All <= both.Deleted {
		t.Errorf("a minute after the backups: %+v", both)
	}
	f := doc[statsJSON](r, "stats", "one", "two", "--min-age", "0s", "--grace", "0s").Freed
	if f.Young.Objects != 0 || f.All != f.Deleted || f.Whole != both.Whole {
		t.Errorf("without patience: %+v", f)
	}
	if text := r.ok("stats", "one"); !strings.Contains(text, "later: ") {
		t.Errorf("what one has for itself lies in packs of both:\n%s", text)
	}
	r.ok("delete", "one", "two", "--yes")
	gone := doc[gcJSON](r, "gc", "--grace", "0s", "--min-age", "0s")
	if gone.Deleted != f.Whole.Objects || gone.BytesFreed != f.Whole.Bytes {
		t.Errorf("gc %+v, predicted %+v", gone, f)
	}
	r.fails(2, []string{"not-found", "one"}, "stats", "one")
}

func TestStatsByTableAndRecipeNeedAReadersKey(t *testing.T) {
	r, first, second := twoBackups(t)
	s := doc[statsJSON](r, "stats", "--tables")
	if len(s.Keyspaces) != 1 || s.Keyspaces[0].Keyspace != "zoo" || s.Keyspaces[0].BytesSource != s.BytesSource {
		t.Errorf("keyspaces %+v", s.Keyspaces)
	}
	got := make(map[string]int64)
	for _, one := range s.Tables {
		got[one.Table] = one.BytesSource
	}
	want := make(map[string]int64)
	for table := range got {
		want[table] = first.amount("zoo/"+table+"-").Bytes + second.amount("zoo/"+table+"-").Bytes
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 7 {
		t.Errorf("%d tables (-want +got):\n%s", len(got), diff)
	}
	names, bytes := "", int64(0)
	for _, how := range s.Recipes {
		names, bytes = names+" "+how.Recipe, bytes+how.Bytes
	}
	if names != " blobs derived inline lz4" && names != " blobs inline lz4" || bytes != s.BytesSource {
		t.Errorf("recipes %+v", s.Recipes)
	}
	text := r.ok("stats", "two", "--tables", "--min-age", "0s")
	for _, word := range []string{"1 backup, 1 node snapshot", "deleting frees", "condemned by the next run", "zoo", "  counters", "lz4"} {
		if !strings.Contains(text, word) {
			t.Errorf("the text does not say %q:\n%s", word, text)
		}
	}

	keeper := r.write("keeper.key", r.ok("key", "export", "--role", "keeper"), 0o600)
	writer := r.write("writer.key", r.ok("key", "export", "--role", "writer", "--domain", "elsewhere"), 0o600)
	r.fails(12, []string{"not-allowed", "a keeper key cannot show tables"}, "stats", "--tables", "--key-file", keeper)
	if text := r.ok("stats", "--key-file", keeper); !strings.Contains(text, "packs") || !strings.Contains(text, time.Now().UTC().Format("2006-01")) {
		t.Errorf("a keeper's:\n%s", text)
	}
	if f := doc[statsJSON](r, "stats", "two", "--key-file", keeper).Freed; f.Bytes == 0 {
		t.Errorf("a keeper's: %+v", f)
	}
	other := r.ok("stats", "--key-file", writer)
	if !strings.Contains(other, "0 backups") || !strings.Contains(other, "only what this key sees: elsewhere") || !strings.Contains(other, "not counted") {
		t.Errorf("another node's writer:\n%s", other)
	}
	r.fails(2, []string{"usage", "--days"}, "stats", "--days", "0")
}

func TestStatsArePrintedForPeople(t *testing.T) {
	packs := repo.Objects{Objects: 12, Bytes: 12 << 20}
	for name, k := range map[string]struct {
		doc  statsJSON
		want string
	}{
		"a repository, as a writer sees it": {
			statsJSON{Backups: 2, Snapshots: 1, BytesSource: 3 << 30, Nodes: []string{"node-1", "node-2"},
				Unique: &uniqueJSON{Blobs: 4000, Bytes: 1 << 30},
				Stored: &storedJSON{Objects: repo.Objects{Objects: 13, Bytes: 13 << 20}, Unseen: 1,
					Kinds: []repo.KindUse{{Kind: "packs", Objects: packs}, {Kind: "index", Objects: repo.Objects{Objects: 1, Bytes: 1 << 20}}, {Kind: "records"}}},
				Growth: &growthJSON{Days: []snapshot.Day{{Day: "2026-05-01", Nodes: 1, BytesSource: 3 << 30, BytesNew: 1 << 30, BytesStored: 12 << 20}}, New: 1 << 30, Stored: 12 << 20}},
			`2 backups, 1 node snapshot: 3.0 GiB of files
only what this key sees: node-1, node-2
unique: 1.0 GiB in 4000 blobs
stored: 13 MiB in 13 objects
not counted: 1 object of other nodes, and their packs
KIND   OBJECTS    BYTES
packs       12   12 MiB
index        1  1.0 MiB
DAY         NODE SNAPSHOTS   SOURCE      NEW  STORED
2026-05-01               1  3.0 GiB  1.0 GiB  12 MiB
per day: 1.0 GiB new, 12 MiB stored
`},
		"a deletion of all kinds": {
			statsJSON{Backups: 1, Snapshots: 3, BytesSource: 1024, Freed: &freedJSON{Blobs: 310, Bytes: 16 << 20, Later: 1 << 20, Whole: packs,
				Repacked: repo.Objects{Objects: 3, Bytes: 3 << 20}, Copied: 1 << 19, Young: packs, Copies: repo.Objects{Objects: 5, Bytes: 5 << 20},
				Garbage: repo.Objects{Objects: 1, Bytes: 1 << 20}, Deleted: "2026-05-02T00:00:00Z", All: "2026-05-09T00:00:00Z"}},
			`1 backup, 3 node snapshots: 1.0 KiB of files
deleting frees 16 MiB in 310 blobs that nothing else needs
  at once: 5.0 MiB of full copies
  by gc: 15 MiB of 15 packs, out of which 512 KiB are copied first; condemned by the next run, deleted by one after 2026-05-02T00:00:00Z
  of these are too young yet: 12 MiB of 12 packs, all deleted after 2026-05-09T00:00:00Z
  later: 1.0 MiB in packs that stay until less of them is needed
gc frees 1.0 MiB of 1 pack in any case
`},
		"tables below their keyspaces": {
			statsJSON{Keyspaces: []snapshot.KeyspaceUse{{Keyspace: "ks", Cost: snapshot.Cost{SSTables: 3, BytesSource: 1024}}},
				Tables:  []snapshot.TableUse{{Keyspace: "ks", Table: "t", Cost: snapshot.Cost{SSTables: 3, BytesSource: 1024}}},
				Recipes: []snapshot.RecipeSum{{Recipe: "lz4", Files: 3, Bytes: 1024}}},
			`0 backups, 0 node snapshots: 0 B of files
TABLE  SSTABLES   SOURCE  NEW  STORED
ks            3  1.0 KiB  0 B     0 B
  t           3  1.0 KiB  0 B     0 B
RECIPE  FILES   SOURCE
lz4         3  1.0 KiB
`},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := k.doc.print(&out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(k.want, trimmed(out.String())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
