//go:build soak

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

const dedupeKeyspace = "dedupe"

// dedupeTables are documents of about a KiB, one a partition, and readings of some 60 bytes, 504 a partition.
func dedupeTables() []string { return []string{"docs", "iot"} }

func dedupeReplication(dc1 int) string {
	return fmt.Sprintf("{'class': 'NetworkTopologyStrategy', 'dc1': %d, 'dc2': 1}", dc1)
}

// Rows come in slices; a node flushes after some of them. The sizes give about 50 MB a table.
const (
	loadSlices   = 12
	docsASlice   = 3500
	sensors      = 1400
	readsASlice  = 42  // a sensor
	rewriteEvery = 20  // documents, one of an earlier slice is written again
	microsApart  = 997 // between two writes
)

// flushAfter is after which slices nodes 1, 2 and 3 flush: replicas never flush at one moment, but at the end.
func flushAfter() [3][]int { return [3][]int{{4, loadSlices}, {8, loadSlices}, {6, loadSlices}} }

// loader writes rows whose values and timestamps hang on the seed alone.
type loader struct {
	session *gocql.Session
	random  *rand.Rand
	at      int64 // timestamp of the last write, microseconds
	group   errgroup.Group
}

// next is the timestamp of the next write.
func (l *loader) next() int64 { l.at += microsApart; return l.at }

// load makes the tables and writes them, each row to all its replicas.
func (d *dedupe) load() {
	d.t.Helper()
	d.node(3).cql(func(s *gocql.Session) error {
		l := &loader{session: s, random: rand.New(rand.NewPCG(1, 2)), at: 1_700_000_000_000_000}
		if err := l.create(); err != nil {
			return err
		}
		for slice := 1; slice <= loadSlices; slice++ {
			if err := l.write(slice); err != nil {
				return fmt.Errorf("write slice %d: %w", slice, err)
			}
			d.flush(slice)
		}
		return nil
	})
}

func (d *dedupe) flush(slice int) {
	for i, after := range flushAfter() {
		for _, at := range after {
			if at == slice {
				d.node(i+1).nodetool("flush", dedupeKeyspace)
			}
		}
	}
}

// create makes the tables, which Cassandra does not compact unless it is told to.
func (l *loader) create() error {
	with := " WITH compaction = {'class': 'SizeTieredCompactionStrategy', 'min_threshold': 32}"
	return errors.Join(
		l.session.Query("CREATE KEYSPACE "+dedupeKeyspace+" WITH replication = "+dedupeReplication(1)).Exec(),
		l.session.Query("CREATE TABLE dedupe.docs (id int PRIMARY KEY, email text, body text, tags set<text>)"+with).Exec(),
		l.session.Query("CREATE TABLE dedupe.iot (sensor int, ts timestamp, temp double, hum double, state text, PRIMARY KEY (sensor, ts))"+with).Exec())
}

func (l *loader) write(slice int) error {
	l.group = errgroup.Group{}
	l.group.SetLimit(32)
	for i := range docsASlice {
		id := (slice-1)*docsASlice + i
		l.document(id)
		if i%rewriteEvery == 0 {
			l.document(l.random.IntN(id + 1))
		}
	}
	for sensor := range sensors {
		l.readings(sensor, slice)
	}
	return l.group.Wait()
}

// document writes a customer with a JSON text of 5 to 44 items.
func (l *loader) document(id int) {
	var body strings.Builder
	for range 5 + l.random.IntN(40) {
		fmt.Fprintf(&body, `{"sku":%d,"desc":"%s %s","qty":%d}`, l.random.IntN(100_000), l.word(), l.word(), l.random.IntN(9))
	}
	email, tags, at := fmt.Sprintf("%s%d@example.com", l.word(), l.random.IntN(1_000_000)), []string{l.word(), l.word()}, l.next()
	l.group.Go(func() error {
		return l.session.Query("INSERT INTO dedupe.docs (id, email, body, tags) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
			id, email, body.String(), tags, at).Exec()
	})
}

func (l *loader) word() string {
	words := strings.Fields("river stone cloud market window garden copper silver bridge castle harbor meadow signal engine ledger parcel ticket voucher refund invoice")
	return words[l.random.IntN(len(words))]
}

// readings writes those of a sensor in a slice, a second apart, each with a timestamp of its own.
func (l *loader) readings(sensor, slice int) {
	b := l.session.NewBatch(gocql.UnloggedBatch)
	at := time.UnixMilli(1_700_000_000_000).Add(time.Duration(slice*readsASlice) * time.Second)
	for i := range readsASlice {
		b.Query("INSERT INTO dedupe.iot (sensor, ts, temp, hum, state) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?", sensor,
			at.Add(time.Duration(i)*time.Second), float64(l.random.IntN(4000))/100, float64(l.random.IntN(10_000))/100, "OK", l.next())
	}
	l.group.Go(func() error { return l.session.ExecuteBatch(b) })
}
