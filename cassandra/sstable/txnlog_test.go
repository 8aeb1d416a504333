package sstable

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// killedPath is in the lines of a log that Cassandra 5.0.6 left when it was killed.
const killedPath = "/tmp/TestLiveAgreesWithSSTableUtil651140710/001/n1/data/data/z/t-43f74b60e70c11f182f683a52a1d4b29/"

func TestIsLog(t *testing.T) {
	const id = "_5a2c1e70-e70a-11f1-9d5a-1d6d7c2f1b2e.log"
	for name, want := range map[string]bool{
		"nb_txn_compaction" + id: true, "me_txn_flush" + id: true, "bti-da_txn_flush" + id: true,
		"txn_flush" + id: true, "oa_txn_anticompaction_after_repair" + id: true,
		"nb-1-big-Data.db": false, "nb_txn_flush.log": false, "nb_txn_flush" + id + ".tmp": false,
		"nbx_txn_flush" + id: false, strings.Repeat("x", 300): false,
	} {
		if got := IsLog(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestLogRecordsAreReadAndWrittenBack(t *testing.T) {
	for line, want := range map[string]LogRecord{
		"ADD:[" + killedPath + "nb-7-big-,0,8][1749681145]":                {Type: LogAdd, Path: killedPath + "nb-7-big-", Files: 8},
		"REMOVE:[" + killedPath + "nb-1-big-,1795417534108,8][4182360285]": {Type: LogRemove, Path: killedPath + "nb-1-big-", UpdateTime: 1795417534108, Files: 8},
		"COMMIT:[,0,0][2613697770]":                                        {Type: LogCommit},
	} {
		got, err := ParseLogRecord(line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q gives %v (-want +got):\n%s", line, err, diff)
		}
		if got.String() != line {
			t.Errorf("%q written back is %q", line, got)
		}
	}
}

func TestParseLogRecordRefusesWhatIsNone(t *testing.T) {
	good := LogRecord{Type: LogRemove, Path: "/d/nb-1-big-", UpdateTime: 1795416295271, Files: 8}.String()
	if _, err := ParseLogRecord(good); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		for _, bad := range []string{good[:i], good[:i] + "7" + good[i+1:]} {
			if r, err := ParseLogRecord(bad); err == nil && bad != good {
				t.Errorf("%q gives %+v", bad, r)
			}
		}
	}
	for _, bad := range []string{"", "MOVE:[/a,1,1][1]", "ADD:[/a,b,1,1][1]", "COMMIT:[,,][1]", "ADD:[/a,99999999999999999999,1][1]", "ADD:[/a,1,2147483648][1]"} {
		if r, err := ParseLogRecord(bad); err == nil {
			t.Errorf("%q gives %+v", bad, r)
		}
	}
}

// Two data directories with an SSTable each that a compaction reads, and one that
// it writes.
var (
	old1   = LogRecord{Type: LogRemove, Path: "/d1/t/nb-1-big-", UpdateTime: 5_000_123, Files: 3}
	old2   = LogRecord{Type: LogRemove, Path: "/d2/t/nb-2-big-", UpdateTime: 6_000_000, Files: 2}
	made   = LogRecord{Type: LogAdd, Path: "/d1/t/nb-3-big-", Files: 2}
	commit = LogRecord{Type: LogCommit}
	abort  = LogRecord{Type: LogAbort}
)

const compactionLog = "nb_txn_compaction_5a2c1e70-e70a-11f1-9d5a-1d6d7c2f1b2e.log"

func twoDirectories(log1, log2 string) []Directory {
	ms := time.UnixMilli
	return []Directory{
		{Path: "/d1/t", Files: map[string]time.Time{
			"nb-1-big-Data.db": ms(5_000_000), "nb-1-big-Index.db": ms(5_000_999), "nb-1-big-Statistics.db": ms(9_000_000),
			"nb-3-big-Data.db": ms(7_000_000), "nb-3-big-Statistics.db.tmp": ms(7_900_000),
			"nb-33-big-Data.db": ms(1), "manifest.json": ms(1), compactionLog: ms(8_000_000),
		}, Logs: map[string][]byte{compactionLog: []byte(log1)}},
		{Path: "/d2/t", Files: map[string]time.Time{
			"nb-2-big-Data.db": ms(5_500_000), "nb-2-big-Statistics.db": ms(6_000_000), "nb-1-big-Data.db": ms(1), compactionLog: ms(8_000_000),
		}, Logs: map[string][]byte{compactionLog: []byte(log2)}},
	}
}

var (
	before = []string{"nb-1-big-Data.db", "nb-1-big-Index.db", "nb-1-big-Statistics.db", "nb-2-big-Data.db", "nb-2-big-Statistics.db"}
	after  = []string{"nb-3-big-Data.db", "nb-3-big-Statistics.db.tmp"}
	others = []string{"nb-33-big-Data.db", "manifest.json", "other nb-1-big-Data.db"}
)

// liveCase is a log in two copies and what it leaves of the two directories.
type liveCase struct {
	what, log1, log2 string
	want             []string // of before and after; nil where the log is damaged
}

func liveCases() []liveCase {
	text := func(records ...LogRecord) string {
		var b strings.Builder
		for _, r := range records {
			b.WriteString(r.String() + "\n")
		}
		return b.String()
	}
	all := text(made, old1, old2)
	more := LogRecord{Type: LogRemove, Path: "/d1/t/nb-1-big-", UpdateTime: 5_000_123, Files: 4}
	return []liveCase{
		{"a compaction that writes", text(made), text(made), before},
		{"one about to commit", all, all, before},
		{"one that committed", all + text(commit), all + text(commit), after},
		{"one that aborted", all + text(abort), all + text(abort), before},
		{"a commit in one copy", all + text(commit), all, after},
		{"a commit in part of one copy", all + text(commit), all + text(commit)[:7], after},
		{"a commit in part of both copies", all + text(commit)[:7], all + text(commit)[:3], before},
		{"a commit without a line end", strings.TrimSpace(all + text(commit)), all, after},
		{"a commit with another checksum", all + "COMMIT:[,0,0][1]\n", all, before},
		{"a copy without a line", all + text(commit), "", after},
		{"lines of another system", strings.ReplaceAll(all, "\n", "\r\n"), all, before},
		{"a line more in the middle", all + text(commit), text(made, old2), nil},
		{"a line in part in the middle", all, text(made)[:20] + "\n" + text(old1), nil},
		{"a line in part at the end of a copy, and not the last", all + text(commit), text(made, old1) + text(old2)[:10], nil},
		{"a removal of more files than there are, committed in part of a copy", text(more, commit), text(more) + text(commit)[:7], nil},
		{"a line in part before the last", text(made) + "ADD:[\n" + text(commit), "", nil},
		{"a commit before the last line", all + text(commit, abort), all, nil},
		{"a line twice", text(made, made), text(made), nil},
		{"a directory that is not listed", text(LogRecord{Type: LogAdd, Path: "/d3/t/nb-1-big-"}), "", nil},
		{"a removal of more files than there are", text(more), "", nil},
		{"the same, committed", text(more, commit), "", append(before[3:5:5], after...)},
		{"the same, with its last line damaged", text(more) + "COM", "", nil},
		{"a removal of files that are others by now", text(LogRecord{Type: LogRemove, Path: "/d1/t/nb-1-big-", UpdateTime: 4_000_000, Files: 3}, commit), "", nil},
		{"a removal that counted the statistics", text(LogRecord{Type: LogRemove, Path: "/d1/t/nb-1-big-", UpdateTime: 9_000_500, Files: 3}, commit), "", append(before[3:5:5], after...)},
		{"a removal of files that are gone", text(LogRecord{Type: LogRemove, Path: "/d1/t/nb-9-big-", UpdateTime: 1, Files: 3}, commit), "", append(before[:5:5], after...)},
		{"a removal as 3.11 names it", text(LogRecord{Type: LogRemove, Path: "/d1/t/nb-3-big", UpdateTime: 7_000_000, Files: 1}, commit), "", before},
		{"nothing", "", "", append(before[:5:5], after...)},
	}
}

func TestLive(t *testing.T) {
	for _, tt := range liveCases() {
		t.Run(tt.what, func(t *testing.T) {
			live, err := Live(twoDirectories(tt.log1, tt.log2))
			if tt.want == nil {
				if !errors.Is(err, ErrDamagedLog) {
					t.Errorf("%q, %v", live, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]bool)
			for i, names := range live {
				for _, name := range names {
					if i == 1 && name == "nb-1-big-Data.db" {
						name = "other " + name
					}
					got[name] = true
				}
			}
			want := make(map[string]bool)
			for _, name := range append(others, tt.want...) {
				want[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzLogs(f *testing.F) {
	f.Add(made.String()+"\n"+old1.String()+"\n"+commit.String()+"\n", made.String()+"\n")
	f.Fuzz(func(t *testing.T, log1, log2 string) {
		l, err := parseLog([][]byte{[]byte(log1), []byte(log2)})
		if err != nil {
			return
		}
		turned, err := parseLog([][]byte{[]byte(log2), []byte(log1)})
		if diff := cmp.Diff(l.records, turned.records); err != nil || diff != "" {
			t.Errorf("with the copies turned round: %v\n%s", err, diff)
		}
		for i, r := range l.records {
			if r.Type.final() && i != len(l.records)-1 {
				t.Errorf("line %d of %d is %s", i, len(l.records), r)
			}
			if again, err := ParseLogRecord(r.String()); err != nil || again != r {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
	})
}
