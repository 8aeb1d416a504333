package snapshot

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

func TestEveryShapeOfNodeComesBackByteForByte(t *testing.T) {
	for _, c := range []struct {
		name     string
		dataDirs int
		fill     func(n *fakeNode)
	}{
		{"no tables at all", 1, func(*fakeNode) {}},
		{"an empty table", 1, func(n *fakeNode) { n.table(0, "t", 1) }},
		{"a component of no bytes", 1, func(n *fakeNode) { n.put(n.table(0, "t", 1)+"/nb-1-big-Data.db", "") }},
		{"components around the size that a page holds", 1, func(n *fakeNode) {
			dir := n.table(0, "t", 1)
			for i, size := range []int{1, inlineLimit - 1, inlineLimit, inlineLimit + 1, inlineLimit + 2} {
				n.put(fmt.Sprintf("%s/nb-%d-big-Data.db", dir, i), noise(byte(i), size))
			}
		}},
		{"a Data.db of several chunks", 1, func(n *fakeNode) { n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 3<<20) }},
		{"the same bytes in two tables", 1, func(n *fakeNode) {
			n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 100_000)
			n.sstable(n.table(0, "u", 2), "nb-1-big-", 1, 100_000)
		}},
		{"an SSTable of a secondary index", 1, func(n *fakeNode) {
			dir := n.table(0, "t", 1)
			n.sstable(dir, "nb-1-big-", 1, 3000)
			n.sstable(dir+"/.by_mail", "nb-1-big-", 2, 2000)
			n.sstable(dir+"/.by_name", "nb-7-big-", 3, 1000)
		}},
		{"one table in two data directories", 2, func(n *fakeNode) {
			dir := n.table(0, "t", 1)
			n.table(1, "t", 1)
			n.put(dir+"/nb-1-big-Data.db", noise(1, 1000))
			n.putIn(1, dir+"/nb-2-big-Data.db", noise(2, 1000))
			n.putIn(1, dir+"/nb-1-big-Data.db", noise(3, 1000))
			n.table(1, "u", 2)
		}},
		{"a dropped table beside its namesake", 1, func(n *fakeNode) {
			n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 1000)
			n.sstable(n.table(0, "t", 2), "nb-1-big-", 2, 1000)
		}},
		{"uuid identifiers, trie indexes and files of before 3.0", 1, func(n *fakeNode) {
			dir := n.table(0, "t", 1)
			n.sstable(dir, "da-3gzn_1a2b_3c4d5e6f7g8h9i0j1k-bti-", 1, 1000)
			n.sstable(dir, "oa-3gzn_1a2b_3c4d5e6f7g8h9i0j1k-big-", 2, 1000)
			n.sstable(dir, "ks-t-ka-5-", 3, 1000)
		}},
		{"names in capitals and components of an attached index", 1, func(n *fakeNode) {
			dir := n.table(0, "CamelCase_2", 1)
			n.put(dir+"/nb-1-big-SAI+aa+Mail Index+Meta.db", noise(1, 500))
			n.put(dir+"/nb-1-big-SI_Übung+'quoted'.db", noise(2, 50))
			n.put(dir+"/nb-1-big-Data.db", noise(3, 500))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, c.dataDirs)
			c.fill(n)
			res := r.take(n, "b")
			want := n.live()
			r.mustHold("b", want)
			var bytes int64
			for _, content := range want {
				bytes += int64(len(content))
			}
			if res.Files != len(want) || res.BytesSource != bytes || res.Unchanged != 0 {
				t.Errorf("%d files of %d bytes, %d unchanged; there are %d of %d", res.Files, res.BytesSource, res.Unchanged, len(want), bytes)
			}
			if left := n.snapshots(); len(left) > 0 {
				t.Errorf("snapshots left: %v", left)
			}
			if rep, err := Check(t.Context(), r.repo, true); err != nil || !rep.OK() {
				t.Errorf("check: %+v, %v", rep, err)
			}
		})
	}
}

func TestAFileOfManyChunksIsNamedBySegments(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	segments := map[string]int{n.table(0, "t", 1): 2, n.table(0, "u", 2): 1, n.table(0, "v", 3): 0}
	// More chunks than one window holds, in a file that takes no room.
	file := n.put("ks/t-"+tableID(1)+"/nb-1-big-Index.db", "")
	if err := os.Truncate(file, (repo.Window+100)*smallest); err != nil {
		t.Fatal(err)
	}
	n.age(file, written)
	n.put("ks/u-"+tableID(2)+"/nb-1-big-Index.db", noise(1, 2<<20))
	n.put("ks/v-"+tableID(3)+"/nb-1-big-Index.db", noise(2, 200<<10))
	for dir := range segments {
		n.put(dir+"/nb-1-big-Digest.crc32", digest(1))
	}
	r.take(n, "b")
	s := r.snapshot("b")
	stored := r.sstables(s)
	for dir, want := range segments {
		how := r.recipes(s, &stored[dir][0])
		if how[1].segmented != (want > 0) || how[1].segmented && len(how[1].refs) != want {
			t.Errorf("%s: segmented %v, %d refs; want %d segments", dir, how[1].segmented, len(how[1].refs), want)
		}
		// What is rebuilt is compared with this hash on the way.
		if hash := hashFile(t, filepath.Join(n.Layout().DataDirs[0], dir, "nb-1-big-Index.db")); hash != stored[dir][0].Components[1].Hash {
			t.Errorf("%s: the description has another hash than the file", dir)
		}
		if err := s.Content(t.Context(), []Page{{SSTables: stored[dir][:1]}}, discard, func(_ File, err error) error { return err }); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	r.take(n, "again")
	r.mustOpen("t/nb-1-big-Digest.crc32", "u/nb-1-big-Digest.crc32", "v/nb-1-big-Digest.crc32") // blobs are known through the segments
	if diff := cmp.Diff(stored, r.sstables(r.snapshot("again"))); diff != "" {
		t.Errorf("an unchanged node is described in another way:\n%s", diff)
	}
}

func discard(File) (io.Writer, error) { return io.Discard, nil }

func hashFile(t *testing.T, path string) (id pack.ID) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return pack.ID(h.Sum(nil))
}

