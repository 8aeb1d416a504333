package prove

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"
)

// Schema names the JSON form of a [Report].
const Schema = "cbk.restore-verify/1"

// maxNotes is how many failures, and how many notes, of a table are told one by one.
const maxNotes = 20

// Report says what was asked and what came back.
type Report struct {
	Schema     string        `json:"schema"`
	Mode       Mode          `json:"mode"`
	Level      string        `json:"level"`
	Seed       uint64        `json:"seed"`
	Partitions int           `json:"partitions"` // wanted of each table
	Whole      bool          `json:"whole"`      // fewer rows than in the files are a failure
	At         time.Time     `json:"at"`         // when the files were read
	Tables     []TableReport `json:"tables"`
	Queries    []QueryReport `json:"queries"`
	Failures   int           `json:"failures"` // of tables and queries
}

// TableReport is what came back of a table.
type TableReport struct {
	Keyspace  string       `json:"keyspace"`
	Table     string       `json:"table"`
	SSTables  int          `json:"sstables"`
	Sampled   int          `json:"sampled"`   // partitions that must be there
	Found     int          `json:"found"`     // and of which rows came back
	Missing   int          `json:"missing"`   // and of which none came back, where that need not be a failure
	Empty     int          `json:"empty"`     // partitions asked for that are deleted
	Undecided int          `json:"undecided"` // partitions passed over
	Reasons   []string     `json:"reasons"`   // why, some of them
	Rows      int64        `json:"rows"`      // rows that came back, of wide partitions no more than were asked for
	Counts    *CountReport `json:"counts,omitempty"`
	Failed    int          `json:"failed"`
	Failures  []string     `json:"failures"`  // the first of them
	Notes     []string     `json:"notes"`     // what is no failure, the first of them
	Unsampled bool         `json:"unsampled"` // nothing was told from its files
}

// CountReport has both counts of a table.
type CountReport struct {
	FileCount
	Rows     int64 `json:"rows"`     // that CQL counted
	Compared bool  `json:"compared"` // whether the two were held against each other
}

// QueryReport is what came of a query.
type QueryReport struct {
	Query   string `json:"query"`
	Rows    int    `json:"rows"`
	Failure string `json:"failure,omitempty"`
}

func newReport(o Options) *Report {
	return &Report{
		Schema: Schema, Mode: o.Mode, Level: o.Level, Seed: o.Seed, Partitions: o.Partitions, Whole: o.Whole, At: o.Now.UTC(),
		Tables: []TableReport{}, Queries: []QueryReport{},
	}
}

func (t *TableReport) fail(format string, args ...any) {
	if t.Failed++; len(t.Failures) < maxNotes {
		t.Failures = append(t.Failures, fmt.Sprintf(format, args...))
	}
}

func (t *TableReport) note(format string, args ...any) {
	if len(t.Notes) < maxNotes {
		t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
	}
}

// sum counts the failures, and makes lists of JSON of what is empty.
func (r *Report) sum() {
	r.Failures = 0
	for i := range r.Tables {
		t := &r.Tables[i]
		r.Failures += t.Failed
		for _, list := range []*[]string{&t.Reasons, &t.Failures, &t.Notes} {
			*list = append([]string{}, *list...)
		}
	}
	for _, q := range r.Queries {
		if q.Failure != "" {
			r.Failures++
		}
	}
}

// Text writes the report for people.
func (r *Report) Text(to io.Writer) error {
	w := bufio.NewWriter(to)
	sampled := func(t TableReport) bool { return !t.Unsampled }
	if r.Mode != Hashes && slices.ContainsFunc(r.Tables, sampled) {
		fmt.Fprintf(w, "Asked at %s for %d partitions of each table, chosen with seed %d.\n", r.Level, r.Partitions, r.Seed)
	}
	for i := range r.Tables {
		r.Tables[i].text(w)
	}
	for _, q := range r.Queries {
		fmt.Fprintf(w, "query %s: %s\n", queryText(q.Query), plural(int64(q.Rows), "row"))
		if q.Failure != "" {
			fmt.Fprintf(w, "  FAILED: %s\n", q.Failure)
		}
	}
	if r.Failures == 0 {
		fmt.Fprintln(w, "Nothing that was asked for is missing.")
	} else {
		fmt.Fprintf(w, "%d failures.\n", r.Failures)
	}
	return w.Flush()
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *TableReport) text(w io.Writer) {
	fmt.Fprintf(w, "%s.%s: ", t.Keyspace, t.Table)
	if t.Unsampled {
		fmt.Fprint(w, "asked one query")
	} else {
		fmt.Fprintf(w, "%d of %d partitions found, %s", t.Found, t.Sampled, plural(t.Rows, "row"))
	}
	if t.Sampled == 0 && !t.Unsampled {
		fmt.Fprint(w, " (none had to be there)")
	}
	if t.Undecided > 0 {
		fmt.Fprintf(w, ", %d undecided", t.Undecided)
	}
	fmt.Fprintln(w)
	if t.Counts != nil {
		t.Counts.text(w)
	}
	for _, s := range t.Reasons {
		fmt.Fprintf(w, "  undecided: %s\n", s)
	}
	for _, s := range t.Notes {
		fmt.Fprintf(w, "  note: %s\n", s)
	}
	for _, s := range t.Failures {
		fmt.Fprintf(w, "  FAILED: %s\n", s)
	}
	if more := t.Failed - len(t.Failures); more > 0 {
		fmt.Fprintf(w, "  FAILED: and %d more\n", more)
	}
}

func (c *CountReport) text(w io.Writer) {
	fmt.Fprintf(w, "  counted: %d rows by CQL", c.Rows)
	switch {
	case c.Undecided != "":
		fmt.Fprintf(w, "; not counted in the files: %s\n", c.Undecided)
		return
	case c.Least == c.Most:
		fmt.Fprintf(w, ", %d in the files", c.Most)
	default:
		fmt.Fprintf(w, ", %d in the files of which %d expire soon", c.Most, c.Most-c.Least)
	}
	if !c.Compared {
		fmt.Fprint(w, " (not compared: this node may not have all rows, or some of others)")
	}
	fmt.Fprintln(w)
}

// Err is an [*UnprovenError] where anything failed.
func (r *Report) Err() error {
	if r.Failures == 0 {
		return nil
	}
	return &UnprovenError{Report: r}
}

// UnprovenError says that something of what was restored is not there.
type UnprovenError struct{ Report *Report }

// Error names the first failure.
func (e *UnprovenError) Error() string {
	first := ""
	for _, t := range e.Report.Tables {
		if first == "" && len(t.Failures) > 0 {
			first = fmt.Sprintf("%s.%s: %s", t.Keyspace, t.Table, t.Failures[0])
		}
	}
	for _, q := range e.Report.Queries {
		if first == "" && q.Failure != "" {
			first = fmt.Sprintf("query %s: %s", queryText(q.Query), q.Failure)
		}
	}
	if more := e.Report.Failures - 1; more > 0 {
		return fmt.Sprintf("not all that was restored is there: %s; and %d more", first, more)
	}
	return "not all that was restored is there: " + first
}

// Unsampled adds a table of which it could not be told from its files what must be there, and whether it answered a query.
func (r *Report) Unsampled(keyspace, table, why string, answer error) {
	t := TableReport{Keyspace: keyspace, Table: table, Unsampled: true}
	t.note("not sampled: %s; only that the table answers was shown", why)
	if answer != nil {
		t.fail("%v", answer)
	}
	r.Tables = append(r.Tables, t)
	r.sum()
}
