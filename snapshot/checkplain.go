package snapshot

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
	"cbk/cassandra/sstable/peel"
)

// plain turns what a Data.db is made of into its plain bytes, and compares chunks with their checksums on the way.
type plain struct {
	l    *look
	size int64
	out  io.Writer // takes plain bytes; nil where nobody reads them

	info, sumsFile *beside // that came before it; what is derived from it comes with it and is nil

	begun   bool
	given   int64
	limit   int64 // plain bytes there are
	format  *chunk.Format
	sums    *sstable.SumsWriter // of an uncompressed Data.db
	crc     *compared
	offsets *sstable.Offsets
	held    []byte // of a chunk
	at, end int64  // where it stands in the file
	chunks  int
	bad     int
	broken  bool // no more plain bytes are known
}

func newPlain(l *look, size int64) *plain {
	return &plain{l: l, size: size, info: l.kept[sstable.CompressionInfo], sumsFile: l.kept[sstable.CRC]}
}

// take takes bytes of a kind. Of the recipe lz4 most are plain, and their checksums are made anew; else they are the file's.
func (p *plain) take(k peel.Kind, b []byte, how *recipe) {
	if !p.begun {
		p.begun = true
		p.begin(how)
	}
	switch {
	case how.typ == recipeLZ4 && k != peel.Stored:
		p.give(b)
	case how.typ == recipeLZ4:
		p.held = append(p.held, b...)
		p.storedChunks()
	case p.offsets != nil:
		p.held = append(p.held, b...)
		p.fileChunks()
	case p.sums != nil:
		p.sums.Write(b) // what it writes to does not fail
		p.give(b)
	default:
		p.give(b)
	}
}

func (p *plain) begin(how *recipe) {
	if how.typ == recipeLZ4 {
		h, _, err := sstable.ParseCompressionHeader(bufio.NewReader(bytes.NewReader(how.layout.Header)), how.layout.Version)
		p.compressed(h, err)
		return
	}
	switch info := p.info; {
	case info != nil && info.over:
		p.skip("chunks of Data.db: %s is larger than is held", sstable.CompressionInfo)
	case info != nil:
		in := bufio.NewReader(bytes.NewReader(info.Bytes()))
		h, _, err := sstable.ParseCompressionHeader(in, p.l.version)
		p.compressed(h, err)
		if err == nil && !p.broken {
			p.fromOffsets(in, h)
		}
	case p.l.has(sstable.CompressionInfo):
		p.skip("chunks of Data.db: %s is not to be had before it", sstable.CompressionInfo)
	default:
		p.limit = p.size
		p.checksums(p.sumsFile)
	}
}

// compressed learns how chunks are stored.
func (p *plain) compressed(h sstable.CompressionHeader, err error) {
	if err != nil {
		p.broken = true
		p.l.fault("%s cannot be read: %v", sstable.CompressionInfo, err)
		return
	}
	p.limit = h.DataLength
	f, err := chunk.NewFormat(h)
	if errors.Is(err, chunk.ErrUnknownCompressor) {
		p.skip("chunks of Data.db and the order of partitions: compressor %s", h.Class)
		return
	}
	if err != nil {
		p.broken = true
		p.l.fault("%s: %v", sstable.CompressionInfo, err)
		return
	}
	p.format = &f
}

func (p *plain) fromOffsets(in *bufio.Reader, h sstable.CompressionHeader) {
	offsets, err := sstable.NewOffsets(in, h, p.l.version)
	if err == nil {
		p.offsets = offsets
		_, err = offsets.Next() // zero
	}
	if err == nil {
		err = p.nextEnd()
	}
	if err != nil {
		p.broken, p.offsets = true, nil
		p.l.fault("%s: %v", sstable.CompressionInfo, err)
	}
}

// nextEnd finds where the chunk ends that is read.
func (p *plain) nextEnd() (err error) {
	p.end, err = p.offsets.Next()
	if errors.Is(err, io.EOF) {
		p.end, err = p.size, nil
	}
	return err
}

