package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
)

// maxBeside bounds what is held of a component that is needed beside Data.db: of a CompressionInfo.db the chunks of 32 GiB
// at 16 KiB each.
const maxBeside = 16 << 20

// look is an SSTable that is looked into while its components are rebuilt, those first that say how to read the others.
type look struct {
	t       *SSTable
	version string
	closed  bool // not looked into
	left    int  // components to come
	lost    bool // one was not rebuilt

	faults    []string
	unchecked map[string]bool

	kept   map[string]*beside // small components, by name
	sums   []hash.Hash32      // what the digest may be of
	digest *uint32
	stats  *sstable.Metadata
	plain  *plain
	data   order // the partitions of Data.db
	index  *order
	tail   *tail // of Partitions.db
}

// beside is a component that is held, unless it is too large.
type beside struct {
	bytes.Buffer
	over bool
}

// Write implements io.Writer.
func (k *beside) Write(p []byte) (int, error) {
	if k.over = k.over || k.Len()+len(p) > maxBeside; !k.over {
		k.Buffer.Write(p)
	}
	return len(p), nil
}

// oldestKnown is the oldest version of BIG SSTables that can be looked into, that of 3.0. Those of BTI are all younger.
const oldestKnown = "ma"

func newLook(t *SSTable) *look {
	l := &look{t: t, left: len(t.Components), unchecked: make(map[string]bool), kept: make(map[string]*beside)}
	desc, _, err := sstable.ParseName(t.Prefix + sstable.Data)
	if err != nil {
		l.closed = true
		l.skip("names that are no SSTable's")
		return l
	}
	l.version = desc.Version
	if desc.Format != "bti" && l.version < oldestKnown {
		l.closed = true
		l.skip("version %q", l.version)
		return l
	}
	for i := range t.Components {
		c := &t.Components[i]
		if c.inlined() {
			k := &beside{}
			k.Write(c.Inline)
			l.kept[c.Name] = k
		}
	}
	return l
}

func (l *look) skip(format string, args ...any) { l.unchecked[fmt.Sprintf(format, args...)] = true }

// maxFaults bounds what is told of one SSTable.
const maxFaults = 20

func (l *look) fault(format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// begin returns what a component is written to.
func (l *look) begin(c *Component) io.Writer {
	if l.closed {
		return io.Discard
	}
	switch c.Name {
	case sstable.Statistics, sstable.CompressionInfo, sstable.CRC:
		k := &beside{}
		l.kept[c.Name] = k
		return k
	case sstable.Data:
		return l.beginData(c)
	case sstable.Index:
		l.index = &order{}
		return l.index.start(l, func(r io.Reader) error { return l.index.readIndex(l, r) })
	case sstable.Partitions:
		l.tail = &tail{}
		return l.tail
	}
	return io.Discard
}

// beginData starts the checksums and the reading of a Data.db.
func (l *look) beginData(c *Component) io.Writer {
	l.learnDigest()
	var all []io.Writer
	for _, s := range l.sums {
		all = append(all, s)
	}
	l.learnStatistics()
	l.plain = newPlain(l, c.Size)
	if l.stats != nil {
		out := l.data.start(l, func(r io.Reader) error { return l.data.readData(l, r) })
		l.plain.out = out
	}
	return io.MultiWriter(append(all, io.Discard)...)
}

func (l *look) learnDigest() {
	for _, name := range []string{sstable.Digest, sstable.DigestAdler, sstable.DigestSHA1} {
		k := l.kept[name]
		if k == nil {
			continue
		}
		sum, err := sstable.ParseDigest(k.Bytes())
		if err != nil {
			l.fault("%s cannot be read: %v", name, err)
			return
		}
		l.digest = &sum
		l.sums = []hash.Hash32{crc32.NewIEEE(), adler32.New()}
		if name == sstable.Digest {
			l.sums = l.sums[:1]
		}
		return
	}
	l.skip("the whole of Data.db: there is no digest")
}

func (l *look) learnStatistics() {
	k := l.kept[sstable.Statistics]
	if k == nil || k.over {
		l.skip("the order of partitions: there is no %s that can be held", sstable.Statistics)
		return
	}
	m, err := sstable.ParseStatistics(k.Bytes(), l.version)
	switch {
	case errors.Is(err, sstable.ErrUnsupportedVersion):
		l.skip("the order of partitions: version %q", l.version)
	case err != nil:
		l.fault("%s cannot be read: %v", sstable.Statistics, err)
	default:
		l.stats = m
		if name := partitionerOf(m.Partitioner); name != "Murmur3Partitioner" && name != "RandomPartitioner" {
			l.skip("the order of keys: %s", name)
		}
	}
}

// blob takes part of what Data.db is made of.
func (l *look) blob(c *Component, k peel.Kind, b []byte, how *recipe) {
	if c.Name == sstable.Data && l.plain != nil {
		l.plain.take(k, b, how)
	}
}

// end ends a component, and what was to be known of it.
func (l *look) end(c *Component, err error) {
	l.left--
	if err != nil {
		l.lost = true
		return
	}
	switch {
	case c.Name == sstable.Data && l.plain != nil:
		l.plain.close()
		l.data.finish(l)
		l.judgeDigest()
	case c.Name == sstable.Index && l.index != nil:
		l.index.finish(l)
	}
	if l.left == 0 && !l.lost {
		l.agree()
	}
}

func (l *look) judgeDigest() {
	if l.digest == nil {
		return
	}
	for _, s := range l.sums {
		if s.Sum32() == *l.digest {
			return
		}
	}
	l.fault("%s does not match its digest", sstable.Data)
}

// agree compares what Data.db holds with what the index says of it.
func (l *look) agree() {
	if !l.data.whole {
		return // told why
	}
	switch {
	case l.index != nil && l.index.whole:
		if l.index.count != l.data.count || l.index.sum() != l.data.sum() {
			l.fault("%s names %d partitions, not the %d of %s at their places", sstable.Index, l.index.count, l.data.count, sstable.Data)
		}
	case l.tail != nil:
		l.agreeBTI()
	}
}

// agreeBTI compares the ends of the trie; its nodes are compared with nothing but the file's hash.
func (l *look) agreeBTI() {
	f, err := sstable.ReadPartitionsFooter(l.tail, l.tail.size)
	switch {
	case err != nil:
		l.fault("%s cannot be read: %v", sstable.Partitions, err)
	case f.KeyCount != l.data.count || !bytes.Equal(f.FirstKey, l.data.first) || !bytes.Equal(f.LastKey, l.data.last):
		l.fault("%s names %d partitions, not the %d of %s, or other keys at its ends", sstable.Partitions, f.KeyCount, l.data.count, sstable.Data)
	}
	l.skip("the tries of %s and %s but for their ends", sstable.Partitions, sstable.Rows)
}

// abandon ends readers that still wait.
func (l *look) abandon() {
	l.data.stop()
	if l.index != nil {
		l.index.stop()
	}
}

// tailSize is what ReadPartitionsFooter may ask for.
const tailSize = 136 << 10

// tail holds the end of a file.
type tail struct {
	size int64
	end  []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.size += int64(len(p))
	if len(p) >= tailSize {
		t.end = append(t.end[:0], p[len(p)-tailSize:]...)
		return len(p), nil
	}
	if over := len(t.end) + len(p) - tailSize; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	t.end = append(t.end, p...)
	return len(p), nil
}

// ReadAt implements io.ReaderAt for what is held.
func (t *tail) ReadAt(p []byte, off int64) (int, error) {
	off -= t.size - int64(len(t.end))
	if off < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return bytes.NewReader(t.end).ReadAt(p, off)
}
