package prove

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/rows"
)

// source is an SSTable of a table, closed while it is not asked.
type source struct {
	dir         string
	desc        sstable.Descriptor
	known       bool   // whether the ends are
	first, last []byte // keys, nil where the files do not tell
}

// list lists what Cassandra would find in the directories of a table, without the SSTables of its indexes.
func list(dirs []string, t Table) ([]source, error) {
	var all []source
	for _, dir := range dirs {
		d := node.TableDir{Keyspace: t.Keyspace, Table: t.Name, Path: dir, Shared: dirs}
		found, err := d.SSTables()
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if s.Sub == "" {
				all = append(all, source{dir: dir, desc: s.Desc})
			}
		}
	}
	return all, nil
}

// open opens the SSTable and takes its ends.
func (s *source) open() (*lookup.SSTable, error) {
	opened, err := lookup.Open(s.dir, s.desc)
	if err != nil || s.known {
		return opened, err
	}
	if s.first, s.last, err = opened.Ends(); err != nil {
		opened.Close()
		return nil, s.named(err)
	}
	s.known = true
	return opened, nil
}

// named is an error with the SSTable that it is of.
func (s *source) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("SSTable %s: %w", filepath.Join(s.dir, s.desc.Prefix()), err)
}

// choose returns any key of the SSTable, nil where it has none.
func (s *source) choose(r *rand.Rand) ([]byte, sstable.Header, error) {
	opened, err := s.open()
	if err != nil {
		return nil, sstable.Header{}, err
	}
	defer opened.Close()
	key, err := opened.Random(r)
	return bytes.Clone(key), opened.Header(), s.named(err)
}

// find opens the SSTable and leaves it open if it has the key.
func (s *source) find(key []byte) (holder, bool, error) {
	if s.first != nil && (lookup.Compare(key, s.first) < 0 || lookup.Compare(key, s.last) > 0) {
		return holder{}, false, nil
	}
	opened, err := s.open()
	if err != nil {
		return holder{}, false, err
	}
	at, ok, err := opened.Find(key)
	if err != nil || !ok {
		opened.Close()
		return holder{}, false, s.named(err)
	}
	return holder{opened, at}, true, nil
}

// keyText is a key for people: numbers, texts and UUIDs as CQL has them, other types by their bytes.
func keyText(kinds []rows.Type, parts [][]byte) string {
	var texts []string
	for i, b := range parts {
		texts = append(texts, literal(kinds[i], b))
	}
	return strings.Join(texts, ", ")
}

// longKey is the length from which a value of a key is cut in messages.
const longKey = 80

// printable is a text that a terminal only shows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?'
	}, s)
}

func literal(kind rows.Type, b []byte) string {
	switch {
	case (kind.Class == "UTF8Type" || kind.Class == "AsciiType") && len(b) <= longKey && printable(string(b)) == string(b):
		return "'" + strings.ReplaceAll(string(b), "'", "''") + "'"
	case kind.Class == "Int32Type" && len(b) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b))))
	case kind.Class == "LongType" && len(b) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
	case strings.HasSuffix(kind.Class, "UUIDType") && len(b) == 16:
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case len(b) > longKey:
		return fmt.Sprintf("0x%x...", b[:longKey])
	}
	return fmt.Sprintf("0x%x", b)
}
