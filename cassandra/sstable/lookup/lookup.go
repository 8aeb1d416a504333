package lookup

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
)

var (
	// ErrUnindexed is wrapped by errors about an index that is too coarse to be searched.
	ErrUnindexed = errors.New("index cannot be searched within bounds")
	// ErrPartitioner is wrapped by errors about SSTables in the order of another partitioner than Murmur3Partitioner.
	ErrPartitioner = errors.New("unknown partitioner")
)

// SSTable is an SSTable whose files are open. It is not for concurrent use.
type SSTable struct {
	version string
	header  sstable.Header
	data    *plain
	index   index
	files   []*os.File
}

// index leads from keys to positions.
type index interface {
	// find returns the position of a key.
	find(key []byte) (position int64, found bool, err error)
	// random returns a key of those there are, and the nearer it is to a fair choice the better; nil where there is none.
	random(r *rand.Rand) ([]byte, error)
	// ends returns the first and the last key, nil where the files do not tell at once.
	ends() (first, last []byte, err error)
}

// Open opens an SSTable in a directory. Versions before 3.0 and unknown ones give an error that wraps
// [sstable.ErrUnsupportedVersion].
func Open(dir string, d sstable.Descriptor) (s *SSTable, err error) {
	s = &SSTable{version: d.Version}
	if err := s.open(filepath.Join(dir, d.Prefix()), d.Format == "bti"); err != nil {
		return nil, errors.Join(fmt.Errorf("open SSTable %s: %w", filepath.Join(dir, d.Prefix()), err), s.Close())
	}
	return s, nil
}

func (s *SSTable) open(prefix string, bti bool) error {
	statistics, err := readStatistics(prefix + sstable.Statistics)
	if err != nil {
		return err
	}
	meta, err := sstable.ParseStatistics(statistics, s.version)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(meta.Partitioner, ".Murmur3Partitioner") {
		return fmt.Errorf("%w %q", ErrPartitioner, meta.Partitioner)
	}
	s.header = meta.Header
	if err := s.openData(prefix); err != nil {
		return err
	}
	if bti {
		return s.openTrie(prefix)
	}
	return s.openBig(prefix)
}

func readStatistics(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, sstable.MaxStatistics+1))
}

// file opens a component and tells its size.
func (s *SSTable) file(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	s.files = append(s.files, f)
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (s *SSTable) openData(prefix string) error {
	data, size, err := s.file(prefix + sstable.Data)
	if err != nil {
		return err
	}
	info, _, err := s.file(prefix + sstable.CompressionInfo)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.data = &plain{data: data, size: size, length: size}
		return nil
	case err != nil:
		return err
	}
	s.data, err = newPlain(data, size, info, s.version)
	return err
}

func (s *SSTable) openBig(prefix string) error {
	f, size, err := s.file(prefix + sstable.Index)
	if err != nil {
		return err
	}
	x := &big{file: f, size: size, version: s.version}
	s.index = x
	f, size, err = s.file(prefix + sstable.Summary)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // a node makes it anew, so that a backup may lack it
	case err != nil:
		return err
	}
	x.summary, err = newSummary(f, size)
	return err
}

func (s *SSTable) openTrie(prefix string) error {
	f, size, err := s.file(prefix + sstable.Partitions)
	if err != nil {
		return err
	}
	footer, err := sstable.ReadPartitionsFooter(f, size)
	if err != nil {
		return err
	}
	rows, rowsSize, err := s.file(prefix + sstable.Rows)
	if err != nil {
		return err
	}
	s.index = &trie{file: f, footer: footer, rows: io.NewSectionReader(rows, 0, rowsSize), data: s.data}
	return nil
}

// Close closes the files.
func (s *SSTable) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Header is what is needed to read the rows.
func (s *SSTable) Header() sstable.Header { return s.header }

// Ends returns the first and the last key, nil where only reading the whole index would tell.
func (s *SSTable) Ends() (first, last []byte, err error) { return s.index.ends() }

// Find returns the position of a partition by its key.
func (s *SSTable) Find(key []byte) (position int64, found bool, err error) {
	if position, found, err = s.index.find(key); err != nil || !found {
		return 0, false, err
	}
	at, err := readKey(s.data.from(position))
	if err != nil || !bytes.Equal(at, key) {
		return 0, false, fmt.Errorf("the index leads to another partition at %d of Data.db: %w", position, cmp.Or(err, rows.ErrFormat))
	}
	return position, true, nil
}

// Random returns the key of a partition, nil where there is none. All may be chosen, and none much more often than others.
func (s *SSTable) Random(r *rand.Rand) ([]byte, error) { return s.index.random(r) }

// Partition returns a reader whose first partition is the one at a position. Where more than most bytes are read of it, the
// reader ends with tooLarge.
func (s *SSTable) Partition(position, most int64, tooLarge error) (*rows.Reader, error) {
	return rows.NewReader(&limited{r: s.data.from(position), left: most, err: tooLarge}, s.version, s.header)
}

// All returns a reader of all partitions in their order.
func (s *SSTable) All() (*rows.Reader, error) {
	return rows.NewReader(s.data.from(0), s.version, s.header)
}

// Compare puts two keys in the order of partitions: by token, then by bytes.
func Compare(a, b []byte) int {
	return cmp.Or(cmp.Compare(sstable.Token(a), sstable.Token(b)), bytes.Compare(a, b))
}

// limited ends with an error where io.LimitReader would end.
type limited struct {
	r    io.Reader
	left int64
	err  error
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, l.err
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// readKey reads a key behind its length of two bytes, as it stands before a partition and in Rows.db.
func readKey(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	key := make([]byte, int(size[0])<<8|int(size[1]))
	_, err := io.ReadFull(r, key)
	return key, err
}
