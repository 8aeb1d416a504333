package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

// What a backup says of a real SSTable is what Cassandra's own tool says. The second backup reads no keys and says the same,
// and so does one that finds another SSTable under the name.
func TestABackupSaysWhichTokensAreInAnSSTable(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			dir := n.table(0, "t", 1)
			seen := make(map[string]bool) // ranges of tokens
			for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
				if f.Table != "wide" && f.Table != "everything" || f.How != "flush" {
					continue
				}
				lay(n, dir, rel.Format, f)
				var first Stats
				for i := range 2 {
					name := fmt.Sprint(filepath.Base(f.Dir), f.Prefix, i)
					r.take(n, name)
					got := r.only(r.snapshot(name)).Stats
					if got == nil {
						t.Fatalf("%v: no stats", f)
					}
					if i == 0 {
						first = *got
						compareStats(t, f, got)
					} else if diff := cmp.Diff(first, *got); diff != "" {
						t.Errorf("%v, again (-first +second):\n%s", f, diff)
					}
				}
				seen[first.FirstToken+first.LastToken] = true
			}
			if len(seen) < 2 {
				t.Errorf("%d ranges of tokens", len(seen))
			}
		})
	}
}

// lay puts an SSTable in the place of all others of a table, always under the same name.
func lay(n *fakeNode, dir, format string, f cassandratest.Fixture) {
	n.t.Helper()
	if err := os.RemoveAll(filepath.Join(n.Layout().DataDirs[0], dir)); err != nil {
		n.t.Fatal(err)
	}
	files, err := filepath.Glob(f.Component("*"))
	if err != nil || len(files) == 0 {
		n.t.Fatal(files, err)
	}
	kind := map[string]string{"da": "bti"}[format]
	if kind == "" {
		kind = "big"
	}
	for _, file := range files {
		component := filepath.Base(file)[len(f.Prefix):]
		n.put(fmt.Sprintf("%s/%s-1-%s-%s", dir, format, kind, component), readFile(n.t, file))
	}
}

func compareStats(t *testing.T, f cassandratest.Fixture, got *Stats) {
	t.Helper()
	text := readFile(t, f.Metadata)
	for title, value := range map[string]string{"First token": got.FirstToken, "Last token": got.LastToken,
		"totalRows": fmt.Sprint(got.Rows), "SSTable Level": fmt.Sprint(got.Level), "Repaired at": fmt.Sprint(got.RepairedAt)} {
		m := regexp.MustCompile(`(?m)^` + title + `: (-?\d+)`).FindStringSubmatch(text)
		if f.Format == "da" && m == nil {
			continue
		}
		if m == nil || m[1] != value {
			t.Errorf("%v: %s %q, sstablemetadata says %q", f, title, value, m)
		}
	}
	sum := 0
	sizes := regexp.MustCompile(`(?ms)^Partition Size:.*?Percentiles`).FindString(text)
	for _, m := range regexp.MustCompile(`(?m)^ +\d+ \(.*?\) *\| *(\d+) \(`).FindAllStringSubmatch(sizes, -1) {
		var count int
		if _, err := fmt.Sscan(m[1], &count); err != nil {
			t.Fatal(err)
		}
		sum += count
	}
	if sizes != "" && int64(sum) != got.Partitions {
		t.Errorf("%v: %d partitions, sstablemetadata says %d", f, got.Partitions, sum)
	}
}
