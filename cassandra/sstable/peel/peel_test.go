package peel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
	"cbk/cassandra/sstable/peel/peeltest"
)

// run is one run as it was handed out.
type run struct {
	Kind  Kind
	Bytes []byte
}

// peelAll takes the compression off. The rebuilt file must be the one that was read.
func peelAll(f peeltest.File) (runs []run, l Layout, s Stats, err error) {
	var data, info bytes.Buffer
	r, err := NewReader(bytes.NewReader(f.Data), int64(len(f.Data)), bufio.NewReader(bytes.NewReader(f.Info)), f.Version, Proof{&data, &info})
	if err != nil {
		return nil, l, s, err
	}
	for {
		kind, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, l, s, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, l, s, err
		}
		runs = append(runs, run{kind, b})
	}
	if !bytes.Equal(data.Bytes(), f.Data) {
		return nil, l, s, errors.New("the proof of Data.db is another")
	}
	if !bytes.Equal(info.Bytes(), f.Info) {
		return nil, l, s, errors.New("the proof of CompressionInfo.db is another")
	}
	return runs, r.Layout(), r.Stats(), nil
}

// putBack writes runs in portions of some bytes.
func putBack(l Layout, runs []run, portion int) (f peeltest.File, err error) {
	var data, info bytes.Buffer
	w, err := NewWriter(l, &data, &info)
	if err != nil {
		return f, err
	}
	for _, r := range runs {
		for part := range slices.Chunk(r.Bytes, portion) {
			if err := w.Write(r.Kind, part); err != nil {
				return f, err
			}
		}
	}
	err = w.Close()
	return peeltest.File{Version: l.Version, Data: data.Bytes(), Info: info.Bytes()}, err
}

// kinds are the kinds of runs with their sizes.
func kinds(runs []run) string {
	var s []string
	for _, r := range runs {
		s = append(s, fmt.Sprintf("%d:%d", r.Kind, len(r.Bytes)))
	}
	return strings.Join(s, " ")
}

// mustReturn peels a file and puts it back.
func mustReturn(t *testing.T, f peeltest.File) ([]run, Stats) {
	t.Helper()
	runs, l, stats, err := peelAll(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := putBack(l, runs, 100_003)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Data, f.Data) || !bytes.Equal(got.Info, f.Info) {
		t.Fatalf("%d and %d bytes came back for %d and %d", len(got.Data), len(got.Info), len(f.Data), len(f.Info))
	}
	return runs, stats
}

func TestAFileComesBackAsItWas(t *testing.T) {
	const n = 3<<20 + 12345
	plain := peeltest.Words(n, 1)
	for _, c := range []struct {
		name    string
		version string
		length  int
		dialect chunk.Dialect
		kind    Kind
	}{
		{"of 5.0, 16 KiB chunks", "oa", 16 << 10, chunk.Late, Late},
		{"of 5.0 with another index", "da", 16 << 10, chunk.Late, Late},
		{"of 4.0, 4 KiB chunks", "nb", 4 << 10, chunk.Late, Late},
		{"of 4.0 without the native library", "nb", 16 << 10, chunk.Early, Early},
		{"of 3.11, 64 KiB chunks", "me", 64 << 10, chunk.Early, Early},
		{"of 2.2, other checksums", "lb", 64 << 10, chunk.Early, Early},
		{"of 2.1", "ka", 64 << 10, chunk.Early, Early},
		{"long chunks", "nb", 256 << 10, chunk.Late, Late},
		{"the longest chunks", "nb", MaxChunk, chunk.Late, Late},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := peeltest.LZ4(n, c.length)
			f := peeltest.Compress(t, c.version, plain, h, peeltest.By(t, c.dialect, h))
			runs, stats := mustReturn(t, f)
			// A file begins with what its release writes first, until a chunk tells.
			last := runs[len(runs)-1]
			if len(runs) > 2 || last.Kind != c.kind || stats != (Stats{Chunks: h.ChunkCount}) {
				t.Errorf("runs %s, %+v", kinds(runs), stats)
			}
			var all []byte
			for _, r := range runs {
				all = append(all, r.Bytes...)
			}
			if !bytes.Equal(all, plain) {
				t.Errorf("the runs are not the plain bytes")
			}
		})
	}
}

