package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
)

// tableLines draws tables with their SSTables.
func tableLines(t *testing.T, dirs []TableDir) []string {
	t.Helper()
	var lines []string
	for _, d := range dirs {
		all, err := d.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s.%s %q %d %s %s", d.Keyspace, d.Table, d.ID, d.DataDir, d.Live, strings.Join(outline(all), "; ")))
	}
	return lines
}

// liveIn lists the tables of two data directories.
func liveIn(t *testing.T, dirs []string) []string {
	t.Helper()
	found, err := LiveTables(Layout{DataDirs: dirs})
	if err != nil {
		t.Fatal(err)
	}
	return tableLines(t, found)
}

func TestLiveTablesOfEveryGeneration(t *testing.T) {
	const id = tableID
	tests := []struct {
		what  string
		files []string // in the first data directory, or in the second where they begin with 2/
		want  []string
	}{
		{"a table over two data directories, with an index in one of them",
			[]string{"ks/t-" + id + "/nb-1-big-Data.db", "ks/t-" + id + "/.by_v/nb-1-big-Data.db", "2/ks/t-" + id + "/nb-2-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /nb-1-big-: Data.db; .by_v/nb-1-big-: Data.db`, `ks.t "` + id + `" 1 ks/t-` + id + ` /nb-2-big-: Data.db`}},
		{"no snapshots and no backups, of an index neither",
			[]string{"ks/t-" + id + "/nb-1-big-Data.db", "ks/t-" + id + "/snapshots/x/nb-1-big-Data.db", "ks/t-" + id + "/snapshots/x/.i/nb-1-big-Data.db", "ks/t-" + id + "/backups/nb-1-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /nb-1-big-: Data.db`}},
		{"a dropped table of which a snapshot is left",
			[]string{"ks/t-" + id + "/snapshots/dropped-1/nb-1-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` `}},
		{"files that a process left unfinished",
			[]string{"ks/t-" + id + "/nb-1-big-Data.db", "ks/t-" + id + "/nb-1-big-Statistics.db.tmp", "ks/t-" + id + "/nb-2-big-Data.db.5a1c395e.tmp", "ks/t-" + id + "/tmp/nb-9-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /nb-1-big-: Data.db`}},
		{"a snapshot that was copied back with its manifest",
			[]string{"ks/t-" + id + "/nb-1-big-Data.db", "ks/t-" + id + "/manifest.json", "ks/t-" + id + "/schema.cql"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /nb-1-big-: Data.db`}},
		{"2.1: a table from before, and an index beside its table",
			[]string{"ks/old/ks-old-ka-3-Data.db", "ks/old/ks-old.by_v-ka-1-Data.db", "ks/old/ks-old-tmp-ka-4-Data.db", "ks/old/ks-old-tmplink-ka-4-Data.db", "2/ks/old/ks-old-jb-9-Data.db"},
			[]string{`ks.old "" 0 ks/old /ks-old-ka-3-: Data.db; /ks-old.by_v-ka-1-: Data.db`, `ks.old "" 1 ks/old /ks-old-jb-9-: Data.db`}},
		{"2.2: files under way have their mark in front",
			[]string{"ks/t-" + id + "/la-3-big-Data.db", "ks/t-" + id + "/tmp-la-4-big-Data.db", "ks/t-" + id + "/tmplink-la-4-big-Data.db", "ks/t-" + id + "/.i/lb-1-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /la-3-big-: Data.db; .i/lb-1-big-: Data.db`}},
		{"what is no keyspace's is passed over",
			[]string{"lost+found/x/nb-1-big-Data.db", "cassandra-heartbeat", "system/_paxos_repair_state/ballot.meta", "ks/notes.txt", "ks/not-a-table/readme", "ks/t-" + id + "/nb-1-big-Data.db"},
			[]string{`ks.t "` + id + `" 0 ks/t-` + id + ` /nb-1-big-: Data.db`}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			for _, name := range tt.files {
				if other, ok := strings.CutPrefix(name, "2/"); ok {
					touch(t, dirs[1], other)
				} else {
					touch(t, dirs[0], name)
				}
			}
			if diff := cmp.Diff(tt.want, liveIn(t, dirs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEmptyTableAndAnEmptyFileAreLive(t *testing.T) {
	dir := t.TempDir()
	live := "ks/t-" + tableID
	if err := os.MkdirAll(filepath.Join(dir, live), 0o755); err != nil {
		t.Fatal(err)
	}
	want := []string{`ks.t "` + tableID + `" 0 ` + live + ` `}
	if diff := cmp.Diff(want, liveIn(t, []string{dir})); diff != "" {
		t.Errorf("no file (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, live, "nb-1-big-Data.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want[0] += "/nb-1-big-: Data.db"
	if diff := cmp.Diff(want, liveIn(t, []string{dir})); diff != "" {
		t.Errorf("an empty file (-want +got):\n%s", diff)
	}
}

// A compaction over two data directories ends with its log in both. Whether it committed, one copy may tell alone.
func TestTransactionLogsDecideOverAllDirectories(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprint("committed ", committed), func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			// Cassandra names a keyspace on another disk by where it is.
			elsewhere := t.TempDir()
			if err := os.Symlink(elsewhere, filepath.Join(dirs[1], "ks")); err != nil {
				t.Fatal(err)
			}
			table := "t-" + tableID
			touch(t, dirs[0], "ks/"+table+"/nb-1-big-Data.db", "ks/"+table+"/nb-3-big-Data.db", "ks/"+table+"/.i/nb-8-big-Data.db")
			touch(t, elsewhere, table+"/nb-2-big-Data.db", table+"/nb-4-big-Data.db")
			writeLogs(t, filepath.Join(dirs[0], "ks", table), filepath.Join(elsewhere, table), committed)
			want := []string{"/nb-1-big-: Data.db; .i/nb-8-big-: Data.db", "/nb-2-big-: Data.db"}
			if committed {
				want = []string{"/nb-3-big-: Data.db; .i/nb-8-big-: Data.db", "/nb-4-big-: Data.db"}
			}
			for i := range want {
				want[i] = fmt.Sprintf("ks.t %q %d ks/%s %s", tableID, i, table, want[i])
			}
			if diff := cmp.Diff(want, liveIn(t, dirs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// writeLogs writes both copies of the log of a transaction that turns 1 and 2 into 3 and 4. The second one commits.
func writeLogs(t *testing.T, one, other string, commit bool) {
	t.Helper()
	record := func(kind sstable.LogType, dir, prefix string) string {
		path := filepath.Join(dir, prefix)
		r := sstable.LogRecord{Type: kind, Path: path, Files: 1}
		if kind == sstable.LogRemove {
			info, err := os.Stat(path + sstable.Data)
			if err != nil {
				t.Fatal(err)
			}
			r.UpdateTime = info.ModTime().UnixMilli()
		}
		return r.String() + "\n"
	}
	text := record(sstable.LogAdd, one, "nb-3-big-") + record(sstable.LogAdd, other, "nb-4-big-") +
		record(sstable.LogRemove, one, "nb-1-big-") + record(sstable.LogRemove, other, "nb-2-big-")
	end := ""
	if commit {
		end = sstable.LogRecord{Type: sstable.LogCommit}.String() + "\n"
	}
	for dir, text := range map[string]string{one: text, other: text + end} {
		name := filepath.Join(dir, "nb_txn_compaction_5a1c395e-b41f-11ee-b5e0-0123456789ab.log")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedLogStopsTheListing(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "ks/t-"+tableID+"/nb-1-big-Data.db", "ks/t-"+tableID+"/nb_txn_flush_5a1c395e-b41f-11ee-b5e0-0123456789ab.log")
	log := filepath.Join(dir, "ks/t-"+tableID, "nb_txn_flush_5a1c395e-b41f-11ee-b5e0-0123456789ab.log")
	if err := os.WriteFile(log, []byte("ADD:[/x,0,1][1]\nCOMMIT:[,0,0][2613697770]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := LiveTables(Layout{DataDirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := found[0].SSTables(); !errors.Is(err, sstable.ErrDamagedLog) {
		t.Errorf("error %v", err)
	}
}

func TestLiveTablesNamesWhatItCannotPlace(t *testing.T) {
	for _, tt := range []struct{ what, file, name string }{
		{"an SSTable outside of any table", "ks/not-a-table/nb-1-big-Data.db", "nb-1-big-Data.db"},
		{"a table in what is no keyspace", "bad-keyspace/t-" + tableID + "/nb-1-big-Data.db", "bad-keyspace"},
		{"a stranger in a table", "ks/t-" + tableID + "/notes.txt", "notes.txt"},
		{"a directory in a table", "ks/t-" + tableID + "/sub/nb-1-big-Data.db", "sub"},
		{"a snapshot in an index", "ks/t-" + tableID + "/.i/manifest.json", "manifest.json"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			touch(t, dir, tt.file)
			found, err := LiveTables(Layout{DataDirs: []string{dir}})
			for _, d := range found {
				if err == nil {
					_, err = d.SSTables()
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.name) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestLiveTablesNeedsEveryDataDirectory(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if found, err := LiveTables(Layout{DataDirs: []string{t.TempDir(), gone}}); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("%v, %v", found, err)
	}
}

func TestASnapshotOfATableFromBefore21HasNoID(t *testing.T) {
	n, dirs := twoDirs(t)
	touch(t, dirs[0], "ks/old/snapshots/mine/ks-old-ka-1-Data.db", "ks/old/snapshots/mine/ks-old.by_v-ka-1-Data.db")
	found, err := n.SnapshotTables("mine")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`ks.old "" 0 ks/old /ks-old-ka-1-: Data.db; /ks-old.by_v-ka-1-: Data.db`}
	if diff := cmp.Diff(want, tableLines(t, found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
