package sstable

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	uuid1 = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	uuid2 = [16]byte{16, 15}

	// everyFact has another value in every field, as far as an SSTable of oa can tell it.
	everyFact = Metadata{
		Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner", BloomFilterChance: 0.01, Cardinality: []byte("hll"),
		Stats: Stats{
			PartitionSizes: []Bucket{{1, 10}, {2, 20}, {math.MaxInt64, 30}}, CellCounts: []Bucket{{5, 50}, {math.MaxInt64, 60}},
			TombstoneDropTimes: []DropTime{{1700000000, 7}, {1700000060, 8}},
			MinTimestamp:       11, MaxTimestamp: 12, MinLocalDeletionTime: 13, MaxLocalDeletionTime: NoDeletionTime, MinTTL: 14, MaxTTL: 15,
			CompressionRatio: 0.5, Level: 16, RepairedAt: 17, PendingRepair: &uuid1, IsTransient: true,
			ClusteringTypes: []string{marshal + "Int32Type", marshal + "ReversedType(" + marshal + "UTF8Type)"},
			MinClustering:   Bound{Values: [][]byte{{0, 0, 0, 1}, []byte("a")}}, MaxClustering: Bound{Values: [][]byte{{0, 0, 0, 9}}},
			HasLegacyCounterShards: true, HasPartitionDeletions: false, TotalColumnsSet: 18, TotalRows: 19,
			CommitLogLower: CommitLogPosition{20, 21}, CommitLogUpper: CommitLogPosition{22, 23},
			CommitLogIntervals: [][2]CommitLogPosition{{{20, 21}, {20, 30}}, {{22, 1}, {22, 23}}}, OriginatingHost: &uuid2,
			FirstKey: []byte("first"), LastKey: []byte("last"), TokenSpaceCoverage: 0.25,
		},
		Header: Header{MinTimestamp: 24, MinLocalDeletionTime: 25, MinTTL: 26, KeyType: "K"},
	}
)

// of is what a version can tell of a Metadata.
func (m Metadata) of(layout string) Metadata {
	s := &m.Stats
	if layout < "oa" {
		s.ClusteringTypes, s.FirstKey, s.LastKey, s.TokenSpaceCoverage = nil, nil, nil, math.NaN()
		s.HasPartitionDeletions = true
	}
	if layout < "me" || layout == "na" {
		s.OriginatingHost = nil
	}
	if layout < "na" {
		s.PendingRepair, s.IsTransient = nil, false
	}
	if layout < "mc" {
		s.CommitLogIntervals = nil
	}
	if layout < "mb" {
		s.CommitLogLower = CommitLogPosition{}
	}
	return m
}

// encode lays out a Statistics.db after StatsMetadata.serialize of 3.11, 4.0 and 5.0.
func (m Metadata) encode(layout string) []byte {
	be := binary.BigEndian
	validation := be.AppendUint64(append(be.AppendUint16(nil, uint16(len(m.Partitioner))), m.Partitioner...), math.Float64bits(m.BloomFilterChance))
	compaction := append(be.AppendUint32(nil, uint32(len(m.Cardinality))), m.Cardinality...)
	parts := [][]byte{validation, compaction, m.Stats.encode(layout), AppendHeader(nil, m.Header)}
	b := be.AppendUint32(nil, 4)
	sum := func(of []byte) {
		if layout >= "na" {
			b = be.AppendUint32(b, crc32.ChecksumIEEE(of))
		}
	}
	sum(b)
	var contents []byte
	at, extra := 4+8*4, 0
	if layout >= "na" {
		at, extra = at+8, 4
	}
	for i, p := range parts {
		contents = be.AppendUint32(be.AppendUint32(contents, uint32(i)), uint32(at))
		at += len(p) + extra
	}
	b = append(b, contents...)
	sum(append(be.AppendUint32(nil, 4), contents...))
	for _, p := range parts {
		b = append(b, p...)
		sum(p)
	}
	return b
}