func TestShapesOfFilesComeBack(t *testing.T) {
	short := peeltest.Words(40_000, 2)
	noise := make([]byte, 40_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for _, c := range []struct {
		name  string
		plain []byte
		set   func(*sstable.CompressionHeader)
		want  string // kinds and sizes of runs
	}{
		{"an empty chunk at the end", short, func(h *sstable.CompressionHeader) { h.ChunkCount++ }, "2:40000"},
		{"full chunks only, and an empty one", short[:32768], func(h *sstable.CompressionHeader) { h.ChunkCount++ }, "2:32768"},
		{"one byte", short[:1], nil, "2:1"},
		{"nothing but an empty chunk", nil, func(h *sstable.CompressionHeader) { h.ChunkCount = 1 }, "2:0"},
		{"chunks that do not shrink", noise, nil, "2:40000"},
		{"raw chunks", noise, func(h *sstable.CompressionHeader) { h.MaxCompressedLength = 16384 }, "2:40000"},
		{"raw chunks, the last one padded", noise, func(h *sstable.CompressionHeader) { h.MaxCompressedLength = 12000 }, "2:40000"},
		{"no compression in chunks", short, func(h *sstable.CompressionHeader) { h.Class = "NoopCompressor" }, "2:40000"},
		{"an option of no matter", short, func(h *sstable.CompressionHeader) {
			h.Options = [][2]string{{"lz4_compressor_type", "fast"}, {"min_compress_ratio", "0.0"}}
		}, "2:40000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := peeltest.LZ4(len(c.plain), 16<<10)
			if c.set != nil {
				c.set(&h)
			}
			runs, stats := mustReturn(t, peeltest.Compress(t, "nb", c.plain, h, peeltest.By(t, chunk.Late, h)))
			if got := kinds(runs); got != c.want || stats.Stored != 0 {
				t.Errorf("runs %s, %+v, want %s", got, stats, c.want)
			}
		})
	}
}

// telling are the chunks that the dialects encode differently.
func telling(t testing.TB, plain []byte, length int) (all []int) {
	h := peeltest.LZ4(len(plain), length)
	early, late := peeltest.By(t, chunk.Early, h), peeltest.By(t, chunk.Late, h)
	for i := range h.ChunkCount {
		part := plain[i*length : min((i+1)*length, len(plain))]
		if !bytes.Equal(early(i, part), late(i, part)) {
			all = append(all, i)
		}
	}
	return all
}

func TestOtherEncodersWithinAFileMakeRuns(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(500*length, 3)
	tell := telling(t, plain, length)
	for len(tell) > 0 && tell[0] == 0 { // a first chunk that tells leaves no run before it
		plain = plain[length:]
		tell = telling(t, plain, length)
	}
	if len(tell) < 6 {
		t.Fatalf("only chunks %v tell the dialects apart", tell)
	}
	change := tell[3]
	h := peeltest.LZ4(len(plain), length)
	early, late := peeltest.By(t, chunk.Early, h), peeltest.By(t, chunk.Late, h)
	other := func(i int, p []byte) []byte { return append(late(i, p)[:4], literalBlock(p)...) }
	for _, c := range []struct {
		name   string
		stored func(i int, plain []byte) []byte
		want   string
		chunks int
	}{
		{"the early one first", func(i int, p []byte) []byte {
			if i < change {
				return early(i, p)
			}
			return late(i, p)
		}, fmt.Sprintf("2:%d 1:%d 2:%d", tell[0]*length, (change-tell[0])*length, len(plain)-change*length), 0},
		{"none for one chunk, past the trial", func(i int, p []byte) []byte {
			if i == 100 {
				return other(i, p)
			}
			return late(i, p)
		}, fmt.Sprintf("2:%d 0:%d 2:%d", 100*length, 4+4+len(literalBlock(plain[100*length:101*length]))+4, len(plain)-101*length), 1},
		{"none for three chunks of the trial", func(i int, p []byte) []byte {
			if i < 3 {
				return other(i, p)
			}
			return late(i, p)
		}, fmt.Sprintf("0:%d 2:%d", 3*(4+4+len(literalBlock(plain[:length]))+4), len(plain)-3*length), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs, stats := mustReturn(t, peeltest.Compress(t, "nb", plain, h, c.stored))
			if got := kinds(runs); got != c.want || stats.Stored != c.chunks || stats.Damaged != 0 {
				t.Errorf("runs %s, %+v; want %s", got, stats, c.want)
			}
		})
	}
}

