package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
