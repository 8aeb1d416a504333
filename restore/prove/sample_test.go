package prove_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/restore/prove"
)

var (
	bigRelease = cassandratest.Release{Release: "5.0.6", Format: "nb"}
	btiRelease = cassandratest.Release{Release: "5.0.6", Format: "da"}
	oldRelease = cassandratest.Release{Release: "3.11.19", Format: "me"}
)

// What is expected of the SSTables as they were flushed is there in the one that Cassandra compacted them into: over
// deletions, ranges, times to live, collections, counters, static columns and wide partitions.
func TestWhatIsExpectedOfSSTablesIsThereAfterTheirCompaction(t *testing.T) {
	for _, rel := range []cassandratest.Release{oldRelease, bigRelease, btiRelease} {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			c, sampled := newCluster(), 0
			var tables []prove.Table
			for name, by := range zoo(t, rel) {
				tables = append(tables, flushed(name, by))
				for _, f := range by["compaction"] {
					c.load(t, name, f)
				}
			}
			r := check(t, c, prepare(t, options(prove.Samples), tables...))
			for _, table := range r.Tables {
				if table.Sampled == 0 || table.Found != table.Sampled || table.Undecided > 0 || table.Failed > 0 || len(table.Notes) > 0 {
					t.Errorf("%+v", table)
				}
				sampled += table.Sampled
			}
			if err := r.Err(); err != nil || sampled < 200 {
				t.Errorf("%d partitions, error %v", sampled, err)
			}
		})
	}
}

