package lookup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// entry is a partition of an index that a test makes.
type entry struct {
	key      []byte
	position int64
}

// entries are keys in the order of partitions.
func entries(n int) []entry {
	var all []entry
	for i := range n {
		all = append(all, entry{key: fmt.Appendf(nil, "key %d", i)})
	}
	slices.SortFunc(all, func(a, b entry) int { return Compare(a.key, b.key) })
	for i := range all {
		all[i].position = int64(i)
	}
	return all
}

// makeIndex writes an Index.db, and a Summary.db with one sample of each so many entries.
func makeIndex(all []entry, every int) (index, summary []byte) {
	var offsets, samples []byte
	count := (len(all) + every - 1) / every
	for i, e := range all {
		if i%every == 0 {
			offsets = binary.LittleEndian.AppendUint32(offsets, uint32(4*count+len(samples)))
			samples = append(samples, e.key...)
			samples = binary.LittleEndian.AppendUint64(samples, uint64(len(index)))
		}
		index = binary.BigEndian.AppendUint16(index, uint16(len(e.key)))
		index = append(index, e.key...)
		index = append(index, 0xc0|byte(e.position>>16), byte(e.position>>8), byte(e.position), 0)
	}
	summary = binary.BigEndian.AppendUint32(nil, 128)
	summary = binary.BigEndian.AppendUint32(summary, uint32(count))
	summary = binary.BigEndian.AppendUint64(summary, uint64(len(offsets)+len(samples)))
	summary = append(summary, make([]byte, 8)...)
	return index, slices.Concat(summary, offsets, samples)
}

func newBig(t testing.TB, index, samples []byte) *big {
	t.Helper()
	x := &big{file: bytes.NewReader(index), size: int64(len(index)), version: "nb"}
	var err error
	if x.summary, err = newSummary(bytes.NewReader(samples), int64(len(samples))); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAnySpacingOfTheSummaryLeadsToEveryKey(t *testing.T) {
	all := entries(300)
	for _, every := range []int{1, 2, 7, 128, 299, 300, 1000} {
		x := newBig(t, first(makeIndex(all, every)), second(makeIndex(all, every)))
		for _, e := range all {
			if at, ok, err := x.find(e.key); err != nil || !ok || at != e.position {
				t.Fatalf("every %d: key %s found %v at %d, not %d, error %v", every, e.key, ok, at, e.position, err)
			}
			if _, ok, err := x.find(append(e.key, 'x')); err != nil || ok {
				t.Fatalf("every %d: key %sx found %v, error %v", every, e.key, ok, err)
			}
		}
		seen := make(map[string]bool)
		r := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			key, err := x.random(r)
			if err != nil {
				t.Fatal(err)
			}
			seen[string(key)] = true
		}
		if len(seen) < 290 {
			t.Errorf("every %d: %d keys were chosen", every, len(seen))
		}
	}
}

func first(a, _ []byte) []byte  { return a }
func second(_, b []byte) []byte { return b }

func TestAnIndexOfNothingHasNoKey(t *testing.T) {
	index, summary := makeIndex(nil, 128)
	x := newBig(t, index, summary)
	if key, err := x.random(rand.New(rand.NewPCG(1, 2))); key != nil || err != nil {
		t.Errorf("key %x, error %v", key, err)
	}
	if _, ok, err := x.find([]byte("k")); ok || err != nil {
		t.Errorf("found %v, error %v", ok, err)
	}
}

func TestALimitEndsWithItsError(t *testing.T) {
	enough := errors.New("enough")
	for size, want := range map[int]error{9: nil, 10: enough, 20: enough} {
		in := &limited{r: bytes.NewReader(make([]byte, size)), left: 10, err: enough}
		if b, err := io.ReadAll(in); !errors.Is(err, want) || len(b) != min(size, 10) {
			t.Errorf("%d bytes: read %d, error %v", size, len(b), err)
		}
	}
}

// The plain bytes from any position are those of the whole stream: within chunks, at their borders and over them.
func TestAnyPositionOfACompressedFileIsReadOnFrom(t *testing.T) {
	for _, f := range cassandratest.Fixtures(t, "5.0.6", "nb") {
		if f.Table != "wide" || f.How != "compaction" {
			continue
		}
		d, _, err := sstable.ParseName(f.Prefix + sstable.Data)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(f.Dir, d)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		whole, err := io.ReadAll(s.data.from(0))
		if err != nil || int64(len(whole)) != s.data.length {
			t.Fatal(len(whole), err)
		}
		each := int64(s.data.format.ChunkLength())
		for _, at := range []int64{1, each - 1, each, each + 1, 3*each - 5, s.data.length - 1, s.data.length} {
			b, err := io.ReadAll(io.LimitReader(s.data.from(at), 2*each))
			if want := whole[at:min(at+2*each, s.data.length)]; err != nil || !bytes.Equal(b, want) {
				t.Errorf("from %d: %d bytes, not %d, error %v", at, len(b), len(want), err)
			}
		}
		for _, at := range []int64{-1, s.data.length + 1} {
			if _, err := io.ReadAll(s.data.from(at)); err == nil {
				t.Errorf("from %d: no error", at)
			}
		}
	}
}

// FuzzSummary searches indexes and summaries that do not fit each other.
func FuzzSummary(f *testing.F) {
	for _, fixture := range cassandratest.Fixtures(f, "5.0.6", "nb") {
		if fixture.How == "compaction" && fixture.Table == "wide" {
			index, err := os.ReadFile(fixture.Component(sstable.Index))
			if err != nil {
				f.Fatal(err)
			}
			samples, err := os.ReadFile(fixture.Component(sstable.Summary))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(index, samples, []byte("wide-1"))
		}
	}
	index, samples := makeIndex(entries(20), 4)
	f.Add(index, samples, []byte("key 7"))
	f.Fuzz(func(t *testing.T, index, samples, key []byte) {
		x := &big{file: bytes.NewReader(index), size: int64(len(index)), version: "nb"}
		var err error
		if x.summary, err = newSummary(bytes.NewReader(samples), int64(len(samples))); err != nil {
			return
		}
		if at, ok, err := x.find(key); ok && (err != nil || at < 0) {
			t.Errorf("found at %d with error %v", at, err)
		}
		if chosen, err := x.random(rand.New(rand.NewPCG(1, 2))); err != nil && chosen != nil {
			t.Errorf("key %x with error %v", chosen, err)
		}
	})
}
