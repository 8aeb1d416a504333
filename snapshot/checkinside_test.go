package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// fixture puts a real SSTable into a table of its own, each component as change leaves it; nil leaves it out.
func (n *fakeNode) fixture(number int, f cassandratest.Fixture, change func(component string, b []byte) []byte) {
	n.t.Helper()
	dir := n.table(0, fmt.Sprintf("t%d", number), number)
	files, err := filepath.Glob(f.Dir + "/" + f.Prefix + "*")
	if err != nil || len(files) < 6 {
		n.t.Fatalf("%v: %d components, %v", f, len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			n.t.Fatal(err)
		}
		name := strings.TrimPrefix(filepath.Base(file), f.Prefix)
		if b = change(name, b); b != nil {
			n.put(dir+"/"+f.Prefix+name, string(b))
		}
	}
}

func asItIs(_ string, b []byte) []byte { return b }

func TestRealSSTablesOfEveryReleaseAreSoundInside(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			r, n := newRig(t), newNode(t, hostA, 1)
			all := cassandratest.Fixtures(t, rel.Release, rel.Format)
			indexes := 0
			for i, f := range all {
				n.fixture(i+1, f, asItIs)
				if strings.Contains(f.Table, ".") {
					indexes++
				}
			}
			r.take(n, "one")
			rep := r.verify(r.seen, CheckOptions{ReadData: true})
			in := rep.Inside
			if !rep.OK() || in.SSTables != len(all) || in.Partitions < int64(len(all)) || in.SourceTotal > 0 {
				t.Errorf("%d SSTables: %+v", len(all), in)
			}
			want := []Unchecked{} // by the number of SSTables
			if rel.Format == "da" {
				want = append(want, Unchecked{"the tries of Partitions.db and Rows.db but for their ends", len(all)})
			}
			if indexes > 0 {
				want = append(want, Unchecked{"the order of keys: LocalPartitioner", indexes})
			}
			if diff := cmp.Diff(want, in.Unchecked); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// pick returns the fixture of a table of 5.0.6, flushed.
func pick(t *testing.T, format string, fits func(cassandratest.Fixture) bool) cassandratest.Fixture {
	t.Helper()
	all := cassandratest.Fixtures(t, "5.0.6", format)
	i := slices.IndexFunc(all, func(f cassandratest.Fixture) bool { return !strings.Contains(f.Table, ".") && fits(f) })
	if i < 0 {
		t.Fatal("no such fixture")
	}
	return all[i]
}

func compressor(name string) func(cassandratest.Fixture) bool {
	return func(f cassandratest.Fixture) bool { return f.Compressor == name }
}

// redigested flips a byte of Data.db and has the digest say that it is so.
func redigested(t *testing.T, f cassandratest.Fixture, at int) func(string, []byte) []byte {
	data, err := os.ReadFile(f.Component(sstable.Data))
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 1
	return func(name string, b []byte) []byte {
		switch name {
		case sstable.Data:
			return data
		case sstable.Digest:
			return fmt.Append(nil, crc32.ChecksumIEEE(data))
		}
		return b
	}
}

// only changes one component.
func only(component string, change func([]byte) []byte) func(string, []byte) []byte {
	return func(name string, b []byte) []byte {
		if name == component {
			return change(b)
		}
		return b
	}
}

// firstPosition says another position of the first partition in an Index.db.
func firstPosition(b []byte) []byte {
	b[2+int(binary.BigEndian.Uint16(b))] ^= 1
	return b
}

func TestWhatWasBrokenAtTheSourceIsToldAsSuch(t *testing.T) {
	none, lz4, zstd, da := pick(t, "nb", compressor("none")), pick(t, "nb", compressor("LZ4Compressor")), pick(t, "nb", compressor("ZstdCompressor")), pick(t, "da", compressor("none"))
	for _, c := range []struct {
		name   string
		f      cassandratest.Fixture
		change func(string, []byte) []byte
		marked bool
		what   string
	}{
		{"Data.db that is not that of its digest", none, only(sstable.Data, flip), true, "does not match Digest.crc32"},
		{"a chunk of LZ4", lz4, redigested(t, lz4, 10), true, "do not match their checksums"},
		{"a chunk of Zstd", zstd, redigested(t, zstd, 10), false, "do not match their checksums"},
		{"CRC.db of another file", none, only(sstable.CRC, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), false, "does not match CRC.db"},
		{"a position in the index", none, only(sstable.Index, firstPosition), false, "Index.db"},
		{"an index cut short", none, only(sstable.Index, func(b []byte) []byte { return b[:len(b)-1] }), false, "Index.db"},
		{"a partition index of other keys", da, only(sstable.Partitions, func(b []byte) []byte { b[len(b)-9] ^= 1; return b }), false, "Partitions.db"},
		{"a table of contents that names more", none, func(name string, b []byte) []byte {
			if name == sstable.Filter {
				return nil
			}
			return b
		}, true, "incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			n.fixture(1, c.f, c.change)
			for _, name := range []string{"one", "two"} {
				r.take(n, name)
			}
			rep := r.verify(r.seen, CheckOptions{ReadData: true})
			in := rep.Inside
			if rep.DamageTotal > 0 || rep.OK() != c.marked || in.SourceTotal != 2 || len(in.Source) != 2 || in.SSTables != 1 {
				t.Fatalf("damage %+v, inside %+v", rep.Damage, in)
			}
			for _, s := range in.Source {
				if s.Marked != c.marked || !strings.Contains(strings.Join(s.What, "; "), c.what) || s.Table != "t1" {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func TestWhatIsNotKnownInsideIsCounted(t *testing.T) {
	t.Parallel()
	f := pick(t, "nb", compressor("ZstdCompressor"))
	r, n := newRig(t), newNode(t, hostA, 1)
	n.fixture(1, f, only(sstable.CompressionInfo, func(b []byte) []byte {
		return []byte(strings.Replace(string(b), "ZstdCompressor", "BestCompressor", 1))
	}))
	n.fixture(2, f, only(sstable.Digest, func([]byte) []byte { return nil }))
	n.sstable(n.table(0, "t3", 3), "xy-1-big-", 1, 5000)
	r.take(n, "one")
	var got []string
	for _, u := range r.verify(r.seen, CheckOptions{ReadData: true}).Inside.Unchecked {
		got = append(got, fmt.Sprint(u.SSTables, " ", u.What))
	}
	slices.Sort(got)
	want := []string{"1 chunks of Data.db and the order of partitions: compressor BestCompressor", "1 the order of partitions: version \"xy\"",
		"1 the whole of Data.db: there is no digest"}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q is not in %q", w, got)
		}
	}
}

func TestPartitionsComeInTheOrderOfTheirTokens(t *testing.T) {
	t.Parallel()
	keys := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}
	for _, partitioner := range []string{"org.apache.cassandra.dht.Murmur3Partitioner", "org.apache.cassandra.dht.RandomPartitioner"} {
		l := &look{stats: &sstable.Metadata{Partitioner: partitioner}}
		sorted := slices.Clone(keys)
		slices.SortFunc(sorted, func(a, b []byte) int {
			if before(partitioner, a, b) {
				return -1
			}
			return 1
		})
		read := func(keys [][]byte, position int64) (err error) {
			o := &order{}
			o.start(l, func(io.Reader) error { return nil })
			defer o.stop()
			for i, k := range keys {
				if err == nil {
					err = o.next(l, k, int64(i)*position)
				}
			}
			return err
		}
		if err := read(sorted, 10); err != nil {
			t.Errorf("%s: %v", partitioner, err)
		}
		turned := slices.Clone(sorted)
		slices.Reverse(turned)
		for what, err := range map[string]error{"turned": read(turned, 10), "twice": read([][]byte{keys[0], keys[0]}, 10), "in one place": read(sorted, 0)} {
			if err == nil {
				t.Errorf("%s: keys %s pass", partitioner, what)
			}
		}
	}
}

func TestTheEndOfAFileIsHeldWhateverTheWrites(t *testing.T) {
	t.Parallel()
	text := noise(1, 3*tailSize)
	for _, step := range []int{1000, tailSize - 1, tailSize, tailSize + 1, len(text)} {
		f := &tail{}
		for rest := text; rest != ""; {
			n := min(step, len(rest))
			f.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got := make([]byte, 100<<10)
		if n, err := f.ReadAt(got, f.size-int64(len(got))); n != len(got) || string(got) != text[len(text)-len(got):] {
			t.Errorf("in steps of %d: %d bytes, %v", step, n, err)
		}
		if _, err := f.ReadAt(got, 0); err == nil {
			t.Errorf("in steps of %d: the beginning is there", step)
		}
	}
}