func TestASampleSaysHowManyRowsThereAre(t *testing.T) {
	for name, rel := range map[string]cassandratest.Release{"big": bigRelease, "bti": btiRelease} {
		all := zoo(t, rel)
		expect, stats, err := prove.Sample(t.Context(), flushed("no_clustering", all["no_clustering"]).Dirs, prove.Table{Keyspace: "zoo", Name: "no_clustering"}, options(prove.Samples))
		if err != nil || len(expect) != 10 || stats.Live != 10 || stats.SSTables != 2 {
			t.Fatalf("%s: %d partitions, %+v, error %v", name, len(expect), stats, err)
		}
		for _, e := range expect {
			want := prove.Expect{Key: e.Key, Components: [][]byte{e.Key}, Literal: "'" + string(e.Key) + "'", Token: sstable.Token(e.Key), Rows: 1}
			if diff := cmp.Diff(want, e); diff != "" || !strings.HasPrefix(string(e.Key), "key ") {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		wide, _, err := prove.Sample(t.Context(), flushed("wide", all["wide"]).Dirs, prove.Table{Keyspace: "zoo", Name: "wide"}, options(prove.Samples))
		if err != nil || !slices.ContainsFunc(wide, func(e prove.Expect) bool { return e.Rows > 100 }) && !slices.ContainsFunc(wide, func(e prove.Expect) bool { return e.Rows == 1 }) {
			t.Errorf("%s: %+v, error %v", name, wide, err)
		}
		counters, _, err := prove.Sample(t.Context(), flushed("counters", all["counters"]).Dirs, prove.Table{Keyspace: "zoo", Name: "counters"}, options(prove.Samples))
		if err != nil || len(counters) == 0 || slices.ContainsFunc(counters, func(e prove.Expect) bool { return e.Rows != prove.Unknown && !e.Empty }) {
			t.Errorf("%s: %+v, error %v", name, counters, err)
		}
	}
}

func TestATimeMustBeGiven(t *testing.T) {
	table := flushed("wide", zoo(t, bigRelease)["wide"])
	for _, m := range []prove.Mode{prove.Samples, prove.Counts} {
		if _, err := prove.Prepare(t.Context(), []prove.Table{table}, prove.Options{Mode: m}); err == nil {
			t.Errorf("%s: without a time", m)
		}
	}
	if _, err := prove.CountFiles(t.Context(), table.Dirs, table, prove.Options{}); err == nil {
		t.Error("counted without a time")
	}
}

func TestTheSeedDecidesWhatIsSampled(t *testing.T) {
	table := flushed("everything", zoo(t, bigRelease)["everything"])
	keys := func(seed uint64) (all []string) {
		o := options(prove.Samples)
		o.Seed = seed
		expect, _, err := prove.Sample(t.Context(), table.Dirs, table, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range expect {
			all = append(all, e.Literal)
		}
		return all
	}
	if first, again := keys(1), keys(1); len(first) < 10 || !slices.Equal(first, again) || slices.Equal(first, keys(2)) {
		t.Errorf("%q, then %q", first, again)
	}
}

// copyTable copies the flushed SSTables of a table into as many directories as there are SSTables.
func copyTable(t *testing.T, f cassandratest.Release, name string) prove.Table {
	t.Helper()
	table := flushed(name, zoo(t, f)[name])
	from := table.Dirs[0]
	table.Dirs = nil
	for _, one := range zoo(t, f)[name]["flush"] {
		dir := t.TempDir()
		files, err := filepath.Glob(filepath.Join(from, one.Prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		table.Dirs = append(table.Dirs, dir)
	}
	return table
}

func TestSSTablesOfAllDataDirectoriesCount(t *testing.T) {
	table := copyTable(t, bigRelease, "ranges")
	apart, stats, err := prove.Sample(t.Context(), table.Dirs, table, options(prove.Samples))
	if err != nil || stats.SSTables != 2 || len(table.Dirs) != 2 {
		t.Fatalf("%+v, error %v", stats, err)
	}
	one, _, err := prove.Sample(t.Context(), flushed("ranges", zoo(t, bigRelease)["ranges"]).Dirs, table, options(prove.Samples))
	rows := func(all []prove.Expect) map[string]int {
		by := make(map[string]int)
		for _, e := range all {
			by[e.Literal] = e.Rows
		}
		return by
	}
	for key, n := range rows(one) {
		if m, both := rows(apart)[key]; both && m != n {
			t.Errorf("key %s: %d rows in one directory, %d in two", key, n, m)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsDeletedOrHasExpiredIsNotExpected(t *testing.T) {
	table := flushed("expired", zoo(t, bigRelease)["expired"])
	o := options(prove.Samples)
	o.Now = time.Now().AddDate(30, 0, 0)
	expect, stats, err := prove.Sample(t.Context(), table.Dirs, table, o)
	if err != nil || stats.Live != 0 || stats.Empty < 10 || len(expect) != 10 || !expect[0].Empty || expect[0].Rows != 0 {
		t.Errorf("%+v, %+v, error %v", expect, stats, err)
	}
	// Half of the rows live for five years from when they were made.
	o = options(prove.Samples)
	o.Horizon = 20 * 365 * 24 * time.Hour
	expect, stats, err = prove.Sample(t.Context(), table.Dirs, table, o)
	if err != nil || stats.Live != 0 || stats.Undecided == 0 || len(expect) != stats.Empty {
		t.Errorf("%+v, %+v, error %v", expect, stats, err)
	}
}

func TestADamagedFileIsAnErrorThatNamesIt(t *testing.T) {
	for _, component := range []string{sstable.Data, sstable.Index, sstable.Summary, sstable.Statistics, sstable.CompressionInfo} {
		table := copyTable(t, bigRelease, "no_clustering")
		files, err := filepath.Glob(filepath.Join(table.Dirs[0], "*-"+component))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if err := os.Truncate(files[0], 9); err != nil {
			t.Fatal(err)
		}
		_, err = prove.Prepare(t.Context(), []prove.Table{table}, options(prove.Samples))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(files[0], component)) {
			t.Errorf("%s: %v", component, err)
		}
	}
}

func TestWhatOurReaderDoesNotKnowIsUndecidedAndSaysWhy(t *testing.T) {
	table := copyTable(t, bigRelease, "no_clustering")
	for _, dir := range table.Dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.Rename(filepath.Join(dir, f.Name()), filepath.Join(dir, "lb"+f.Name()[2:])); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := newCluster()
	r := check(t, c, prepare(t, options(prove.Counts), table))
	got := r.Tables[0]
	if got.Undecided == 0 || len(got.Reasons) == 0 || len(got.Reasons) > 3 || got.Sampled != 0 || len(got.Notes) != 1 || r.Err() != nil {
		t.Errorf("%+v, error %v", got, r.Err())
	}
	if got.Counts.Undecided == "" || got.Counts.Compared {
		t.Errorf("%+v", got.Counts)
	}
	want := []string{`QUORUM SELECT "k" FROM "zoo"."no_clustering" LIMIT 1`, "QUORUM no_clustering"}
	if diff := cmp.Diff(want, c.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestATableWithoutFilesMustAnswer(t *testing.T) {
	table := prove.Table{Keyspace: "shop", Name: "none", Key: []string{"k"}, Dirs: []string{t.TempDir(), filepath.Join(t.TempDir(), "gone")}}
	c := newCluster()
	if r := check(t, c, prepare(t, options(prove.Counts), table)); r.Err() != nil || len(c.asked) != 2 {
		t.Errorf("asked %q, error %v", c.asked, r.Err())
	}
	c.err = errors.New("unconfigured table")
	r := check(t, c, prepare(t, options(prove.Samples), table))
	if r.Failures != 1 || !strings.Contains(r.Err().Error(), "shop.none: the table cannot be read: unconfigured table") {
		t.Error(r.Err())
	}
}

func TestAPlanIsTheSameAfterItWasStored(t *testing.T) {
	all := zoo(t, bigRelease)
	p := prepare(t, options(prove.Counts), flushed("wide", all["wide"]), flushed("everything", all["everything"]))
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again prove.Plan
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*p, again); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}