// literalBlock is a valid LZ4 block that no encoder writes for text: literals only.
func literalBlock(p []byte) []byte {
	b := []byte{15 << 4}
	n := len(p) - 15
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(append(b, byte(n)), p...)
}

func TestDamageInAFileComesBackAsItWas(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(200*length, 4)
	h := peeltest.LZ4(len(plain), length)
	f := peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h))
	at := binary.BigEndian.Uint64(f.Info[len(f.Info)-8*50:]) // of chunk 150
	for name, i := range map[string]uint64{"in what is compressed": at + 9, "in a length": at, "in a checksum": at - 1} {
		t.Run(name, func(t *testing.T) {
			bad := peeltest.File{Version: f.Version, Data: bytes.Clone(f.Data), Info: f.Info}
			bad.Data[i] ^= 0x10
			_, stats := mustReturn(t, bad)
			if stats.Stored != 1 || stats.Damaged != 1 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

func TestDamageIsNoOtherEncoder(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(10*length, 14)
	h := peeltest.LZ4(len(plain), length)
	f := peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h))
	for i := range 10 {
		f.Data[binary.BigEndian.Uint64(f.Info[len(f.Info)-8*(i+1):])] ^= 1
		if _, stats := mustReturn(t, f); stats != (Stats{Chunks: 10, Stored: i + 1, Damaged: i + 1}) {
			t.Errorf("%d chunks damaged: %+v", i+1, stats)
		}
	}
}

func TestWhatIsUnfitIsToldWithItsReason(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(100*length, 5)
	h := peeltest.LZ4(len(plain), length)
	good := peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h))
	with := func(set func(h *sstable.CompressionHeader)) peeltest.File {
		h := h
		set(&h)
		return peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, peeltest.LZ4(len(plain), length)))
	}
	long := peeltest.LZ4(len(plain), 2*MaxChunk)
	other := func(i int, p []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(p))), literalBlock(p)...)
	}
	mixed := func(i int, p []byte) []byte {
		if i%16 == 0 {
			return other(i, p)
		}
		return peeltest.By(t, chunk.Late, h)(i, p)
	}
	few := peeltest.LZ4(10*length, length)
	for _, c := range []struct {
		name   string
		f      peeltest.File
		reason string
	}{
		{"another compressor", with(func(h *sstable.CompressionHeader) { h.Class = "ZstdCompressor" }), "compressor ZstdCompressor"},
		{"an unknown compressor", with(func(h *sstable.CompressionHeader) { h.Class = "com.example.Own" }), "compressor com.example.Own"},
		{"high compression", with(func(h *sstable.CompressionHeader) { h.Options = [][2]string{{"lz4_compressor_type", "high"}} }), "LZ4 high compression"},
		{"an unknown version", peeltest.File{Version: "zz", Data: good.Data, Info: good.Info}, "compression info"},
		{"half a header", peeltest.File{Version: "nb", Data: good.Data, Info: good.Info[:20]}, "compression info"},
		{"half of the offsets", peeltest.File{Version: "nb", Data: good.Data, Info: good.Info[:len(good.Info)-400]}, "compression info"},
		{"offsets beyond the file", peeltest.File{Version: "nb", Data: good.Data[:len(good.Data)/2], Info: good.Info}, "compression info"},
		{"bytes behind the last chunk", peeltest.File{Version: "nb", Data: append(bytes.Clone(good.Data), make([]byte, 10_000)...), Info: good.Info}, "compression info"},
		{"no chunks", peeltest.File{Version: "nb", Data: nil, Info: with(func(h *sstable.CompressionHeader) { h.ChunkCount, h.DataLength = 0, 0 }).Info}, "no chunks"},
		{"chunks that are too long", peeltest.Compress(t, "nb", plain, long, peeltest.By(t, chunk.Late, long)), "long chunks"},
		{"another encoder", peeltest.Compress(t, "nb", plain, h, other), "chunks of another encoder"},
		{"another encoder for one chunk in sixteen", peeltest.Compress(t, "nb", plain, h, mixed), "chunks of another encoder"},
		{"another encoder for one chunk in ten of a short file", peeltest.Compress(t, "nb", plain[:10*length], few, mixed), "chunks of another encoder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, _, err := peelAll(c.f)
			var unfit *UnfitError
			if !errors.As(err, &unfit) || unfit.Reason != c.reason {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAFailingSourceIsNoUnfitFile(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(600*length, 6)
	h := peeltest.LZ4(len(plain), length)
	f := peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h))
	broken := errors.New("broken disk")
	src := io.MultiReader(bytes.NewReader(f.Data[:len(f.Data)-5000]), failing{broken})
	r, err := NewReader(src, int64(len(f.Data)), bufio.NewReader(bytes.NewReader(f.Info)), "nb", Proof{io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.Next(); err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestFailingDestinationsAreTold(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(600*length, 7)
	h := peeltest.LZ4(len(plain), length)
	runs, l, _, err := peelAll(peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h)))
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space")
	for name, to := range map[string][2]io.Writer{"of Data.db": {failing{full}, io.Discard}, "of CompressionInfo.db": {io.Discard, failing{full}}} {
		w, err := NewWriter(l, to[0], to[1])
		for _, r := range runs {
			if err == nil {
				err = w.Write(r.Kind, r.Bytes)
			}
		}
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, full) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRunsThatDoNotFitAreRefused(t *testing.T) {
	const length = 4 << 10
	plain := peeltest.Words(5*length+100, 8)
	h := peeltest.LZ4(len(plain), length)
	_, l, _, err := peelAll(peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Late, h)))
	if err != nil {
		t.Fatal(err)
	}
	odd := Layout{"nb", append(bytes.Clone(l.Header), 0)}
	for _, c := range []struct {
		name string
		l    Layout
		runs []run
	}{
		{"bytes too few", l, []run{{Late, plain[:len(plain)-1]}}},
		{"a chunk too few", l, []run{{Late, plain[:5*length]}}},
		{"nothing", l, nil},
		{"a byte too many", l, []run{{Late, append(bytes.Clone(plain), 0)}}},
		{"a run that ends within a chunk", l, []run{{Late, plain[:100]}, {Early, plain[100:]}}},
		{"half a length", l, []run{{Stored, []byte{0, 0}}}},
		{"a length beyond a chunk", l, []run{{Stored, []byte{0, 1, 0, 0}}}},
		{"stored bytes that end early", l, []run{{Stored, []byte{0, 0, 0, 9, 1, 2}}}},
		{"a kind to come", l, []run{{3, plain}}},
		{"a layout with more behind it", odd, nil},
		{"no layout", Layout{"nb", nil}, nil},
		{"a layout of a version to come", Layout{"zz", l.Header}, nil},
		{"no version", Layout{"", l.Header}, nil},
	} {
		if _, err := putBack(c.l, c.runs, 1000); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestRunsDependOnTheBytesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := 1 << rapid.IntRange(8, 14).Draw(t, "chunk length")
		n := rapid.IntRange(1, 40*length).Draw(t, "plain bytes")
		plain := peeltest.Words(n, rapid.Uint64().Draw(t, "seed"))
		h := peeltest.LZ4(n, length)
		h.ChunkCount += rapid.IntRange(0, 1).Draw(t, "empty chunk")
		if rapid.Bool().Draw(t, "raw") {
			h.MaxCompressedLength = rapid.IntRange(length/4, length).Draw(t, "max compressed length")
		}
		f, err := chunk.NewFormat(h)
		if err != nil {
			t.Fatal(err)
		}
		early, late := chunk.NewEncoder(chunk.Early), chunk.NewEncoder(chunk.Late)
		change := rapid.IntRange(0, h.ChunkCount).Draw(t, "change of encoder")
		in := peeltest.Compress(&tb{t: t}, "nb", plain, h, func(i int, p []byte) []byte {
			if i < change {
				return early.AppendChunk(nil, p, f)
			}
			return late.AppendChunk(nil, p, f)
		})
		runs, l, _, err := peelAll(in)
		if err != nil {
			t.Fatal(err)
		}
		again, _, _, err := peelAll(in)
		if diff := cmp.Diff(runs, again); err != nil || diff != "" {
			t.Fatalf("%v, the second time (-first +second):\n%.500s", err, diff)
		}
		got, err := putBack(l, runs, rapid.IntRange(1, 3*length).Draw(t, "portion"))
		if err != nil || !bytes.Equal(got.Data, in.Data) || !bytes.Equal(got.Info, in.Info) {
			t.Fatalf("%v; %d and %d bytes came back for %d and %d", err, len(got.Data), len(got.Info), len(in.Data), len(in.Info))
		}
	})
}

