package fit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cbk/cassandra/sstable"
	"cbk/snapshot"
)

// clockSkew is how far clocks of nodes and clients may lie apart without a word: more than any that keeps time has.
const clockSkew = 5 * time.Minute

// times keeps what of the SSTable's data has ended since the backup, and its newest write.
func (t *tableFit) times(in *Input, s *snapshot.Stats, m *sstable.Metadata) {
	t.newest = max(t.newest, s.MaxTimestamp)
	since, now := in.Backup.Unix(), in.Now.Unix()
	if m != nil && m.Stats.MaxTTL == 0 {
		return // tombstones end as well
	}
	if s.MaxDeletion != sstable.NoDeletionTime && s.MaxDeletion > since && s.MaxDeletion <= now {
		t.ExpiredSSTables++
	}
	if m == nil {
		return
	}
	for _, d := range m.Stats.TombstoneDropTimes {
		if d.Time > since && d.Time <= now {
			t.ExpiredCells += max(d.Count, 0)
		}
	}
}

// clock tells of a backup that is younger than now: then nothing that follows from its age is right.
func (f *Fit) clock() []Risk {
	if age := f.in.Now.Sub(f.in.Backup); age < -clockSkew {
		return []Risk{{Code: Clock, What: fmt.Sprintf("the backup was taken %s from now by its node's clock: expiry and deletions cannot be judged", span(-age)), Refuses: true}}
	}
	return nil
}

// local are the keyspaces whose tables each release defines by itself.
var local = map[string]bool{"system": true, "system_schema": true, "system_cluster_metadata": true}

// known tells of a table that nobody makes.
func (f *Fit) known(t *tableFit) *Risk {
	if t.target != nil || local[t.Keyspace] {
		return nil
	}
	if t.Created = f.in.Creates; t.Created {
		return nil
	}
	return &Risk{Code: Columns, What: "the target has no such table", Refuses: true, Final: true}
}

// unread tells of SSTables whose columns are not known: of before 3.0, or damaged.
func (f *Fit) unread(t *tableFit) *Risk {
	switch {
	case t.more:
		return &Risk{Code: Columns, What: fmt.Sprintf("more than %d columns do not fit", maxProblems), Refuses: true, Final: true}
	case t.Unread == 0 || t.target == nil:
		return nil
	}
	return &Risk{Code: Columns, What: fmt.Sprintf("the columns of %s are not known: Statistics.db is missing, damaged or of before 3.0", count(t.Unread, "SSTable")), Refuses: true}
}

func (f *Fit) damage(t *tableFit) *Risk {
	if t.damaged == 0 {
		return nil
	}
	return &Risk{Code: Damaged, What: count(t.damaged, "SSTable") + " damaged on the node when backed up: rows may be missing or reads may fail", Refuses: true}
}

// tombstones: replicas that stay have deleted rows since and forgotten that after gc_grace; the backup still has the rows.
func (f *Fit) tombstones(t *tableFit) *Risk {
	age := f.in.Now.Sub(f.in.Backup)
	if !f.in.Partial || t.target == nil || t.SSTables == 0 || age <= t.target.GCGrace {
		return nil
	}
	return &Risk{Code: Tombstones, What: fmt.Sprintf("the backup is %s old and gc_grace_seconds are %s: rows deleted since may come back", span(age), span(t.target.GCGrace)), Refuses: true}
}

func (f *Fit) expired(t *tableFit) *Risk {
	switch {
	case t.ExpiredSSTables > 0 && t.ExpiredSSTables == t.SSTables:
		return &Risk{Code: Expired, What: "all data has expired since the backup"}
	case t.ExpiredSSTables > 0 && t.ExpiredCells > 0:
		return &Risk{Code: Expired, What: fmt.Sprintf("all of %s of %d and about %d cells in all have expired since the backup", count(t.ExpiredSSTables, "SSTable"), t.SSTables, t.ExpiredCells)}
	case t.ExpiredSSTables > 0:
		return &Risk{Code: Expired, What: fmt.Sprintf("all of %s of %d has expired since the backup", count(t.ExpiredSSTables, "SSTable"), t.SSTables)}
	case t.ExpiredCells > 0:
		return &Risk{Code: Expired, What: fmt.Sprintf("about %d cells have expired since the backup", t.ExpiredCells)}
	}
	return nil
}