func TestAThousandSSTablesStandInPagesOf256(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range 1000 {
		n.put(fmt.Sprintf("%s/nb-%d-big-Data.db", dir, i), fmt.Sprint("row ", i))
	}
	r.take(n, "one")
	r.mustHold("one", n.live())
	before := r.snapshot("one").Node.Tables[0].Pages
	n.put(dir+"/nb-9990-big-Data.db", "a row more, in the last page")
	r.take(n, "two")
	after := r.snapshot("two").Node.Tables[0].Pages
	if len(before) != 4 || cmp.Diff(before[:3], after[:3]) != "" || before[3] == after[3] {
		t.Errorf("pages of two backups that differ in the last SSTable:\n%v\n%v", before, after)
	}
}

func TestADescriptionSaysWhatTheNodeWas(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 2)
	n.id.HostID = strings.ToUpper(hostA)
	n.schema.Keyspaces = []node.KeyspaceSchema{{Name: "ks", CQL: strings.Repeat("CREATE TABLE ks.t (k int PRIMARY KEY);\n", 40_000)}} // several chunks
	n.roles.Absent = "nobody may read them"
	n.config = []node.ConfigFile{{Name: "cassandra.yaml", Text: []byte("a: b\n"), Masked: 2}}
	n.sstable(n.table(1, "t", 7), "nb-1-big-", 1, 1000)
	res := r.take(n, "b")
	s := r.snapshot("b")
	want := Node{Version: "5.0.6", Partitioner: "Murmur3", DC: "dc1", Rack: "r1", Address: "10.0.0.1", Tokens: []string{"-1", "7"}, DataDirs: 2, Way: WaySnapshot, RolesAbsent: "nobody may read them"}
	got := s.Node
	got.Schema, got.Config, got.Tables = nil, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	if table := s.Node.Tables[0]; table.Keyspace != "ks" || table.Name != "t" || table.ID != tableID(7) || table.Dir != "ks/t-"+tableID(7) || table.SSTables != 1 {
		t.Errorf("table %+v", table)
	}
	var cql strings.Builder
	if err := s.Schema(t.Context(), &cql); err != nil || cql.String() != n.schema.Text() || len(s.Node.Schema[0].Blobs) < 2 {
		t.Errorf("schema of %d bytes in %d blobs: %v", cql.Len(), len(s.Node.Schema[0].Blobs), err)
	}
	var yaml strings.Builder
	if err := s.Text(t.Context(), &s.Node.Config[0], &yaml); err != nil || yaml.String() != "a: b\n" || s.Node.Config[0].Masked != 2 {
		t.Errorf("configuration %q, %+v: %v", yaml.String(), s.Node.Config, err)
	}
	members, err := s.Ring(t.Context())
	if diff := cmp.Diff(&n.members, members); err != nil || diff != "" {
		t.Errorf("ring: %v\n%s", err, diff)
	}
	if res.HostID != hostA || s.Domain != hostA || res.Cluster != "shop" || res.Node != "node-a" || res.Kind != KindSSTables || res.Mode != ModeDifferential {
		t.Errorf("catalogue %+v", res.Catalogue)
	}
	if !res.Started.Before(res.Finished) || res.BytesNew == 0 || res.BytesStored == 0 {
		t.Errorf("catalogue %+v", res.Catalogue)
	}
}

func TestHostileDescriptionsAreRefused(t *testing.T) {
	id := tableID(1)
	for _, c := range []struct {
		name  string
		table Table
	}{
		{"a directory above", Table{Keyspace: "..", Name: "t", ID: id, Dir: "../t-" + id}},
		{"a directory that is not the table's", Table{Keyspace: "ks", Name: "t", ID: id, Dir: "ks/u-" + id}},
		{"an absolute directory", Table{Keyspace: "", Name: "t", ID: id, Dir: "/t-" + id}},
		{"a table name that climbs", Table{Keyspace: "ks", Name: "../../t", ID: id, Dir: "ks/../../t-" + id}},
		{"an id that climbs", Table{Keyspace: "ks", Name: "t", ID: "/../../x", Dir: "ks/t-/../../x"}},
		{"a keyspace with a NUL", Table{Keyspace: "k\x00s", Name: "t", ID: id, Dir: "k\x00s/t-" + id}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &Node{Tables: []Table{{Keyspace: "ks", Name: "ok", ID: id, Dir: "ks/ok-" + id}, c.table}}
			if err := n.check("snapshots/x/y"); !isDamage(err, "snapshots/x/y") {
				t.Errorf("got %v", err)
			}
			n.Tables = n.Tables[:1]
			if err := n.check("snapshots/x/y"); err != nil {
				t.Errorf("without it: %v", err)
			}
		})
	}
}