// tb lets helpers for tests be used in a property.
type tb struct {
	testing.TB
	t *rapid.T
}

func (t *tb) Helper()           {}
func (t *tb) Fatal(args ...any) { t.t.Fatal(args...) }

func TestHostileFilesCostLittle(t *testing.T) {
	const most = 64 << 20
	for name, set := range map[string]func(h *sstable.CompressionHeader){
		"the longest chunks": func(h *sstable.CompressionHeader) { h.ChunkLength = MaxChunk },
		"chunks without end": func(h *sstable.CompressionHeader) {
			h.ChunkLength, h.DataLength, h.ChunkCount = 1, math.MaxInt32, math.MaxInt32
		},
		"long chunks without end": func(h *sstable.CompressionHeader) {
			h.ChunkLength, h.DataLength, h.ChunkCount = MaxChunk, math.MaxInt32*int64(MaxChunk), math.MaxInt32
		},
		"the longest chunks there are": func(h *sstable.CompressionHeader) { h.ChunkLength = math.MaxInt32 / 2 },
	} {
		h := peeltest.LZ4(100, 100)
		set(&h)
		info, err := sstable.AppendCompressionHeader(nil, h, "nb")
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(100) {
			info = binary.BigEndian.AppendUint64(info, 10*i)
		}
		// What a block says of its length need not be true.
		data := bytes.Repeat([]byte{0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0, 0, 0, 0}, 100)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runs, l, _, err := peelAll(peeltest.File{Version: "nb", Data: data, Info: info})
		if err == nil {
			_, err = putBack(l, runs, 10)
		}
		l = Layout{Version: "nb", Header: info[:len(info)-800]}
		if _, failed := putBack(l, []run{{Stored, data}}, 10); failed == nil {
			t.Errorf("%s: put back", name)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d MiB for %d bytes, %v", name, n>>20, len(data)+len(info), err)
		}
	}
}