func (s Stats) encode(layout string) []byte {
	var e encoder
	e.buckets(s.PartitionSizes)
	e.buckets(s.CellCounts)
	e.put(s.CommitLogUpper, s.MinTimestamp, s.MaxTimestamp)
	for _, v := range []int64{s.MinLocalDeletionTime, s.MaxLocalDeletionTime} {
		switch {
		case v != NoDeletionTime:
			e.put(uint32(v))
		case layout >= "oa":
			e.put(uint32(math.MaxUint32))
		default:
			e.put(uint32(math.MaxInt32))
		}
	}
	e.put(s.MinTTL, s.MaxTTL, s.CompressionRatio, int32(100), int32(len(s.TombstoneDropTimes)))
	for _, d := range s.TombstoneDropTimes {
		if layout >= "oa" {
			e.put(d.Time, int32(d.Count))
		} else {
			e.put(float64(d.Time), d.Count)
		}
	}
	e.put(int32(s.Level), s.RepairedAt)
	if layout >= "oa" {
		e.b = appendVint(e.b, uint64(len(s.ClusteringTypes)))
		for _, t := range s.ClusteringTypes {
			e.b = appendText(e.b, t)
		}
		// Values of an Int32Type and a UTF8Type: the second has its length.
		e.b = append(e.b, "\x01\x00\x02\x00\x00\x00\x00\x01\x01a"+"\x06\x00\x01\x00\x00\x00\x00\x09"...)
	} else {
		for _, bound := range []Bound{s.MinClustering, s.MaxClustering} {
			e.put(int32(len(bound.Values)))
			for _, v := range bound.Values {
				e.put(uint16(len(v)), v)
			}
		}
	}
	e.put(s.HasLegacyCounterShards, s.TotalColumnsSet, s.TotalRows)
	return s.encodeOrigin(e, layout)
}

func (s Stats) encodeOrigin(e encoder, layout string) []byte {
	if layout >= "mb" {
		e.put(s.CommitLogLower)
	}
	if layout >= "mc" {
		e.put(int32(len(s.CommitLogIntervals)), s.CommitLogIntervals)
	}
	if layout >= "na" {
		e.put(true, s.PendingRepair, s.IsTransient)
	}
	if layout >= "me" && layout != "na" {
		e.put(true, s.OriginatingHost)
	}
	if layout >= "oa" {
		e.put(s.HasPartitionDeletions, byte(len(s.FirstKey)), s.FirstKey, byte(len(s.LastKey)), s.LastKey, s.TokenSpaceCoverage)
		e.b = append(e.b, make([]byte, 4*len(s.TombstoneDropTimes))...)
	}
	return e.b
}

type encoder struct{ b []byte }

