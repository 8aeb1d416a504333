package chunk

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"cbk/cassandra/cassandratest"
)

// The forms of lz4-java in the order in which testdata/Blocks.java answers.
var forms = [...]string{"native", "safe", "unsafe"}

// shipped are the first and the last lz4-java that Cassandra came with, and the one
// of 4.0 to 5.0.6, with what their forms must be.
var shipped = []struct {
	coordinates, jar string
	dialects         [len(forms)]Dialect
}{
	{"net.jpountz.lz4:lz4:1.3.0", "lz4-1.3.0.jar", [...]Dialect{Early, Early, Early}},
	{"org.lz4:lz4-java:1.8.0", "lz4-java-1.8.0.jar", [...]Dialect{Late, Early, Early}},
	{"at.yawk.lz4:lz4-java:1.10.1", "lz4-java-1.10.1.jar", [...]Dialect{Late, Early, Early}},
}

// library is one lz4-java, running.
type library struct {
	jar      string
	dialects [len(forms)]Dialect
	in       *bufio.Writer
	out      *bufio.Reader
}

// libraries starts all that were shipped.
func libraries(t *testing.T) (all []*library) {
	var coordinates []string
	for _, s := range shipped {
		coordinates = append(coordinates, s.coordinates)
	}
	dir, err := cassandratest.Artifacts("lz4-java", coordinates...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shipped {
		l := &library{jar: s.jar, dialects: s.dialects}
		l.start(t, filepath.Join(dir, s.jar))
		all = append(all, l)
	}
	return all
}

func (l *library) start(t *testing.T, jar string) {
	text, err := os.ReadFile(filepath.Join("testdata", "Blocks.java"))
	if err != nil {
		t.Fatal(err)
	}
	// It ends with its input, after the test: the test's own context would kill it before.
	cmd, err := cassandratest.Java(context.WithoutCancel(t.Context()), "Blocks", string(text), jar)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.in, l.out = bufio.NewWriterSize(in, 64<<10), bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", l.jar, err)
		}
	})
}

// ask sends plain bytes.
func (l *library) ask(plain []byte) error {
	if err := binary.Write(l.in, binary.BigEndian, uint32(len(plain))); err != nil {
		return err
	}
	_, err := l.in.Write(plain)
	return err
}

// blockSum is all that is sent of a block.
type blockSum struct{ Length, CRC uint32 }

// batchSize is how many samples are under way. Their answers must fit into the buffer
// of a pipe, 64 KiB: they are only read after all questions are put.
const batchSize = 64

// compare has each sample compressed by each form of each library and by this package,
// and holds the blocks against each other.
func compare(t *testing.T, samples func(put func(sample))) {
	c := &comparison{t: t, all: libraries(t), early: NewEncoder(Early), late: NewEncoder(Late)}
	var batch []sample
	samples(func(s sample) {
		if batch = append(batch, s); len(batch) == batchSize {
			c.batch(batch)
			batch = batch[:0]
		}
	})
	c.batch(batch)
	t.Logf("%d chunks, %d bytes; the dialects differ in %d", c.chunks, c.bytes, c.differ)
	if c.differ == 0 {
		t.Error("no chunk tells the dialects apart")
	}
}

type comparison struct {
	t                     *testing.T
	all                   []*library
	early, late           *Encoder
	chunks, bytes, differ int
}

func (c *comparison) batch(batch []sample) {
	for _, l := range c.all {
		for _, s := range batch {
			if err := l.ask(s.plain); err != nil {
				c.t.Fatalf("%s: %v", l.jar, err)
			}
		}
		if err := l.in.Flush(); err != nil {
			c.t.Fatalf("%s: %v", l.jar, err)
		}
	}
	for _, s := range batch {
		c.one(s)
	}
}

// one reads the answers to one sample.
func (c *comparison) one(s sample) {
	want := map[Dialect]blockSum{Early: sumOf(c.early, s.plain), Late: sumOf(c.late, s.plain)}
	c.chunks, c.bytes = c.chunks+1, c.bytes+len(s.plain)
	if want[Early] != want[Late] {
		c.differ++
	}
	for _, l := range c.all {
		for i, form := range forms {
			var got blockSum
			if err := binary.Read(l.out, binary.BigEndian, &got); err != nil {
				c.t.Fatalf("%s: %v", l.jar, err)
			}
			if d := l.dialects[i]; got != want[d] {
				c.t.Fatalf("%s, %s: %d bytes of %s make %+v, and %+v as %v", l.jar, form, len(s.plain), s.kind, got, want[d], d)
			}
		}
	}
}

func sumOf(e *Encoder, plain []byte) blockSum {
	block := e.AppendBlock(nil, plain)
	return blockSum{uint32(len(block)), crc32.ChecksumIEEE(block)}
}

// TestBlocksAreThoseOfLZ4Java compares all small sizes, every kind of bytes around each
// border that an encoder has and in each usual chunk length, and some sizes between.
func TestBlocksAreThoseOfLZ4Java(t *testing.T) {
	r := seeded(t)
	corpus := newCorpus(r, 2<<20)
	compare(t, func(put func(sample)) {
		for n := range 4<<10 + 1 {
			put(corpus.any(n))
			put(corpus.any(n))
		}
		borders := []int{8 << 10, 16 << 10, 32 << 10, 128 << 10, 256 << 10, 512 << 10}
		for n := 64<<10 - 32; n <= 64<<10+32; n++ {
			borders = append(borders, n)
		}
		for _, n := range borders {
			for i := range kinds {
				put(corpus.sample(i, n))
			}
		}
		for range 300 {
			put(corpus.any(r.IntN(200 << 10)))
		}
	})
}

func ExampleDialect_String() {
	fmt.Println(Early, Late, Dialect(0))
	// Output: early late dialect 0
}
