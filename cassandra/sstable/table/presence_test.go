package table_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/rows"
	"cbk/cassandra/sstable/table"
)

// options are those of a test that looks at the fixtures when they have been made: what lives for a second is gone.
func options(f cassandratest.Fixture) table.PresenceOptions {
	now := time.Now()
	return table.PresenceOptions{Now: now, Until: now.Add(24 * time.Hour), Before4: f.Format == "me"}
}

// each calls do for every partition of some SSTables.
func each(t *testing.T, all []cassandratest.Fixture, do func(*lookup.SSTable, *rows.Reader)) {
	t.Helper()
	for _, f := range all {
		d, _, err := sstable.ParseName(f.Prefix + sstable.Data)
		if err != nil {
			t.Fatal(err)
		}
		s, err := lookup.Open(f.Dir, d)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.All()
		if err != nil {
			t.Fatal(err)
		}
		for r.Next() {
			do(s, r)
		}
		if err := errors.Join(r.Err(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// present counts the rows of each partition that has any: merged, and where the SSTables are one, read in one go too.
func present(t *testing.T, all []cassandratest.Fixture, o table.PresenceOptions) map[string]table.Count {
	t.Helper()
	parts := make(map[string]*table.Presence)
	counts := make(map[string]table.Count)
	each(t, all, func(s *lookup.SSTable, r *rows.Reader) {
		key, at := string(r.Partition().Key), r.Partition().Position
		if parts[key] == nil {
			parts[key] = table.NewPresence(o)
		}
		if err := parts[key].Add(r, s.Header()); err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 {
			counts[key] = alone(t, s, at, o)
		}
	})
	for key, p := range parts {
		n, err := p.Count()
		if alone, ok := counts[key]; err != nil || ok && n != alone {
			t.Fatalf("key %x: merged %+v, alone %+v, error %v", key, n, alone, err)
		}
		if counts[key] = n; n == (table.Count{}) {
			delete(counts, key)
		}
	}
	return counts
}

func alone(t *testing.T, s *lookup.SSTable, at int64, o table.PresenceOptions) table.Count {
	t.Helper()
	r, err := s.Partition(at, math.MaxInt64, table.ErrTooLarge)
	if err != nil || !r.Next() {
		t.Fatal(err)
	}
	n, err := table.CountPartition(r, s.Header(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func total(all map[string]table.Count) (now, lasting int) {
	for _, n := range all {
		now, lasting = now+n.Now, lasting+n.Lasting
	}
	return now, lasting
}

// Merging the flushed SSTables comes to the rows that Cassandra's compaction of them has, partition by partition; and to as
// many as reading all values does.
func TestRowsThatArePresentAreThoseThatCompactionLeft(t *testing.T) {
	for _, rel := range []cassandratest.Release{{Release: "3.11.19", Format: "me"}, {Release: "4.1.10", Format: "nb"}, {Release: "5.0.6", Format: "oa"}} {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			sum := 0
			for name, by := range zoo(t, rel) {
				o := options(by["flush"][0])
				flushed, compacted := present(t, by["flush"], o), present(t, by["compaction"], o)
				if len(flushed) != len(compacted) {
					t.Errorf("%s: %d partitions, %d compacted", name, len(flushed), len(compacted))
				}
				for key, n := range flushed {
					if n != compacted[key] {
						t.Errorf("%s: key %x: %+v, compacted %+v", name, key, n, compacted[key])
					}
				}
				now, lasting := total(flushed)
				sum += now
				if unread(name) {
					continue
				}
				all, err := merged(t, by["flush"], false)
				if err != nil || len(all) != now || lasting > now {
					t.Errorf("%s: %d rows, %d of them lasting; %d with their values, error %v", name, now, lasting, len(all), err)
				}
			}
			if sum < 5000 {
				t.Errorf("%d rows", sum)
			}
		})
	}
}

func TestRowsThatExpireDoNotLast(t *testing.T) {
	by := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "oa"})
	for _, name := range []string{"expired", "far"} {
		o := options(by[name]["flush"][0])
		o.Until = o.Now.AddDate(30, 0, 0)
		now, lasting := total(present(t, by[name]["flush"], o))
		if now == 0 || lasting >= now {
			t.Errorf("%s: of %d rows %d last", name, now, lasting)
		}
		o.Now = time.Unix(1.5e9, 0)
		if before, _ := total(present(t, by[name]["flush"], o)); name == "expired" && before <= now {
			t.Errorf("%s: %d rows before any expired, %d today", name, before, now)
		}
	}
}

func TestCellsOfDroppedColumnsMakeNoRow(t *testing.T) {
	by := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "nb"})["no_clustering"]
	o := options(by["flush"][0])
	all, _ := total(present(t, by["compaction"], o))
	o.View = true // only what the rows have of their own
	_, own := total(present(t, by["compaction"], o))
	if all == 0 || own != all {
		t.Errorf("%d rows, %d without their cells", all, own)
	}
	updated := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "nb"})["counters"]["compaction"]
	o = options(updated[0]) // an update of a counter writes cells and no row
	all, _ = total(present(t, updated, o))
	o.Dropped = map[string]int64{"a": math.MaxInt64, "b": math.MaxInt64, "s": math.MaxInt64}
	none, _ := total(present(t, updated, o))
	o.Dropped["a"] = 1
	some, _ := total(present(t, updated, o))
	if none != 0 || some == 0 || some > all {
		t.Errorf("%d rows, %d without a column, %d without any", all, some, none)
	}
}

func TestAPartitionTooLargeIsCutOrRefused(t *testing.T) {
	by := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "nb"})["wide"]["compaction"]
	o := options(by[0])
	whole, cut := present(t, by, o), 0
	each(t, by, func(s *lookup.SSTable, r *rows.Reader) {
		key, at := string(r.Partition().Key), r.Partition().Position
		r, err := s.Partition(at, 32<<10, table.ErrTooLarge)
		if err != nil || !r.Next() {
			t.Fatal(err)
		}
		n, err := table.CountPartition(r, s.Header(), o)
		if err != nil || n.Now > whole[key].Now || n.Cut && n.Now == 0 {
			t.Errorf("key %q: %+v of %+v, error %v", key, n, whole[key], err)
		}
		if n.Cut {
			cut++
		}
		few := o
		few.Items = 20
		if r, err = s.Partition(at, math.MaxInt64, table.ErrTooLarge); err != nil || !r.Next() {
			t.Fatal(err)
		}
		if err := table.NewPresence(few).Add(r, s.Header()); n.Cut && !errors.Is(err, table.ErrTooLarge) {
			t.Errorf("key %q: %v", key, err)
		}
	})
	if cut != 3 {
		t.Errorf("%d partitions were cut", cut)
	}
}
