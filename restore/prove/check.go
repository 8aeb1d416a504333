package prove

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cbk/cassandra/node"
)

// maxRows is the most rows of a partition that are asked for: of wider ones as many must be there.
const maxRows = 10_000

// Querier asks a Cassandra node, at a consistency level. [node.Node] is one.
type Querier interface {
	// Partition counts the rows of the partition with a key in serialized form, up to a limit.
	Partition(ctx context.Context, keyspace, table string, columns []string, key [][]byte, level string, limit int) (int, error)
	// CountRows counts the rows of a table, of whose partition key it is told a column.
	CountRows(ctx context.Context, keyspace, table, column, level string) (int64, error)
	// Select returns the rows of a query as text: with [node.ErrTooManyRows] the first of more than limit.
	Select(ctx context.Context, query, level string, limit int) ([][]string, error)
}

// Check asks for what a plan expects, and for the answers of queries. What is not as expected, and what cannot be asked, is
// in the report; the error is that of the context only.
func Check(ctx context.Context, q Querier, p *Plan, queries []Query) (*Report, error) {
	r := newReport(p.Options)
	for i := range p.Tables {
		if p.Options.Mode != Hashes {
			r.Tables = append(r.Tables, checkTable(ctx, q, &p.Tables[i], p.Options))
		}
	}
	for i := range queries {
		r.Queries = append(r.Queries, ask(ctx, q, &queries[i], p.Options.Level))
	}
	r.sum()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

// checkTable asks for the sample of a table; where it has no partition that must be there, that the table answers.
func checkTable(ctx context.Context, q Querier, s *Sampled, o Options) TableReport {
	t := TableReport{
		Keyspace: s.Table.Keyspace, Table: s.Table.Name,
		SSTables: s.Stats.SSTables, Undecided: s.Stats.Undecided, Reasons: s.Stats.Reasons,
	}
	for i := range s.Expect {
		if ctx.Err() != nil {
			return t
		}
		t.check(ctx, q, s.Table, &s.Expect[i], o)
	}
	if t.Sampled == 0 {
		t.answers(ctx, q, s.Table, o)
	}
	if t.Missing > 0 && t.Found == 0 {
		t.fail("none of %d partitions is there", t.Sampled)
	}
	if t.Sampled == 0 && t.Undecided > 0 {
		t.note("of no partition could be told what must be there: only that the table answers was shown")
	}
	if s.Count != nil {
		t.count(ctx, q, s, o)
	}
	return t
}

// check asks for one partition.
func (t *TableReport) check(ctx context.Context, q Querier, of Table, e *Expect, o Options) {
	limit := min(max(e.Rows, 1), maxRows)
	found, err := q.Partition(ctx, of.Keyspace, of.Name, of.Key, e.Components, o.Level, limit)
	name := fmt.Sprintf("partition 0x%x (%s)", clip(e.Key, longKey), e.Literal)
	if e.Empty {
		t.Empty++
		switch {
		case err != nil:
			t.fail("%s cannot be read: %v", name, err)
		case found > 0:
			t.note("%s is there, and was deleted in the restored files", name)
		}
		return
	}
	t.Sampled++
	switch {
	case err != nil:
		t.fail("%s cannot be read: %v", name, err)
		return
	case found == 0 && o.Whole:
		t.fail("%s is not there", name)
		return
	case found == 0:
		t.Missing++
		t.note("%s is not there: another replica answered, which has not got it or knows of its deletion", name)
		return
	}
	t.Found++
	t.Rows += int64(found)
	switch {
	case found >= limit:
	case o.Whole:
		t.fail("%s has %d rows, not %d", name, found, limit)
	default:
		t.note("%s has %d rows, and %d in the restored files: another replica may have deleted some", name, found, limit)
	}
}

// answers asks a table for any row.
func (t *TableReport) answers(ctx context.Context, q Querier, of Table, o Options) {
	if len(of.Key) == 0 {
		t.fail("no columns of the partition key are known")
		return
	}
	query := fmt.Sprintf("SELECT %s FROM %s.%s LIMIT 1", quote(of.Key[0]), quote(of.Keyspace), quote(of.Name))
	if _, err := q.Select(ctx, query, o.Level, 1); err != nil {
		t.fail("the table cannot be read: %v", err)
	}
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// count counts the rows of a table, and compares them with those of the files if these have all.
func (t *TableReport) count(ctx context.Context, q Querier, s *Sampled, o Options) {
	t.Counts = &CountReport{FileCount: *s.Count}
	if len(s.Table.Key) == 0 {
		t.fail("no columns of the partition key are known")
		return
	}
	n, err := q.CountRows(ctx, s.Table.Keyspace, s.Table.Name, s.Table.Key[0], o.Level)
	if err != nil {
		t.fail("its rows cannot be counted: %v", err)
		return
	}
	t.Counts.Rows = n
	if s.Count.Undecided != "" || !o.Sole {
		return
	}
	t.Counts.Compared = true
	switch {
	case n < s.Count.Least:
		t.fail("it has %d rows, and %d in the restored files", n, s.Count.Least)
	case n > s.Count.Most:
		t.note("it has %d rows, and %d in the restored files", n, s.Count.Most)
	}
}

// ask runs one query and compares its answer.
func ask(ctx context.Context, q Querier, query *Query, level string) QueryReport {
	r := QueryReport{Query: query.Query}
	want := len(query.Result)
	if query.Rows != nil {
		want = *query.Rows
	}
	got, err := q.Select(ctx, query.Query, level, max(want, 1))
	more := errors.Is(err, node.ErrTooManyRows)
	r.Rows = len(got)
	switch {
	case err != nil && !more:
		r.Failure = printable(clip(err.Error(), maxText))
	case !query.compares():
	case more:
		r.Failure = fmt.Sprintf("more than %d rows", want)
	case len(got) != want:
		r.Failure = fmt.Sprintf("%d rows, not %d", len(got), want)
	case query.Result != nil:
		r.Failure = query.differs(got)
	}
	return r
}

// clip cuts what is long.
func clip[T ~string | ~[]byte](s T, most int) T { return s[:min(len(s), most)] }

// differs tells the first row that is not as expected.
func (q *Query) differs(got [][]string) string {
	for i, want := range q.Result {
		if !slices.Equal(want, got[i]) {
			return fmt.Sprintf("row %d is %s, not %s", i+1, rowText(got[i]), rowText(want))
		}
	}
	return ""
}

// maxText is the most of a row or an error that a message has.
const maxText = 200

func rowText(row []string) string { return queryText("[" + strings.Join(row, ", ") + "]") }

// queryText is a query on one line of a message.
func queryText(query string) string {
	text := printable(query)
	if len(text) > maxText {
		return clip(text, maxText) + "..."
	}
	return text
}