func (e *encoder) put(values ...any) {
	for _, v := range values {
		var err error
		if e.b, err = binary.Append(e.b, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
}

func (e *encoder) buckets(all []Bucket) {
	e.put(int32(len(all)), all[0].Offset, all[0].Count)
	for i, b := range all[1:] {
		e.put(all[i].Offset, b.Count)
	}
}

func TestParseStatisticsOfEveryVersion(t *testing.T) {
	for _, version := range []string{"ma", "mb", "mc", "md", "me", "na", "nb", "oa", "da", "pa", "ea"} {
		t.Run(version, func(t *testing.T) {
			layout := layouts[version]
			want := everyFact.of(layout)
			file := want.encode(layout)
			got, err := ParseStatistics(file, version)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for n := range len(file) {
				if _, err := ParseStatistics(file[:n], version); err == nil {
					t.Errorf("no error where it is cut after %d bytes of %d", n, len(file))
				}
			}
		})
	}
}

func TestParseStatisticsVerifiesEveryByte(t *testing.T) {
	file := everyFact.of("nb").encode("nb")
	for i := range file {
		file[i] ^= 0x10
		if _, err := ParseStatistics(file, "nb"); err == nil {
			t.Errorf("no error where byte %d is another", i)
		}
		file[i] ^= 0x10
	}
}

func TestParseStatisticsOf2xIsUnsupported(t *testing.T) {
	for _, version := range []string{"ka", "la", "lb", "jb", "qa", ""} {
		if _, err := ParseStatistics(everyFact.encode("nb"), version); !errors.Is(err, ErrUnsupportedVersion) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestParseStatisticsRefusesWhatDoesNotHoldTogether(t *testing.T) {
	good := string(everyFact.of("me").encode("me"))
	for what, file := range map[string]string{
		"no parts":                      "\x00\x00\x00\x00",
		"five parts":                    "\x00\x00\x00\x05" + good[4:],
		"two parts of one kind":         good[:12] + "\x00\x00\x00\x00" + good[16:],
		"a part that begins elsewhere":  good[:8] + "\x00\x00\x00\x25" + good[12:],
		"a part that ends before it":    good[:16] + "\x00\x00\x00\x01" + good[20:],
		"a part that ends behind all":   good[:16] + "\x7f\xff\xff\xff" + good[20:],
		"bytes behind the last part":    good + "x",
		"more bytes than are ever read": good + strings.Repeat("\x00", MaxStatistics),
	} {
		if m, err := ParseStatistics([]byte(file), "me"); err == nil {
			t.Errorf("%s gives %+v", what, m)
		}
	}
	if _, err := ParseStatistics([]byte(good+"x"), "me"); !errors.Is(err, ErrTrailing) {
		t.Errorf("bytes behind the last part: %v", err)
	}
	if _, err := ParseStatistics([]byte(good[:40]), "me"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an end within a part: %v", err)
	}
}

func TestClusteringBounds(t *testing.T) {
	text, number := marshal+"UTF8Type", marshal+"BooleanType"
	many := make([]string, 34)
	for i := range many {
		many[i] = number
	}
	wide := Bound{Values: make([][]byte, 34), Exclusive: true}
	for i := range wide.Values {
		wide.Values[i] = []byte{byte(i)}
	}
	wide.Values[31], wide.Values[33] = nil, []byte{}
	wideText := "\x00\x00\x22" + "\xff\x80\x00\x00\x00\x00\x00\x00\x00" // null at 31
	for i := range 31 {
		wideText += string([]byte{byte(i)})
	}
	wideText += "\x04" + "\x20" // empty at 33
	for what, tt := range map[string]struct {
		file  string
		types []string
		want  Bound
	}{
		"none":               {"\x01\x00\x00", nil, Bound{}},
		"an exclusive start": {"\x07\x00\x01\x00\x02ab", []string{text}, Bound{Values: [][]byte{[]byte("ab")}, Exclusive: true}},
		"an inclusive end":   {"\x06\x00\x01\x00\x01", []string{number, text}, Bound{Values: [][]byte{{1}}}},
		"null and empty":     {"\x01\x00\x02\x06", []string{text, text}, Bound{Values: [][]byte{nil, {}}}},
		"34 values":          {wideText, many, wide},
	} {
		c := cursor{b: []byte(tt.file)}
		got := parseBound(&c, tt.types)
		if diff := cmp.Diff(tt.want, got); diff != "" || c.err != nil || len(c.b) != 0 {
			t.Errorf("%s: %v, %d bytes left (-want +got):\n%s", what, c.err, len(c.b), diff)
		}
	}
	for _, file := range []string{"", "\x01\x00", "\x02\x00\x00", "\x04\x00\x00", "\x09\x00\x00", "\x01\x00\x02\x00\x00\x00", "\x01\x00\x01\x00"} {
		c := cursor{b: []byte(file)}
		if got := parseBound(&c, []string{number}); c.err == nil {
			t.Errorf("%q gives %+v", file, got)
		}
	}
}

func TestValueLengthOfTypes(t *testing.T) {
	vector := func(inner, n string) string { return marshal + "VectorType(" + inner + " , " + n + ")" }
	for class, want := range map[string]int{
		marshal + "Int32Type": 4, marshal + "LongType": 8, marshal + "TimeUUIDType": 16, marshal + "BooleanType": 1, marshal + "EmptyType": 0,
		marshal + "ReversedType(" + marshal + "DoubleType)": 8, vector(marshal+"FloatType", "3"): 12,
		vector(vector(marshal+"FloatType", "3"), "2"): 24, marshal + "ReversedType(" + vector(marshal+"UUIDType", "2") + ")": 32,
		marshal + "ShortType": -1, marshal + "ByteType": -1, marshal + "UTF8Type": -1, marshal + "SimpleDateType": -1, marshal + "TimeType": -1,
		marshal + "ListType(" + marshal + "Int32Type)": -1, marshal + "TupleType(" + marshal + "Int32Type)": -1,
		vector(marshal+"UTF8Type", "3"): -1, vector(marshal+"FloatType", "0"): -1, vector(marshal+"FloatType", "x"): -1,
		vector(marshal+"UUIDType", "134217728"): -1, vector(marshal+"UUIDType", "99999999999999999999"): -1,
		marshal + "VectorType(3)": -1, marshal + "VectorType(": -1, "": -1, "org.example.Int32Type": -1,
		strings.Repeat("ReversedType(", 1e6) + "Int32Type" + strings.Repeat(")", 1e6): -1,
	} {
		n, fixed := valueLength(class)
		if fixed != (want >= 0) || fixed && n != want {
			t.Errorf("%.80s has %d, %v", class, n, fixed)
		}
	}
}

func FuzzParseStatistics(f *testing.F) {
	for _, version := range []string{"ma", "me", "nb", "oa"} {
		f.Add(version, everyFact.of(version).encode(version))
	}
	f.Fuzz(func(t *testing.T, version string, b []byte) {
		m, err := ParseStatistics(b, version)
		if err != nil {
			return
		}
		for _, values := range [][][]byte{m.Stats.MinClustering.Values, m.Stats.MaxClustering.Values} {
			if len(values) > len(b) {
				t.Errorf("%d clustering values of %d bytes", len(values), len(b))
			}
		}
		for _, n := range []int{len(m.Stats.PartitionSizes), len(m.Stats.CellCounts), len(m.Stats.TombstoneDropTimes), len(m.Header.Regular)} {
			if n > len(b) {
				t.Errorf("%d values of %d bytes", n, len(b))
			}
		}
	})
}
