package prove_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/restore/prove"
)

// half loads a cluster with one of the two flushed SSTables of a table.
func half(t *testing.T, name string) (*cluster, prove.Table) {
	by := zoo(t, bigRelease)[name]
	c := newCluster()
	c.load(t, name, by["flush"][0])
	return c, flushed(name, by)
}

func TestAPartitionThatIsNotThereIsAFailureWithItsName(t *testing.T) {
	c, table := half(t, "no_clustering")
	p := prepare(t, options(prove.Samples), table)
	r := check(t, c, p)
	missing := ""
	for _, e := range p.Tables[0].Expect {
		if c.rows["no_clustering"][string(e.Key)] == 0 && missing == "" {
			missing = e.Literal
		}
	}
	got := r.Tables[0]
	if got.Failed == 0 || got.Found+got.Failed != got.Sampled || got.Sampled != 10 {
		t.Fatalf("%+v", got)
	}
	var unproven *prove.UnprovenError
	if err := r.Err(); !errors.As(err, &unproven) || missing == "" || !strings.Contains(err.Error(), "zoo.no_clustering: partition 0x") ||
		!strings.Contains(err.Error(), "("+missing+") is not there") {
		t.Errorf("%q is missing: %v", missing, err)
	}
}

// Beside other replicas a partition may be answered for by one that has not got it, but not all of them.
func TestPartitionsThatAreMissingBesideOtherReplicasAreTold(t *testing.T) {
	c, table := half(t, "no_clustering")
	o := options(prove.Samples)
	o.Whole = false
	p := prepare(t, o, table)
	r := check(t, c, p)
	got := r.Tables[0]
	if r.Err() != nil || got.Missing == 0 || got.Found == 0 || got.Found+got.Missing != got.Sampled || len(got.Notes) != got.Missing {
		t.Fatalf("%+v, %v", got, r.Err())
	}
	for key := range c.rows["no_clustering"] {
		c.rows["no_clustering"][key] = 0
	}
	if r = check(t, c, p); r.Err() == nil || !strings.Contains(r.Err().Error(), "none of 10 partitions is there") {
		t.Errorf("all are missing: %v", r.Err())
	}
}

func TestFewerRowsFailOnlyWhereTheWholeClusterWasRestored(t *testing.T) {
	for _, whole := range []bool{true, false} {
		c, table := half(t, "wide")
		for key, n := range c.rows["wide"] {
			c.rows["wide"][key] = max(1, n/2)
		}
		o := options(prove.Samples)
		o.Whole, o.Partitions = whole, 40
		got := check(t, c, prepare(t, o, table)).Tables[0]
		if failed, noted := got.Failed > 0, len(got.Notes) > 0; failed != whole || noted == whole || got.Found != got.Sampled {
			t.Errorf("whole cluster %v: %+v", whole, got)
		}
	}
}