// checksums compares an uncompressed Data.db with its CRC.db, unless the one is made of the other: then its hash tells.
func (p *plain) checksums(crc *beside) {
	switch {
	case crc != nil && crc.over:
		p.l.skip("checksums of Data.db: %s is larger than is held", sstable.CRC)
	case crc != nil:
		head, err := sstable.NewSums(bufio.NewReader(bytes.NewReader(crc.Bytes())))
		if err != nil {
			p.l.fault("%v", err)
			return
		}
		p.crc = &compared{want: crc.Bytes()}
		p.sums = sstable.NewSumsWriter(p.crc, head.ChunkSize)
	}
}

// skip gives the plain bytes up.
func (p *plain) skip(format string, args ...any) {
	p.broken = true
	p.l.skip(format, args...)
}

// has reports whether the SSTable has a component.
func (l *look) has(name string) bool {
	for i := range l.t.Components {
		if l.t.Components[i].Name == name {
			return true
		}
	}
	return false
}

// give hands plain bytes on; behind a last chunk that is stored raw may be zeros, which are none.
func (p *plain) give(b []byte) {
	b = b[:max(min(int64(len(b)), p.limit-p.given), 0)]
	p.given += int64(len(b))
	if p.out != nil && !p.broken {
		p.out.Write(b) // a pipe that is drained
	}
}

// storedChunks takes the chunks that are held of a run that stands as in the file: length, bytes, checksum.
func (p *plain) storedChunks() {
	for len(p.held) >= 4 {
		n := int(binary.BigEndian.Uint32(p.held))
		if len(p.held) < 4+n+4 {
			return
		}
		p.chunk(p.held[4 : 4+n+4])
		p.held = p.held[4+n+4:]
	}
}

// fileChunks takes the chunks that are held of the file.
func (p *plain) fileChunks() {
	for p.end > p.at && int64(len(p.held)) >= p.end-p.at {
		p.chunk(p.held[:p.end-p.at])
		p.held = p.held[p.end-p.at:]
		p.at = p.end
		if p.end == p.size {
			return
		}
		if err := p.nextEnd(); err != nil {
			p.broken, p.end = true, p.at
			p.l.fault("%s: %v", sstable.CompressionInfo, err)
		}
	}
}

// chunk takes stored bytes with their checksum.
func (p *plain) chunk(b []byte) {
	p.chunks++
	if len(b) < 4 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		p.bad++
		p.broken = true
		return
	}
	if p.broken || p.format == nil {
		return
	}
	out, err := p.format.Decode(nil, b[:len(b)-4])
	if err != nil {
		p.bad++
		p.broken = true
		return
	}
	p.give(out)
}

// close judges what was read. Of a Data.db whose plain bytes are not all known the partitions are not.
func (p *plain) close() {
	if p.bad > 0 {
		p.l.fault("%d chunks of Data.db do not match their checksums or cannot be decoded", p.bad)
	}
	if p.sums != nil {
		p.sums.Close() // what it writes to does not fail
		if !p.crc.equal() {
			p.l.fault("%s does not match %s", sstable.Data, sstable.CRC)
		}
	}
	if p.begun && !p.broken && p.given != p.limit {
		p.broken = true
		p.l.fault("%s has %d plain bytes where %d are told", sstable.Data, p.given, p.limit)
	}
	if p.broken {
		p.l.data.stop()
	}
}

// compared compares what is written with what is wanted.
type compared struct {
	want  []byte
	other bool
}

// Write implements io.Writer.
func (c *compared) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(c.want, b) {
		c.other = true
		return len(b), nil
	}
	c.want = c.want[len(b):]
	return len(b), nil
}

// equal lets checksums of nothing follow: a compaction leaves one.
func (c *compared) equal() bool {
	return !c.other && len(bytes.Trim(c.want, "\x00")) == 0 && len(c.want)%4 == 0
}
