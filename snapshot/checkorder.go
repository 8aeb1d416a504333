package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
	"cbk/pack"
)

// order is the partitions of a file as they are read: their keys must be in the order of their tokens. What is kept of
// them is a hash over all keys and positions, by which two files are compared.
type order struct {
	count       int64
	first, last []byte
	whole       bool // read to the end, and nothing was wrong

	position int64
	all      hash.Hash
	in       *io.PipeWriter
	ended    chan error
}

// start has read called with what is written, in another goroutine. Writing never fails: what read leaves is passed over.
func (o *order) start(l *look, read func(io.Reader) error) io.Writer {
	r, w := io.Pipe()
	o.in, o.ended, o.all, o.position = w, make(chan error, 1), sha256.New(), -1
	go func() {
		err := read(bufio.NewReaderSize(r, 64<<10))
		io.Copy(io.Discard, r) // ends with the writer
		o.ended <- err
	}()
	return w
}

// finish waits for the end of the reading and says what came of it.
func (o *order) finish(l *look) {
	if o.in == nil {
		return
	}
	o.in.Close()
	err := <-o.ended
	o.in = nil
	var skip *skipError
	switch {
	case err == nil:
		o.whole = true
	case errors.As(err, &skip):
		l.skip("%s", skip.why)
	default:
		l.fault("%v", err)
	}
}

// stop ends the reading of what does not come.
func (o *order) stop() {
	if o.in != nil {
		o.in.CloseWithError(errAbandoned)
		<-o.ended
		o.in = nil
	}
}

// skipError is a reason for not looking at something; it is no fault of the SSTable.
type skipError struct{ why string }

// Error returns the reason.
func (e *skipError) Error() string { return e.why }

// readData reads the partitions of a plain Data.db.
func (o *order) readData(l *look, r io.Reader) error {
	in, err := rows.NewReader(r, l.version, l.stats.Header)
	if err != nil {
		return &skipError{"the order of partitions: " + firstWords(err)}
	}
	for in.Next() {
		p := in.Partition()
		if err := o.next(l, p.Key, p.Position); err != nil {
			return fmt.Errorf("%s: %w", sstable.Data, err)
		}
	}
	switch err := in.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, rows.ErrTooLarge), errors.Is(err, rows.ErrType), errors.Is(err, errAbandoned):
		return &skipError{"the order of partitions: " + firstWords(err)}
	default:
		return fmt.Errorf("%s behind %d partitions: %w", sstable.Data, o.count, err)
	}
}

// firstWords is what all errors of a kind have in common, so that SSTables are counted by it.
func firstWords(err error) string {
	for _, known := range []error{rows.ErrTooLarge, rows.ErrType, sstable.ErrUnsupportedVersion} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// readIndex reads the partitions that an Index.db names.
func (o *order) readIndex(l *look, r io.Reader) error {
	in, err := sstable.NewIndexReader(r, l.version)
	if err != nil {
		return &skipError{fmt.Sprintf("%s: version %q", sstable.Index, l.version)}
	}
	for {
		e, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errAbandoned) {
			return &skipError{err.Error()}
		}
		if err == nil {
			err = o.next(l, e.Key, e.Position)
		}
		if err != nil {
			return fmt.Errorf("%s behind %d partitions: %w", sstable.Index, o.count, err)
		}
	}
}

// next takes a partition.
func (o *order) next(l *look, key []byte, position int64) error {
	if position <= o.position {
		return fmt.Errorf("partition %d is at %d, the one before it at %d", o.count+1, position, o.position)
	}
	if o.count > 0 && l.stats != nil && !before(l.stats.Partitioner, o.last, key) {
		return fmt.Errorf("partition %d does not come after the one before it", o.count+1)
	}
	if o.count == 0 {
		o.first = bytes.Clone(key)
	}
	o.last, o.position = append(o.last[:0], key...), position
	o.count++
	o.all.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(len(key))), uint64(position)))
	o.all.Write(key)
	return nil
}

func (o *order) sum() pack.ID { return pack.ID(o.all.Sum(nil)) }

// partitionerOf is the simple name of a partitioner's class.
func partitionerOf(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// before reports whether a partition's key comes before another's. Of partitioners whose order is not that of numbers it
// knows nothing: it is true then.
func before(partitioner string, a, b []byte) bool {
	switch partitionerOf(partitioner) {
	case "Murmur3Partitioner":
		if x, y := sstable.Token(a), sstable.Token(b); x != y {
			return x < y
		}
	case "RandomPartitioner":
		if c := sstable.RandomToken(a).Cmp(sstable.RandomToken(b)); c != 0 {
			return c < 0
		}
	default:
		return true
	}
	return bytes.Compare(a, b) < 0
}