func TestTheDefaultNameIsTheTimeInUTC(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	if res := r.take(n, ""); res.Backup != "2026-05-01T14-00-00Z" {
		t.Errorf("called %q", res.Backup)
	}
}

func TestBackupNamesAreReadable(t *testing.T) {
	for _, good := range []string{"monday", "2026-05-01T14-00-00Z", "Übung 7", strings.Repeat("x", 128), "a.b_c:d"} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", " ", "a ", " a", "a/b", `a\b`, "a\nb", "a\x00", "a\x7f", strings.Repeat("x", 129)} {
		if err := CheckName(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

func TestASchemaChangeBetweenDirectoriesIsNoMatterOfOrder(t *testing.T) {
	a := []node.Table{{Keyspace: "ks", Name: "t", ID: "1"}, {Keyspace: "ks", Name: "u", ID: "2"}}
	dirs := func(names ...string) (out []node.TableDir) {
		for _, name := range names {
			ks, rest, _ := strings.Cut(name, ".")
			table, id, _ := strings.Cut(rest, "-")
			out = append(out, node.TableDir{Keyspace: ks, Table: table, ID: id})
		}
		return out
	}
	many := make([]node.Table, 9)
	for i := range many {
		many[i] = node.Table{Keyspace: "ks", Name: fmt.Sprint("t", i), ID: "1"}
	}
	for _, c := range []struct {
		name          string
		before, after []node.Table
		dirs          []node.TableDir
		says          string
	}{
		{"all are there", a, a, dirs("ks.u-2", "ks.t-1"), ""},
		{"there is a table more than the schema knows", a, a, dirs("ks.t-1", "ks.u-2", "ks.old-9"), ""},
		{"a table is missing", a, a, dirs("ks.t-1"), "lacks 1 of 2 tables: ks.u;"},
		{"a table was dropped meanwhile", a, a[:1], dirs("ks.t-1"), ""},
		{"a table was made meanwhile", a[:1], a, dirs("ks.t-1"), ""},
		{"a table was dropped and made again meanwhile", a, []node.Table{a[0], {Keyspace: "ks", Name: "u", ID: "3"}}, dirs("ks.t-1"), ""},
		{"the directory is that of a dropped namesake", a, a, dirs("ks.t-1", "ks.u-9"), "ks.u"},
		{"the directory is that of another keyspace", a, a, dirs("ks.t-1", "kt.u-2"), "ks.u"},
		{"no directory at all", a, a, nil, "lacks 2 of 2 tables: ks.t, ks.u;"},
		{"a long list is cut", many, many, nil, "lacks 9 of 9 tables: ks.t0, ks.t1, ks.t2, ks.t3, ks.t4;"},
		{"a directory made before 2.1 has no id", a, a, dirs("ks.t-1", "ks.u"), ""},
		{"no tables and none demanded", nil, nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := findTables(c.before, c.after, c.dirs, &Selection{})
			err := found.check(c.before, c.dirs, false)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestTheRigTellsFilesApart(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 1000)
	r.take(n, "b")
	want := []string{"CRC.db", "Data.db", "Digest.crc32", "Filter.db", "Index.db", "Statistics.db", "TOC.txt"}
	for i := range want {
		want[i] = "t/nb-1-big-" + want[i]
	}
	r.mustOpen(want...)
	if got := len(slices.Collect(maps.Keys(r.content("b")))); got != len(want) {
		t.Errorf("%d files", got)
	}
}

// Small SSTables share packs, and so requests: 8,000 files are not 8,000 objects.
func TestAThousandSmallSSTablesAreFewObjects(t *testing.T) {
	t.Parallel()
	r, n := newRigWith(t, repo.DefaultSettings()), newNode(t, hostA, 1)
	for i := range 1000 {
		n.sstable(n.table(0, "t", 1+i%10), fmt.Sprintf("nb-%d-big-", i+1), byte(i), 4000+i)
	}
	before := r.count("")
	res := r.take(n, "one")
	made := r.count("") - before
	t.Logf("%d files of %d SSTables in %d objects", res.Files, res.SSTables, made)
	if res.SSTables != 1000 || res.Files < 7000 || made > 60 {
		t.Errorf("%d objects of %d files", made, res.Files)
	}
}

func (r *rig) count(prefix string) (n int) {
	r.t.Helper()
	if err := r.st.List(r.t.Context(), prefix, func(store.Info) error { n++; return nil }); err != nil {
		r.t.Fatal(err)
	}
	return n
}
