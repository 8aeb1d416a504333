package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/snapshot"
)

// damaged is a check that found a file of one table lost, in one of two node snapshots.
func damaged() *checked {
	left := 4
	hit := snapshot.Hit{Backup: "one", Node: "10.0.0.1", Keyspace: "ks", Table: "t", Component: "nb-1-big-Data.db"}
	return &checked{repository: "00ff", key: "1f2e", role: "reader", record: repo.Record{Name: "checks/ab", ID: pack.ID{0xab}}, head: 3, headHash: "cd",
		Report: &snapshot.Report{Started: night, Finished: night.Add(time.Minute), Level: snapshot.LevelData, Kind: snapshot.Readable, Readable: true, Rebuilt: true,
			Objects: 21, Backups: 2, Blobs: 138, BytesRead: 3 << 20, Unseen: 2, Packs: snapshot.PacksRead{Listed: 3, Read: 3},
			Inside: snapshot.Inside{SSTables: 35, Partitions: 2400, SourceTotal: 1, Source: []snapshot.SourceDamage{{Backup: "one", Node: "10.0.0.2",
				Keyspace: "ks", Table: "u", SSTable: "nb-3-big-", Marked: true, What: []string{"incomplete: Filter.db missing"}}},
				Unchecked: []snapshot.Unchecked{{What: "the order of keys: LocalPartitioner", SSTables: 2}}},
			Damage: []snapshot.Damage{{Object: "packs/fa/fa01", What: "missing", Hits: []snapshot.Hit{hit}, HitsTotal: 1}}, DamageTotal: 1,
			Hurt: []snapshot.HurtBackup{{Backup: "one", Cluster: "shop", Untouched: 1, Nodes: []snapshot.HurtNode{{Node: "10.0.0.1", HostID: "df30", Untouched: &left,
				Tables: []snapshot.HurtTable{{Keyspace: "ks", Table: "t", Components: []string{"nb-1-big-Data.db"}, Total: 1}}}}}},
			Untouched: 1, Roots: snapshot.RootsSeen{Total: 2, SHA256: "ef"}}}
}

func TestACheckSaysWhatIsLostAndWhatIsLeft(t *testing.T) {
	var out bytes.Buffer
	if err := printCheck(&out, damaged()); err != nil {
		t.Fatal(err)
	}
	want := `checked 21 objects, 138 blobs, 2 node snapshots (3.0 MiB read and authenticated)
looked into 35 SSTables: 2400 partitions
damaged at the source, as its backup says: backup one, node 10.0.0.2, table ks.u, nb-3-big-: incomplete: Filter.db missing
NOT checked: 2 objects of nodes that this key cannot see
NOT checked: inside 2 SSTables: the order of keys: LocalPartitioner
DAMAGED packs/fa/fa01: missing
  hits backup one, node 10.0.0.1, table ks.t: nb-1-big-Data.db
backup one of cluster shop: 1 node hit, 1 untouched
  node 10.0.0.1: 1 table hit, 4 can be restored whole
    table ks.t: 1 component lost
1 node snapshot in all have no damage
recorded as checks/ab
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheEvidenceIsReplacedAsAWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "evidence.json")
	if err := os.WriteFile(file, []byte("of last week"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeReport(file, damaged()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc reportJSON
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Schema != "cbk.check-report/1" || doc.Check.OK || doc.Check.Hurt[0].Nodes[0].Tables[0].Table != "t" || doc.Record.Name != "checks/ab" ||
		!strings.HasPrefix(doc.Record.SHA256, "ab00") || doc.Roots.Total != 2 || doc.TrustHead.Statements != 3 || doc.Role != "reader" {
		t.Errorf("%+v", doc)
	}
	// Where it cannot be written nothing is left of it.
	if err := writeReport(filepath.Dir(file), damaged()); err == nil {
		t.Error("a directory was replaced")
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
}

func TestMetricsOfWhatWasReadBackWhen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "check.prom")
	st := &snapshot.CheckStatus{Now: night, Packs: 5, Bytes: 500, Runs: []snapshot.Recorded{{CheckRun: snapshot.CheckRun{Started: night, DamageTotal: 2}}},
		Unaltered: snapshot.Coverage{NeverPacks: 1, NeverBytes: 100, Oldest: night}, Readable: snapshot.Coverage{NeverPacks: 5, NeverBytes: 500}}
	want := []string{
		`cbk_check_last_run_damaged_objects{repository="00ff"} 2`,
		`cbk_check_last_run_timestamp_seconds{repository="00ff"} 1.7730216e+09`,
		`cbk_check_never_read_bytes{kind="readable",repository="00ff"} 500`,
		`cbk_check_never_read_bytes{kind="unaltered",repository="00ff"} 100`,
		`cbk_check_never_read_packs{kind="readable",repository="00ff"} 5`,
		`cbk_check_never_read_packs{kind="unaltered",repository="00ff"} 1`,
		`cbk_check_oldest_read_timestamp_seconds{kind="unaltered",repository="00ff"} 1.7730216e+09`,
		`cbk_check_pack_bytes{repository="00ff"} 500`,
		`cbk_check_packs{repository="00ff"} 5`,
		`cbk_check_status_timestamp_seconds{repository="00ff"} 1.7730216e+09`,
	}
	for range 2 { // over an earlier one too
		if err := writeCheckMetrics(file, "00ff", st); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range values(t, file) {
			if !strings.HasPrefix(line, checkInfo) {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	backups := filepath.Join(t.TempDir(), "cbk.prom")
	if err := writeMetrics(backups, fullRun()); err != nil {
		t.Fatal(err)
	}
	if err := writeCheckMetrics(backups, "00ff", st); err == nil || !strings.Contains(err.Error(), "other metrics") {
		t.Errorf("over those of a backup: %v", err)
	}
}

func TestBudgetsAreTimesOrBytes(t *testing.T) {
	for text, want := range map[string]snapshot.Budget{"1h": {Time: time.Hour}, "90m": {Time: 90 * time.Minute}, "100GB": {Bytes: 100e9}, "5MiB": {Bytes: 5 << 20},
		"": {}, "0": {}, "-1h": {}, "ten": {}, "1e30": {}} {
		got, err := parseBudget(text)
		if got != want || (err != nil) != (want == snapshot.Budget{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
