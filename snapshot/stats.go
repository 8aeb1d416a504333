package snapshot

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cbk/cassandra/sstable"
	"cbk/pack/wire"
)

// Stats is what Cassandra recorded of an SSTable's content, so that a plan can say which tokens and times are inside
// without reading it. Bounds may be wider than the data.
type Stats struct {
	MinTimestamp, MaxTimestamp int64  // of writes, microseconds since 1970
	MinDeletion, MaxDeletion   int64  // of cells that expire or are deleted, seconds since 1970 or sstable.NoDeletionTime
	Level                      int    // of leveled compaction
	RepairedAt                 int64  // milliseconds since 1970; 0 is unrepaired
	Rows, Partitions           int64  // Cassandra's counts, the second an estimate
	FirstToken, LastToken      string // decimal; empty where not known, as of an index
}

// maxStatistics bounds the Statistics.db that is held to be parsed. One of a table of a thousand columns has 100 KiB.
const maxStatistics = 4 << 20

// learnStats reads Statistics.db. A version it does not know says nothing of the SSTable and is no fault.
func (w *writing) learnStats(b []byte) error {
	m, err := sstable.ParseStatistics(b, w.in.Desc.Version)
	if errors.Is(err, sstable.ErrUnsupportedVersion) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", sstable.Statistics, err)
	}
	s := &m.Stats
	w.stats = &Stats{MinTimestamp: s.MinTimestamp, MaxTimestamp: s.MaxTimestamp, MinDeletion: s.MinLocalDeletionTime,
		MaxDeletion: s.MaxLocalDeletionTime, Level: s.Level, RepairedAt: s.RepairedAt, Rows: max(s.TotalRows, 0)}
	for _, b := range s.PartitionSizes {
		w.stats.Partitions += max(b.Count, 0)
	}
	w.partitioner, w.first, w.last = m.Partitioner, s.FirstKey, s.LastKey
	return nil
}

// tokens completes the stats. Before oa only Summary.db has the keys, which is as it was where Data.db is.
func (w *writing) tokens() {
	s := w.stats
	if s == nil {
		return
	}
	if w.first == nil && w.old.first != "" && w.known != nil {
		s.FirstToken, s.LastToken = w.old.first, w.old.last
		return
	}
	if i := w.index(sstable.Summary); w.first == nil && i >= 0 {
		w.first, w.last = summaryKeys(w.in.Files[i].Path)
	}
	if w.first != nil {
		s.FirstToken, s.LastToken = token(w.partitioner, w.first), token(w.partitioner, w.last)
	}
}

// summaryKeys reads the ends of a Summary.db. Cassandra makes one anew where it does not like it, so what cannot be read
// is no fault.
func summaryKeys(path string) (first, last []byte) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil
	}
	if first, last, err = sstable.ReadSummaryKeys(f, info.Size()); err != nil {
		return nil, nil
	}
	return first, last
}

// token is that of a key, empty for a partitioner whose tokens are no numbers.
func token(partitioner string, key []byte) string {
	switch partitioner[strings.LastIndexByte(partitioner, '.')+1:] {
	case "Murmur3Partitioner":
		return strconv.FormatInt(sstable.Token(key), 10)
	case "RandomPartitioner":
		return sstable.RandomToken(key).String()
	}
	return ""
}

// maxToken is the length of the longest decimal token, one of RandomPartitioner with 127 bits.
const maxToken = 40

func (s *Stats) encode(e *wire.Encoder) {
	for _, v := range []int64{s.MinTimestamp, s.MaxTimestamp, s.MinDeletion, s.MaxDeletion, int64(s.Level), s.RepairedAt, s.Rows, s.Partitions} {
		e.Varint(v)
	}
	e.String(s.FirstToken)
	e.String(s.LastToken)
}

func decodeStats(d *wire.Decoder) *Stats {
	s := &Stats{MinTimestamp: d.Varint(), MaxTimestamp: d.Varint(), MinDeletion: d.Varint(), MaxDeletion: d.Varint()}
	level := d.Varint()
	if level < -1<<31 || level >= 1<<31 {
		d.Invalid("level %d", level)
	}
	s.Level, s.RepairedAt, s.Rows, s.Partitions = int(level), d.Varint(), d.Varint(), d.Varint()
	s.FirstToken, s.LastToken = d.String(maxToken), d.String(maxToken)
	return s
}
