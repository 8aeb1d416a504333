package sstable

import (
	"math"
	"strconv"
	"strings"
)

// NoDeletionTime stands for no deletion and no expiry where a local deletion time
// is told; no real one reaches it.
const NoDeletionTime = math.MaxInt64

// Stats is the STATS part of Statistics.db: what is in the SSTable and where it
// came from. Every fact is as Cassandra recorded it; a compaction records bounds
// that may be wider than the data.
type Stats struct {
	PartitionSizes     []Bucket // bytes of partitions, and how many
	CellCounts         []Bucket // cells of partitions, and how many
	TombstoneDropTimes []DropTime

	MinTimestamp, MaxTimestamp                 int64 // microseconds since 1970
	MinLocalDeletionTime, MaxLocalDeletionTime int64 // seconds since 1970, or NoDeletionTime
	MinTTL, MaxTTL                             int32 // seconds
	CompressionRatio                           float64

	Level         int
	RepairedAt    int64     // milliseconds since 1970; 0 is unrepaired
	PendingRepair *[16]byte // id of the repair the SSTable is set aside for
	IsTransient   bool

	// Bounds of the clustering values, of which there may be fewer than clustering
	// columns. Before md they are not to be relied on. A value may be nil or empty.
	MinClustering, MaxClustering Bound
	ClusteringTypes              []string // of the bounds; since oa

	HasLegacyCounterShards bool
	HasPartitionDeletions  bool // since oa; before, whether there is any deletion
	TotalColumnsSet        int64
	TotalRows              int64

	CommitLogLower, CommitLogUpper CommitLogPosition // lower since mb
	CommitLogIntervals             [][2]CommitLogPosition
	OriginatingHost                *[16]byte // id of the node whose commit log it is

	FirstKey, LastKey  []byte  // since oa, else nil
	TokenSpaceCoverage float64 // since oa, else NaN
}

// Bucket counts values that are above the one before and not above its own. In the
// last one are all that are higher still.
type Bucket struct{ Offset, Count int64 }

// DropTime counts the tombstones that may go from a time on, in seconds since 1970.
type DropTime struct{ Time, Count int64 }

// CommitLogPosition is a place in a node's commit log.
type CommitLogPosition struct {
	Segment  int64
	Position int32
}

// Bound is the lower or the upper end of a range of clustering values.
type Bound struct {
	Values    [][]byte
	Exclusive bool
}

// parseStats reads, for layouts from ma on,
//
//	buckets of sizes · buckets of cells · upper position · int64 min, max timestamp
//	· int32 min, max local deletion time · int32 min, max TTL · double ratio
//	· drop times · int32 level · int64 repaired at · clustering bounds
//	· bool legacy shards · int64 columns set, rows · [mb: lower position]
//	· [mc: intervals] · [na: optional uuid pending repair · bool transient]
//	· [me, but not na: optional uuid host] · [oa: bool partition deletions
//	· bytes first, last key · double coverage]
func parseStats(c *cursor, layout string) Stats {
	s := Stats{PartitionSizes: parseBuckets(c), CellCounts: parseBuckets(c)}
	s.CommitLogUpper = parsePosition(c)
	s.MinTimestamp, s.MaxTimestamp = c.int64(), c.int64()
	s.MinLocalDeletionTime = deletionTime(c.uint32(), layout)
	s.MaxLocalDeletionTime = deletionTime(c.uint32(), layout)
	s.MinTTL, s.MaxTTL = c.int32(), c.int32()
	s.CompressionRatio = c.float64()
	s.TombstoneDropTimes = parseDropTimes(c, layout)
	s.Level = int(c.int32())
	s.RepairedAt = c.int64()
	if layout >= "oa" {
		s.ClusteringTypes = parseTypes(c)
		s.MinClustering = parseBound(c, s.ClusteringTypes)
		s.MaxClustering = parseBound(c, s.ClusteringTypes)
	} else {
		s.MinClustering.Values = parseOldBound(c)
		s.MaxClustering.Values = parseOldBound(c)
	}
	s.HasLegacyCounterShards = c.bool()
	s.TotalColumnsSet, s.TotalRows = c.int64(), c.int64()
	s.parseOrigin(c, layout)
	return s
}

// parseOrigin reads what came in one release after the other.
func (s *Stats) parseOrigin(c *cursor, layout string) {
	if layout >= "mb" {
		s.CommitLogLower = parsePosition(c)
	}
	if layout >= "mc" {
		for range c.length(24) {
			s.CommitLogIntervals = append(s.CommitLogIntervals, [2]CommitLogPosition{parsePosition(c), parsePosition(c)})
		}
	}
	if layout >= "na" {
		s.PendingRepair = parseOptionalUUID(c)
		s.IsTransient = c.bool()
	}
	if layout >= "me" && layout != "na" {
		s.OriginatingHost = parseOptionalUUID(c)
	}
	s.HasPartitionDeletions = s.MinLocalDeletionTime != NoDeletionTime
	s.TokenSpaceCoverage = math.NaN()
	if layout >= "oa" {
		s.HasPartitionDeletions = c.bool()
		s.FirstKey, s.LastKey = c.bytes(), c.bytes()
		s.TokenSpaceCoverage = c.float64()
	}
}