func FuzzReader(f *testing.F) {
	const length = 256
	plain := peeltest.Words(20*length, 9)
	h := peeltest.LZ4(len(plain), length)
	good := peeltest.Compress(f, "nb", plain, h, peeltest.By(f, chunk.Late, h))
	f.Add(good.Data, good.Info)
	h.Class = "NoopCompressor"
	noop := peeltest.Compress(f, "nb", plain, h, peeltest.By(f, chunk.Late, h))
	f.Add(noop.Data, noop.Info)
	f.Fuzz(func(t *testing.T, data, info []byte) {
		in := peeltest.File{Version: "nb", Data: data, Info: info}
		runs, l, _, err := peelAll(in)
		if err != nil {
			if strings.Contains(err.Error(), "the proof of Data.db") {
				t.Error(err)
			}
			return
		}
		got, err := putBack(l, runs, 1000)
		if err != nil || !bytes.Equal(got.Data, data) || !bytes.Equal(got.Info, info) {
			t.Errorf("%v, or other bytes", err)
		}
	})
}

func FuzzWriter(f *testing.F) {
	const length = 256
	plain := peeltest.Words(5*length, 10)
	h := peeltest.LZ4(len(plain), length)
	_, l, _, err := peelAll(peeltest.Compress(f, "nb", plain, h, peeltest.By(f, chunk.Late, h)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.Header, plain, byte(Late))
	f.Add(l.Header, []byte{0, 0, 0, 1, 9, 0, 0, 0, 0}, byte(Stored))
	f.Fuzz(func(t *testing.T, header, b []byte, kind byte) {
		w, err := NewWriter(Layout{"nb", header}, io.Discard, io.Discard)
		if err != nil {
			return
		}
		if w.Write(Kind(kind), b) == nil {
			w.Close() // either may fail; neither may panic
		}
	})
}

func BenchmarkReader(b *testing.B) {
	plain := peeltest.Words(16<<20, 12)
	h := peeltest.LZ4(len(plain), 16<<10)
	f := peeltest.Compress(b, "nb", plain, h, peeltest.By(b, chunk.Late, h))
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(f.Data), int64(len(f.Data)), bufio.NewReader(bytes.NewReader(f.Info)), "nb", Proof{io.Discard, io.Discard})
		if err == nil {
			_, err = r.Next()
		}
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	plain := peeltest.Words(16<<20, 13)
	h := peeltest.LZ4(len(plain), 16<<10)
	_, l, _, err := peelAll(peeltest.Compress(b, "nb", plain, h, peeltest.By(b, chunk.Late, h)))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		w, err := NewWriter(l, io.Discard, io.Discard)
		if err == nil {
			err = w.Write(Late, plain)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
