package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/snapshot"
)

// The releases that do not run here: their files are those of one that does, under the names of the release and in its
// layouts, as far as these are known: chunks and sums, digests, CompressionInfo.db, and Statistics.db since 3.0. What a 2.x
// has in Statistics.db and in its rows stays the 3.11's; nothing reads it.
var oldReleases = []struct {
	release, version string
	from             cassandratest.Release
	digests          bool // Data.db is compared with its digest
	peeled           bool // LZ4 comes off Data.db
	stats            bool // Statistics.db says what is in the SSTable
}{
	{"2.0", "jb", of311, false, false, false},
	{"2.1", "ka", of311, true, true, false},
	{"2.2", "la", of311, true, true, false},
	{"2.2", "lb", of311, true, true, false},
	{"3.0", "ma", of311, true, true, true},
	{"3.0", "mb", of311, true, true, true},
	{"3.0", "mc", of311, true, true, true},
	{"3.0", "md", of311, true, true, true},
	{"4.0-rc1", "na", cassandratest.Release{Release: "4.0.19", Format: "nb"}, true, true, true},
	{"6.0-alpha2", "pa", cassandratest.Release{Release: "5.0.6", Format: "oa"}, true, true, true},
	{"6.0-alpha2", "ea", cassandratest.Release{Release: "5.0.6", Format: "da"}, true, true, true},
}

var of311 = cassandratest.Release{Release: "3.11.19", Format: "me"}

// hostID is what the operator says who the node is, for its files do not.
const hostID = "8a065892-12ee-471a-8e14-591ed11942ad"

// TestFilesOfReleasesThatDoNotRunHereComeBack backs up a stopped node of each, of which schema and ring are absent, and
// restores it byte for byte.
func TestFilesOfReleasesThatDoNotRunHereComeBack(t *testing.T) {
	for _, old := range oldReleases {
		t.Run(old.release+" "+old.version, func(t *testing.T) {
			files := oldNode(t, old.version, old.from)
			r := stoppedRig(t, files)
			r.place(leftovers(r.path("data"), old.version, files))
			r.ok("init", "--pack-size", "1MiB")
			one := r.offline("one")
			if one.Files != len(files) || one.Damaged > 0 || one.Selected {
				t.Errorf("%d files of %d, damaged %+v", one.Files, len(files), one.DamagedNames)
			}
			// The description of the node says when it was made and costs a little.
			if two := r.offline("two"); two.Unchanged != len(files) || two.BytesNew > 4<<10 {
				t.Errorf("the second backup: %d files unchanged of %d, %d bytes new", two.Unchanged, len(files), two.BytesNew)
			}
			r.mustBeShownAsOld("two", old.stats)
			r.mustBePeeled(one, old.peeled)
			r.ok("check", "--read-data")
			r.mustRestore("one", files)
			r.mustSelectOld(files)
			r.mustMarkDamage(files, old.digests)
		})
	}
}

// offline backs up the stopped node.
func (r *rig) offline(name string, args ...string) backupJSON {
	r.t.Helper()
	return doc[backupJSON](r, slices.Concat([]string{"backup", "--offline", "--node", hostID, "--name", name}, args)...)
}

// mustBeShownAsOld demands that what the files do not tell is said to be absent.
func (r *rig) mustBeShownAsOld(backup string, stats bool) {
	r.t.Helper()
	shown := doc[showJSON](r, "show", backup).Nodes[0]
	if shown.Way != snapshot.WayOffline || shown.SchemaAbsent == "" || shown.RolesAbsent == "" || shown.Tokens != 0 || len(shown.Tables) != 7 || shown.HostID != hostID {
		r.t.Errorf("shown: host id %q, way %q, schema %q, roles %q, %d tokens, %d tables", shown.HostID, shown.Way, shown.SchemaAbsent, shown.RolesAbsent, shown.Tokens, len(shown.Tables))
	}
	for _, table := range shown.Tables {
		if table.BytesNew != 0 {
			r.t.Errorf("%s: %d bytes new", table.Table, table.BytesNew)
		}
	}
	if text := r.ok("show", backup); !strings.Contains(text, "no schema: ") {
		r.t.Errorf("show does not say it:\n%s", text)
	}
	r.fails(2, []string{"not-found", "schema"}, "show", backup, "--schema")
	lines := r.ok("show", backup, "--sstables")
	known, unknown := strings.Count(lines, " rows, tokens "), strings.Count(lines, "Statistics.db not read")
	if want := map[bool][]int{true: {16, 0}, false: {0, 16}}[stats]; !cmp.Equal(want, []int{known, unknown}) {
		r.t.Errorf("SSTables with statistics: %d, and without: %d\n%s", known, unknown, lines)
	}
}

// mustBePeeled demands that what is compressed with LZ4 is stored without it, every chunk.
func (r *rig) mustBePeeled(b backupJSON, peeled bool) {
	r.t.Helper()
	at := slices.IndexFunc(b.Recipes, func(u snapshot.RecipeUse) bool { return u.Recipe == snapshot.RecipeLZ4 })
	if (at >= 0) != peeled || peeled && (b.Recipes[at].Files < 6 || b.Recipes[at].ChunksStored > 0) {
		r.t.Errorf("recipes %+v", b.Recipes)
	}
}

// mustSelectOld backs up chosen tables. Without a schema their directories tell which there are.
func (r *rig) mustSelectOld(files content) {
	r.t.Helper()
	if b := r.offline("some", "--table", "zoo.w*", "--keyspace", "zoo", "--exclude", "zoo.*_*"); !b.Selected || b.Tables != 4 {
		r.t.Errorf("%d tables, selected %v", b.Tables, b.Selected)
	}
	r.mustRestore("some", files.only("zoo/wide", "zoo/counters", "zoo/indexed", "zoo/uncompressed"))
	for _, typo := range [][]string{{"--keyspace", "zoo", "--exclude", "zoo.wyde"}, {"--table", "zoo.wide", "--table", "zoo.wyde"}, {"--keyspace", "zo"}} {
		r.fails(2, []string{"not-found", typo[len(typo)-1]}, append([]string{"backup", "--offline", "--node", hostID, "--name", "typo"}, typo...)...)
	}
}

// mustMarkDamage changes a byte of a Data.db. It is noticed where there is a digest to compare with.
func (r *rig) mustMarkDamage(files content, noticed bool) {
	r.t.Helper()
	damaged := make(content)
	for _, name := range slices.Sorted(maps.Keys(files.only("zoo/uncompressed"))) {
		if text := files[name]; strings.HasSuffix(name, "-Data.db") {
			damaged[name] = text[:1000] + string([]byte{text[1000] ^ 1}) + text[1001:]
			break
		}
	}
	r.place(damaged)
	code, stdout, stderr := r.run("backup", "--offline", "--node", hostID, "--name", "damaged", "--json")
	var b backupJSON
	if err := json.Unmarshal([]byte(stdout), &b); err != nil {
		r.t.Fatalf("exit %d, %v\n%s", code, err, stderr)
	}
	want := map[bool][]int{true: {4, 1}, false: {0, 0}}[noticed]
	if diff := cmp.Diff(want, []int{code, b.Damaged}); diff != "" || noticed && b.DamagedNames[0].Table != "uncompressed" {
		r.t.Errorf("damaged: %+v, exit code and number (-want +got):\n%s", b.DamagedNames, diff)
	}
	all := maps.Clone(files)
	maps.Copy(all, damaged)
	r.mustRestore("damaged", all)
}