// counters: a node issues clocks of its own for the counts it took. Put back alone it issues some of them again, and they
// lose against those that the other replicas have.
func (f *Fit) counters(t *tableFit) *Risk {
	counter := t.counter || t.target != nil && t.target.Counter
	alone := t.target == nil || t.target.Replicas != 1
	switch {
	case !counter || t.SSTables == 0:
		return nil
	case f.in.Partial && f.in.Way == InPlace && alone:
		return &Risk{Code: Counters, What: "the node goes back alone and issues clocks again that its replicas have seen: counts are lost unless it is repaired before any write; restore all replicas together", Refuses: true}
	case f.in.Partial:
		return &Risk{Code: Counters, What: "counts do not go back where the target has newer ones: truncate the table first"}
	case t.legacy && f.in.Way != InPlace:
		return &Risk{Code: Counters, What: "counters have local shards of before 2.1, which are right on their own node only: run upgradesstables on the source first", Refuses: true}
	}
	return nil
}

// views: no way of a restore writes to a view what it puts into the base, nor back.
func (f *Fit) views(t *tableFit) *Risk {
	if t.target == nil {
		return nil
	}
	restored := func(name string) bool { return f.tables[[2]string{t.Keyspace, name}] != nil }
	if t.target.View {
		if restored(t.target.Base) {
			return nil
		}
		return &Risk{Code: Views, What: fmt.Sprintf("the view would not be of the moment of its base %s, which is not restored: restore both, or the base, and create the view again", t.target.Base), Refuses: true}
	}
	var others []string
	for _, v := range f.in.Schema {
		if v.View && v.Keyspace == t.Keyspace && v.Base == t.Table && !restored(v.Name) {
			others = append(others, v.Name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	return &Risk{Code: Views, What: fmt.Sprintf("not restored with it and stale afterwards: view %s; restore them too, or drop them before and create them again", strings.Join(others, ", ")), Refuses: true}
}

// indexes lists what must be built. Import builds by itself; a node that starts believes an index to be built that was.
func (f *Fit) indexes(t *tableFit) *Risk {
	if t.target == nil || t.SSTables == 0 || f.in.Way == Import {
		return nil
	}
	for _, i := range t.target.Indexes {
		n := t.indexed[i.Name]
		if i.Class != "" && n < t.SSTables || n == 0 {
			t.Build = append(t.Build, i.Name)
		}
	}
	if len(t.Build) == 0 {
		return nil
	}
	return &Risk{Code: Indexes, What: fmt.Sprintf("not in the backup for all SSTables: index %s, which the restore has Cassandra build anew after the start",
		strings.Join(t.Build, ", "))}
}

// future tells of writes that outrank what is written until their time comes.
func (f *Fit) future(t *tableFit) *Risk {
	newest := time.UnixMicro(t.newest).UTC()
	if t.newest <= f.in.Now.Add(clockSkew).UnixMicro() {
		return nil
	}
	const year9999 = 253_402_300_799_000_000 // RFC 3339 has four digits
	if t.newest > year9999 {
		return &Risk{Code: Clock, What: fmt.Sprintf("writes carry timestamps up to %d, which are no microseconds since 1970: no write with a right one will be seen over them", t.newest)}
	}
	t.NewestWrite = &newest
	return &Risk{Code: Clock, What: fmt.Sprintf("writes carry timestamps up to %s: what is written before that will not be seen over them", newest.Format(time.RFC3339))}
}

func (f *Fit) paxos(t *tableFit) *Risk {
	if t.Keyspace != "system" || t.Table != "paxos" || t.SSTables == 0 {
		return nil
	}
	return &Risk{Code: Paxos, What: "promises of lightweight transactions come back as they stood: no such transaction should run against the other replicas before a repair --paxos-only (4.1) or of the table"}
}

func (f *Fit) transient(t *tableFit) *Risk {
	if !t.moved && (t.target == nil || !t.target.Transient) {
		return nil
	}
	return &Risk{Code: Transient, What: "the keyspace has transient replicas, which cannot be restored", Refuses: true, Final: true}
}

func (f *Fit) accord(t *tableFit) *Risk {
	if t.target == nil || !t.target.Accord {
		return nil
	}
	return &Risk{Code: Accord, What: "the table takes part in Accord transactions, which cannot be restored", Refuses: true, Final: true}
}

// span writes a time as people say it: in the largest unit that leaves two digits or fewer in front of it.
func span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.of {
			return count(int(d/unit.of), unit.name)
		}
	}
	return count(int(d/time.Second), "second")
}
