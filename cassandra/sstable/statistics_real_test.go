package sstable_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// Every field that sstablemetadata of a release prints of an SSTable it wrote is
// what ParseStatistics reads. Left out are the estimates that hang on the time of
// day or on a sketch that is not decoded: droppable tombstones and cardinality.
func TestStatisticsAreWhatSSTableMetadataSays(t *testing.T) {
	for _, r := range cassandratest.Releases() {
		t.Run(r.Release+" "+r.Format, func(t *testing.T) {
			for _, f := range cassandratest.Fixtures(t, r.Release, r.Format) {
				text, err := os.ReadFile(f.Metadata)
				if err != nil {
					t.Fatal(err)
				}
				file, err := os.ReadFile(f.Component(sstable.Statistics))
				if err != nil {
					t.Fatal(err)
				}
				m, err := sstable.ParseStatistics(file, f.Format)
				if err != nil {
					t.Errorf("%s: %v", f, err)
					continue
				}
				first, last := keyRange(t, f, m)
				compareMetadata(t, f, tool{string(text)}, m, first, last)
			}
		})
	}
}

// tool is the output of sstablemetadata. The releases print the same fields, but
// numbers alone in 3.11, before a date in 4.x and behind a date in 5.0.
type tool struct{ text string }

// field returns what stands behind a title.
func (o tool) field(title string) (string, bool) {
	for line := range strings.Lines(o.text) {
		if value, ok := strings.CutPrefix(line, title+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

var (
	numberFirst = regexp.MustCompile(`^(-?[0-9][0-9.E-]*)(?: \(.*\))?$`)
	numberLast  = regexp.MustCompile(`^.* \((-?[0-9]+)\)$`)
	bar         = regexp.MustCompile(`(?m)^   (\d+) *(?:\(.*?\) *)?\| *(\d+) \(`)
	position    = regexp.MustCompile(`segmentId=(-?\d+), position=(\d+)\)`)
)

func (o tool) number(title string) (string, bool) {
	value, ok := o.field(title)
	if m := numberFirst.FindStringSubmatch(value); m != nil {
		return m[1], ok
	}
	if m := numberLast.FindStringSubmatch(value); m != nil {
		return m[1], ok
	}
	return value, ok
}

// bars returns the bars of a histogram of 4.0 and later.
func (o tool) bars(title string) (all []sstable.Bucket) {
	_, rest, _ := strings.Cut(o.text, "\n"+title)
	rest, _, _ = strings.Cut(rest, "Percentiles")
	for _, m := range bar.FindAllStringSubmatch(rest, -1) {
		offset, _ := strconv.ParseInt(m[1], 10, 64)
		count, _ := strconv.ParseInt(m[2], 10, 64)
		all = append(all, sstable.Bucket{Offset: offset, Count: count})
	}
	return all
}

// deletionTime is how a release prints the time of no deletion.
func deletionTime(v int64, release string) string {
	if v == sstable.NoDeletionTime && release < "5" {
		return strconv.Itoa(math.MaxInt32)
	}
	return strconv.FormatInt(v, 10)
}

func compareMetadata(t *testing.T, f cassandratest.Fixture, o tool, m *sstable.Metadata, first, last []byte) {
	t.Helper()
	s, h := m.Stats, m.Header
	// The tool shows times behind 2038 in the header as 32 bits with a sign.
	want := map[string]string{
		"Partitioner":                        m.Partitioner,
		"Minimum timestamp":                  fmt.Sprint(s.MinTimestamp),
		"Maximum timestamp":                  fmt.Sprint(s.MaxTimestamp),
		"SSTable min local deletion time":    deletionTime(s.MinLocalDeletionTime, f.Release),
		"SSTable max local deletion time":    deletionTime(s.MaxLocalDeletionTime, f.Release),
		"TTL min":                            fmt.Sprint(s.MinTTL),
		"TTL max":                            fmt.Sprint(s.MaxTTL),
		"SSTable Level":                      fmt.Sprint(s.Level),
		"Repaired at":                        fmt.Sprint(s.RepairedAt),
		"totalColumnsSet":                    fmt.Sprint(s.TotalColumnsSet),
		"totalRows":                          fmt.Sprint(s.TotalRows),
		"EncodingStats minTTL":               fmt.Sprint(h.MinTTL),
		"EncodingStats minLocalDeletionTime": fmt.Sprint(int32(h.MinLocalDeletionTime)),
		"EncodingStats minTimestamp":         fmt.Sprint(h.MinTimestamp),
		"KeyType":                            h.KeyType,
		"ClusteringTypes":                    "[" + strings.Join(h.ClusteringTypes, ", ") + "]",
		"Originating host id":                id(s.OriginatingHost, f.Release),
	}
	// An index has a partitioner of its own.
	if strings.HasSuffix(m.Partitioner, ".Murmur3Partitioner") {
		want["First token"], want["Last token"] = fmt.Sprint(sstable.Token(first)), fmt.Sprint(sstable.Token(last))
	}
	if f.Release >= "4" {
		want["Pending repair"] = id(s.PendingRepair, f.Release)
		want["IsTransient"] = fmt.Sprint(s.IsTransient)
	}
	for title, value := range want {
		got, ok := o.number(title)
		if title == "First token" || title == "Last token" {
			got, _, _ = strings.Cut(got, " ")
		}
		if !ok || got != value {
			t.Errorf("%s: %s is %q, sstablemetadata says %q", f, title, value, got)
		}
	}
	compareFloats(t, f, o, m)
	compareColumns(t, f, o, h)
	comparePositions(t, f, o, s)
	compareClusterings(t, f, o, m)
	if f.Release < "4" {
		compareOldHistograms(t, f, o, s)
	} else {
		compareHistograms(t, f, o, s)
	}
}

func id(v *[16]byte, release string) string {
	switch {
	case v != nil:
		return uuid.UUID(*v).String()
	case release < "4":
		return "null"
	}
	return "--"
}

func compareFloats(t *testing.T, f cassandratest.Fixture, o tool, m *sstable.Metadata) {
	t.Helper()
	want := map[string]float64{"Bloom Filter FP chance": m.BloomFilterChance}
	if f.Compressor != "none" {
		want["Compression ratio"] = m.Stats.CompressionRatio
	}
	if f.Release >= "5" {
		want["Local token space coverage"] = m.Stats.TokenSpaceCoverage
	}
	for title, value := range want {
		text, _ := o.field(title)
		got, err := strconv.ParseFloat(text, 64)
		if same := math.Abs(got-value) < 1e-6 || math.IsNaN(got) && math.IsNaN(value); err != nil || !same {
			t.Errorf("%s: %s is %g, sstablemetadata says %q", f, title, value, text)
		}
	}
	if class, _ := o.field("Compressor"); f.Compressor != "none" && !strings.HasSuffix(class, "."+f.Compressor) || f.Compressor == "none" && class != "-" {
		t.Errorf("%s: sstablemetadata says compressor %s", f, class)
	}
}

// compareColumns takes the columns in any order, as the tool prints a hash map.
func compareColumns(t *testing.T, f cassandratest.Fixture, o tool, h sstable.Header) {
	t.Helper()
	for title, columns := range map[string][]sstable.Column{"StaticColumns": h.Static, "RegularColumns": h.Regular} {
		got, ok := o.field(title)
		got = strings.TrimSuffix(strings.TrimPrefix(got, "{"), "}")
		size := max(0, 2*(len(columns)-1))
		for _, c := range columns {
			text := fmt.Sprintf("%s:%s", c.Name, c.Type)
			size += len(text)
			if !strings.Contains(", "+got+", ", ", "+text+", ") {
				t.Errorf("%s: no %s in %q", f, text, got)
			}
		}
		if !ok || len(got) != size {
			t.Errorf("%s: %s has %d bytes, sstablemetadata says %q", f, title, size, got)
		}
	}
}

func comparePositions(t *testing.T, f cassandratest.Fixture, o tool, s sstable.Stats) {
	t.Helper()
	var want, got []string
	for _, i := range s.CommitLogIntervals {
		want = append(want, fmt.Sprint(i[0]), fmt.Sprint(i[1]))
	}
	text, _ := o.field("Replay positions covered")
	for _, m := range position.FindAllStringSubmatch(text, -1) {
		got = append(got, fmt.Sprintf("{%s %s}", m[1], m[2]))
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("%s: commit log intervals (-sstablemetadata +ours):\n%s", f, diff)
	}
}

func compareHistograms(t *testing.T, f cassandratest.Fixture, o tool, s sstable.Stats) {
	t.Helper()
	var drops []sstable.Bucket
	for _, d := range s.TombstoneDropTimes {
		drops = append(drops, sstable.Bucket{Offset: d.Time, Count: d.Count})
	}
	filled := func(all []sstable.Bucket) (some []sstable.Bucket) {
		for _, b := range all {
			if b.Count > 0 {
				some = append(some, b)
			}
		}
		return some
	}
	for title, want := range map[string][]sstable.Bucket{
		"Partition Size": filled(s.PartitionSizes), "Column Count": filled(s.CellCounts), "Estimated tombstone drop times": drops,
	} {
		if diff := cmp.Diff(o.bars(title), want); diff != "" {
			t.Errorf("%s: %s (-sstablemetadata +ours):\n%s", f, title, diff)
		}
	}
}

// compareOldHistograms reads 3.11's, which has a line for every bucket of both
// histograms and one for every drop time.
func compareOldHistograms(t *testing.T, f cassandratest.Fixture, o tool, s sstable.Stats) {
	t.Helper()
	var want strings.Builder
	for _, d := range s.TombstoneDropTimes {
		fmt.Fprintf(&want, "%-10d:%10d\n", d.Time, d.Count)
	}
	fmt.Fprintf(&want, "%-10s%18s%18s\n", "Count", "Row Size", "Cell Count")
	for i, b := range s.PartitionSizes[:len(s.PartitionSizes)-1] {
		cells := ""
		if i < len(s.CellCounts) {
			cells = strconv.FormatInt(s.CellCounts[i].Count, 10)
		}
		fmt.Fprintf(&want, "%-10d%18d%18s\n", b.Offset, b.Count, cells)
	}
	_, got, _ := strings.Cut(o.text, "Estimated tombstone drop times:\n")
	got, _, _ = strings.Cut(got, "Estimated cardinality")
	if diff := cmp.Diff(got, want.String()); diff != "" {
		t.Errorf("%s: histograms (-sstablemetadata +ours):\n%s", f, diff)
	}
}

// compareClusterings reads "minClusteringValues: [a, b]" of 3.11 and 4.x and
// "Covered clusterings: [a:b, c:d]" of 5.0.
func compareClusterings(t *testing.T, f cassandratest.Fixture, o tool, m *sstable.Metadata) {
	t.Helper()
	s, types := m.Stats, m.Header.ClusteringTypes
	lower, known1 := values(s.MinClustering.Values, types)
	upper, known2 := values(s.MaxClustering.Values, types)
	if !known1 || !known2 {
		return
	}
	if f.Release >= "5" {
		want := "ALL"
		if len(lower)+len(upper) > 0 || f.Format != "nb" {
			open, closed := "[", "]"
			if s.MinClustering.Exclusive {
				open = "("
			}
			if s.MaxClustering.Exclusive {
				closed = ")"
			}
			want = open + strings.Join(lower, ":") + ", " + strings.Join(upper, ":") + closed
		}
		if got, ok := o.field("Covered clusterings"); !ok || got != want {
			t.Errorf("%s: covered clusterings %q, sstablemetadata says %q", f, want, got)
		}
		if f.Format != "nb" {
			if diff := cmp.Diff(types, s.ClusteringTypes); diff != "" {
				t.Errorf("%s: types of the clustering bounds:\n%s", f, diff)
			}
		}
		return
	}
	for titles, want := range map[[2]string][]string{
		{"minClustringValues", "minClusteringValues"}: lower, {"maxClustringValues", "maxClusteringValues"}: upper,
	} {
		got, ok := o.field(titles[0])
		if !ok {
			got, ok = o.field(titles[1])
		}
		// 3.11 prints bounds with a value for every column only.
		if !ok && f.Release < "4" && len(want) < len(types) {
			continue
		}
		if text := "[" + strings.Join(want, ", ") + "]"; !ok || got != text {
			t.Errorf("%s: %s is %q, sstablemetadata says %q", f, titles[1], text, got)
		}
	}
}

// values prints values as their types do, where it knows how.
func values(all [][]byte, types []string) (texts []string, known bool) {
	for i, v := range all {
		text, ok := value(v, types[i])
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

func value(v []byte, class string) (string, bool) {
	class = strings.TrimPrefix(class, "org.apache.cassandra.db.marshal.")
	if inner, ok := strings.CutPrefix(class, "ReversedType("); ok {
		return value(v, strings.TrimSuffix(inner, ")"))
	}
	switch {
	case v == nil:
		return "null", true
	case class == "BytesType":
		return hex.EncodeToString(v), true
	case class == "UTF8Type" || class == "AsciiType":
		return string(v), true
	case len(v) == 0:
		return "", false
	case class == "Int32Type":
		return fmt.Sprint(int32(binary.BigEndian.Uint32(v))), true
	case class == "LongType":
		return fmt.Sprint(int64(binary.BigEndian.Uint64(v))), true
	case class == "ShortType":
		return fmt.Sprint(int16(binary.BigEndian.Uint16(v))), true
	case class == "ByteType":
		return fmt.Sprint(int8(v[0])), true
	case class == "BooleanType":
		return fmt.Sprint(v[0] != 0), true
	case class == "UUIDType" || class == "TimeUUIDType":
		return uuid.UUID(v).String(), true
	}
	return "", false
}
