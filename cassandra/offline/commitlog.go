package offline

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// segmentName is the name of a commit log segment (CommitLogDescriptor).
var segmentName = regexp.MustCompile(`^CommitLog(-\d+){1,2}\.log$`)

// CommitLog tells how many bytes of mutations lie in the commit log: zero after the node was drained or stopped in order,
// and else what was written since, of which some may have been flushed too. A segment that cannot be read counts whole.
//
// cassandra.yaml need not say where the commit log is; then that is an error.
func (n *Node) CommitLog() (bytes int64, err error) {
	if n.layout.CommitLog == "" {
		return 0, fmt.Errorf("%s has no commitlog_directory", n.path)
	}
	entries, err := os.ReadDir(n.layout.CommitLog)
	if err != nil {
		return 0, fmt.Errorf("list the commit log: %w", err)
	}
	for _, e := range entries {
		if !segmentName.MatchString(e.Name()) {
			continue
		}
		size, err := segment(filepath.Join(n.layout.CommitLog, e.Name()))
		if err != nil {
			return 0, fmt.Errorf("read the commit log: %w", err)
		}
		bytes += size
	}
	return bytes, nil
}

// errSegment says that a file is not what a segment is known to be.
var errSegment = errors.New("unknown commit log segment")

// segment counts the bytes of mutations in a segment, or all of them where it has another form.
func segment(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	n, err := sections(f, info.Size())
	if errors.Is(err, errSegment) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return info.Size(), nil
	}
	return n, err
}

const (
	markerSize = 8
	// oldestVersion of the commit log that is read is that of 3.0.
	oldestVersion = 6
)

// sections adds up the sections of a segment, which is
//
//	int32 version · int64 id · uint16 length · JSON of parameters · crc32 of all that
//	· sections, each behind a marker: int32 end of the section · crc32
//
// until a marker of zeros or the end of the file. The checksum of a marker is over the id, its low half first, and over
// the marker's own position. A segment is made in its full size, or grows where it is compressed.
func sections(f io.ReaderAt, size int64) (total int64, err error) {
	at, id, err := segmentHeader(f)
	if err != nil {
		return 0, err
	}
	for at+markerSize <= size {
		var b [markerSize]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return 0, err
		}
		end, sum := int64(int32(binary.BigEndian.Uint32(b[:]))), binary.BigEndian.Uint32(b[4:])
		if end == 0 && sum == 0 {
			return unsynced(f, at+markerSize, total)
		}
		if sum != markerSum(id, at) || end < at+markerSize || end > size {
			return 0, errSegment
		}
		total += end - at - markerSize
		at = end
	}
	return total, nil
}

func segmentHeader(f io.ReaderAt) (end int64, id uint64, err error) {
	head := make([]byte, 4+8+2)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, 0, err
	}
	version, id, length := binary.BigEndian.Uint32(head), binary.BigEndian.Uint64(head[4:]), int64(binary.BigEndian.Uint16(head[12:]))
	if version < oldestVersion {
		return 0, 0, errSegment
	}
	rest := make([]byte, length+4)
	if _, err := f.ReadAt(rest, int64(len(head))); err != nil {
		return 0, 0, err
	}
	sum := appendHalves(binary.BigEndian.AppendUint32(nil, version), id)
	sum = append(binary.BigEndian.AppendUint32(sum, uint32(length)), rest[:length]...)
	if crc32.ChecksumIEEE(sum) != binary.BigEndian.Uint32(rest[length:]) {
		return 0, 0, errSegment
	}
	return int64(len(head)) + length + 4, id, nil
}

// appendHalves appends a number as the checksums of the commit log take it.
func appendHalves(b []byte, v uint64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(v)), uint32(v>>32))
}

func markerSum(id uint64, at int64) uint32 {
	return crc32.ChecksumIEEE(binary.BigEndian.AppendUint32(appendHalves(nil, id), uint32(at)))
}

// unsynced adds what stands behind the last marker. A node that is killed leaves mutations there that it has confirmed and
// will not replay; their length is up to the last byte that is not zero.
func unsynced(f io.ReaderAt, at, total int64) (int64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(f, at, 1<<31), 64<<10)
	var last int64
	for i := int64(1); ; i++ {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return total + last, nil
		}
		if err != nil {
			return 0, err
		}
		if b != 0 {
			last = i
		}
	}
}