func TestAPartitionBackFromTheDeadIsNoted(t *testing.T) {
	by := zoo(t, bigRelease)["expired"]
	table := flushed("expired", by)
	o := options(prove.Samples)
	o.Now = o.Now.AddDate(30, 0, 0)
	c := newCluster()
	c.load(t, "expired", by["compaction"][0])
	got := check(t, c, prepare(t, o, table)).Tables[0]
	if got.Empty != 10 || len(got.Notes) == 0 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAQueryThatFailsIsAFailureOfItsTable(t *testing.T) {
	c, table := half(t, "no_clustering")
	c.err = errors.New("no replica answers")
	r := check(t, c, prepare(t, options(prove.Counts), table))
	if got := r.Tables[0]; got.Failed != 11 || !strings.Contains(got.Failures[0], "cannot be read: no replica answers") {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := prove.Check(ctx, c, prepare(t, options(prove.Samples), table), nil); err == nil || err.Error() != "enough" {
		t.Error(err)
	}
}

func TestRowsAreCountedInFilesAndByCQL(t *testing.T) {
	for _, name := range []string{"no_clustering", "everything", "counters", "ranges", "static_70", "expired", "wide"} {
		by := zoo(t, btiRelease)[name]
		c := newCluster()
		for _, f := range by["compaction"] {
			c.load(t, name, f)
		}
		p := prepare(t, options(prove.Counts), flushed(name, by))
		r := check(t, c, p)
		n := r.Tables[0].Counts
		if r.Err() != nil || !n.Compared || n.Rows != n.Most || n.Rows == 0 || n.Least > n.Most || n.Partitions == 0 {
			t.Errorf("%s: %+v, error %v", name, n, r.Err())
		}
		for key, rows := range c.rows[name] {
			if rows > 0 {
				c.rows[name][key] = 0
				break
			}
		}
		if r := check(t, c, p); !strings.Contains(r.Err().Error(), "rows, and ") && !strings.Contains(r.Err().Error(), "is not there") {
			t.Errorf("%s: %v", name, r.Err())
		}
	}
}

func TestCountsAreOnlyToldWhereTheFilesMayNotHaveAll(t *testing.T) {
	c, table := half(t, "ranges")
	o := options(prove.Counts)
	o.Sole, o.Partitions = false, 1
	p := prepare(t, o, table)
	c.rows["ranges"] = map[string]int{string(p.Tables[0].Expect[0].Key): 1000}
	r := check(t, c, p)
	if n := r.Tables[0].Counts; r.Err() != nil || n.Compared || n.Rows != 1000 || n.Most == 0 {
		t.Errorf("%+v, error %v", n, r.Err())
	}
	p.Options.Sole = true
	if got := check(t, c, p).Tables[0]; got.Failed != 0 && got.Counts.Rows >= got.Counts.Least || !got.Counts.Compared || len(got.Notes) != 1 {
		t.Errorf("more rows than in the files: %+v", got)
	}
}

func TestHashesAskOnlyTheQueries(t *testing.T) {
	c, table := half(t, "wide")
	c.answers["SELECT 1"] = [][]string{{"1"}}
	r := check(t, c, prepare(t, options(prove.Hashes), table), prove.Query{Query: "SELECT 1"})
	if diff := cmp.Diff([]string{"QUORUM SELECT 1"}, c.asked); diff != "" || r.Err() != nil || len(r.Tables) != 0 {
		t.Errorf("%+v, error %v, asked (-want +got):\n%s", r, r.Err(), diff)
	}
}

func TestModesHaveNames(t *testing.T) {
	for name, want := range map[string]prove.Mode{"": prove.Samples, "hashes": prove.Hashes, "sample": prove.Samples, "counts": prove.Counts} {
		if got, err := prove.ParseMode(name); err != nil || got != want {
			t.Errorf("%q: %q, error %v", name, got, err)
		}
	}
	if m, err := prove.ParseMode("all"); err == nil {
		t.Errorf("mode %q", m)
	}
}

func TestTheReportIsTextAndJSON(t *testing.T) {
	o := options(prove.Counts)
	r := &prove.Report{
		Schema: prove.Schema, Mode: o.Mode, Level: "QUORUM", Seed: 7, Partitions: 10,
		Tables: []prove.TableReport{
			{
				Keyspace: "shop", Table: "files", Sampled: 10, Found: 9, Rows: 36, Undecided: 2, Reasons: []string{"too large"}, Failed: 22,
				Failures: []string{"partition 0x61 ('a') is not there"}, Notes: []string{"fewer rows"},
				Counts: &prove.CountReport{FileCount: prove.FileCount{Least: 80, Most: 90}, Rows: 85, Compared: true},
			},
			{Keyspace: "shop", Table: "none", Counts: &prove.CountReport{FileCount: prove.FileCount{Undecided: "of 2.1"}}},
		},
		Queries:  []prove.QueryReport{{Query: "SELECT\n1", Rows: 3, Failure: "3 rows, not 4"}},
		Failures: 23,
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	want := `Asked at QUORUM for 10 partitions of each table, chosen with seed 7.
shop.files: 9 of 10 partitions found, 36 rows, 2 undecided
  counted: 85 rows by CQL, 90 in the files of which 10 expire soon
  undecided: too large
  note: fewer rows
  FAILED: partition 0x61 ('a') is not there
  FAILED: and 21 more
shop.none: 0 of 0 partitions found, 0 rows (none had to be there)
  counted: 0 rows by CQL; not counted in the files: of 2.1
query SELECT?1: 3 rows
  FAILED: 3 rows, not 4
23 failures.
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := r.Err().Error(); got != "not all that was restored is there: shop.files: partition 0x61 ('a') is not there; and 22 more" {
		t.Error(got)
	}
	imported := &prove.Report{Mode: prove.Samples, Queries: []prove.QueryReport{{Query: "SELECT 1", Rows: 1}}}
	imported.Unsampled("shop", "files", "it is served", nil)
	text.Reset()
	if err := imported.Text(&text); err != nil {
		t.Fatal(err)
	}
	want = `shop.files: asked one query
  note: not sampled: it is served; only that the table answers was shown
query SELECT 1: 1 row
Nothing that was asked for is missing.
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("of a table that was not sampled (-want +got):\n%s", diff)
	}
	b, err := json.Marshal(r)
	var fields map[string]any
	if err != nil || json.Unmarshal(b, &fields) != nil || fields["schema"] != "cbk.restore-verify/1" || fields["seed"] != 7.0 {
		t.Errorf("%s, error %v", b, err)
	}
}