// deletionTime reads seconds that are signed before oa and unsigned since; the
// highest number is none.
func deletionTime(v uint32, layout string) int64 {
	switch {
	case layout >= "oa" && v == math.MaxUint32, layout < "oa" && v == math.MaxInt32:
		return NoDeletionTime
	case layout >= "oa":
		return int64(v)
	}
	return int64(int32(v))
}

// parseBuckets reads n pairs of an offset and a count. Offsets are one fewer than
// counts, and the first of them is stored twice: the pair i has offset i-1.
func parseBuckets(c *cursor) []Bucket {
	n := c.length(16)
	if n == 0 {
		return nil
	}
	all := make([]Bucket, n)
	for i := range all {
		offset := c.int64()
		if i > 0 {
			all[i-1].Offset = offset
		}
		all[i].Count = c.int64()
	}
	all[n-1].Offset = math.MaxInt64
	return all
}

// parseDropTimes reads int32 bins · int32 n · n pairs, which are a double and an
// int64, and since oa an int64 and an int32.
func parseDropTimes(c *cursor, layout string) []DropTime {
	c.int32()
	size := uint64(16)
	if layout >= "oa" {
		size = 12
	}
	var all []DropTime
	for range c.length(size) {
		if layout >= "oa" {
			all = append(all, DropTime{c.int64(), int64(c.int32())})
		} else {
			all = append(all, DropTime{int64(c.float64()), c.int64()})
		}
	}
	return all
}

// parseOldBound reads int32 n · n × (uint16 length · bytes).
func parseOldBound(c *cursor) [][]byte {
	var values [][]byte
	for range c.length(2) {
		values = append(values, c.shortBytes())
	}
	return values
}

// Kinds of a bound as ClusteringPrefix.Kind numbers them.
const (
	exclusiveEnd   = 0
	inclusiveStart = 1
	inclusiveEnd   = 6
	exclusiveStart = 7
)

// parseBound reads byte kind · uint16 n · n values. Before each 32 values stands a
// vint with two bits for each: 1 is an empty value, 2 is null, and neither is stored.
func parseBound(c *cursor, types []string) Bound {
	kind := c.byte()
	if c.err == nil && kind != exclusiveEnd && kind != inclusiveStart && kind != inclusiveEnd && kind != exclusiveStart {
		c.fail("clustering bound of kind %d", kind)
	}
	n := int(c.uint16())
	if c.err == nil && n > len(types) {
		c.fail("%d values of %d clustering columns", n, len(types))
	}
	b := Bound{Exclusive: kind == exclusiveEnd || kind == exclusiveStart}
	var bits uint64
	for i := 0; i < n && c.err == nil; i++ {
		if i%32 == 0 {
			bits = c.vint()
		}
		var v []byte
		switch bits & 3 {
		case 0:
			v = parseValue(c, types[i])
		case 1:
			v = []byte{}
		}
		b.Values = append(b.Values, v)
		bits >>= 2
	}
	return b
}

// parseValue reads one value of a type, with its length before it where the type
// does not fix it.
func parseValue(c *cursor, class string) []byte {
	if n, fixed := valueLength(class); fixed {
		return c.take(uint64(n))
	}
	return c.bytes()
}

// marshal is the package of Cassandra's types.
const marshal = "org.apache.cassandra.db.marshal."

// Lengths of the types whose values are stored without one (valueLengthIfFixed).
// Others of a fixed size, as ShortType, have none for historical reasons.
var fixedLengths = map[string]int{
	"EmptyType": 0, "BooleanType": 1, "Int32Type": 4, "FloatType": 4,
	"LongType": 8, "DoubleType": 8, "TimestampType": 8, "DateType": 8,
	"UUIDType": 16, "TimeUUIDType": 16, "LexicalUUIDType": 16,
}

// maxFixedText is more text than a type of a fixed length has, vectors of vectors
// of them included: what nests deeper is not followed.
const maxFixedText = 4096

// valueLength tells how long values of a type are, where that is fixed.
func valueLength(class string) (n int, fixed bool) {
	class = strings.TrimPrefix(class, marshal)
	name, args, ok := strings.Cut(class, "(")
	args, closed := strings.CutSuffix(args, ")")
	switch {
	case len(class) > maxFixedText:
		return 0, false
	case !ok:
		n, fixed = fixedLengths[name]
		return n, fixed
	case !closed:
		return 0, false
	case name == "ReversedType":
		return valueLength(args)
	case name == "VectorType":
		at := strings.LastIndexByte(args, ',')
		size, err := strconv.Atoi(strings.TrimSpace(args[at+1:]))
		element, fixed := valueLength(strings.TrimSpace(args[:max(at, 0)]))
		// No value has 2 GiB.
		if err != nil || !fixed || size < 1 || element > 0 && size > math.MaxInt32/element {
			return 0, false
		}
		return size * element, true
	}
	return 0, false
}

func parsePosition(c *cursor) CommitLogPosition {
	return CommitLogPosition{Segment: c.int64(), Position: c.int32()}
}

func parseOptionalUUID(c *cursor) *[16]byte {
	if !c.bool() {
		return nil
	}
	if v := c.take(16); v != nil {
		return (*[16]byte)(v)
	}
	return nil
}
