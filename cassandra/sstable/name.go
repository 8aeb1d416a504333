package sstable

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Component names that Cassandra gives its files (SSTableFormat.Components and
// the two formats in io/sstable/format). Index components have names of their own.
const (
	Data            = "Data.db"
	Index           = "Index.db"      // big only
	Summary         = "Summary.db"    // big only
	Partitions      = "Partitions.db" // bti only
	Rows            = "Rows.db"       // bti only
	Statistics      = "Statistics.db"
	CompressionInfo = "CompressionInfo.db" // compressed tables
	CRC             = "CRC.db"             // uncompressed tables
	Filter          = "Filter.db"
	Digest          = "Digest.crc32"   // since 3.0
	DigestAdler     = "Digest.adler32" // 2.2
	DigestSHA1      = "Digest.sha1"    // 2.1; decimal all the same
	TOC             = "TOC.txt"
)

// maxName is the longest name of one file on the file systems Cassandra runs on.
const maxName = 255

// ErrTemporary says that a name belongs to a file Cassandra is still writing.
var ErrTemporary = errors.New("temporary SSTable file")

// Descriptor is what the components of one SSTable have in common.
type Descriptor struct {
	Keyspace string // only in names of 2.1 and older
	Table    string // only in names of 2.1 and older; "table.index" for an index
	Version  string // two letters: "ka", "nb", "oa", "da"
	ID       string // decimal, or 28 characters where UUID identifiers are on
	Format   string // "big" or "bti"; empty in names of 2.1 and older
}

// A format has three letters or more and a version two, which is what keeps
// "ks-1-ka-5-Data.db" (2.1) from being read as a name of a later version.
var (
	modernName = regexp.MustCompile(`^([a-z]{2})-([0-9]{1,19}|[0-9a-z]{4}_[0-9a-z]{4}_[0-9a-z]{18})-([a-z][a-z0-9_]{2,15})-([^/\x00-\x1f\x7f]+)$`)
	legacyName = regexp.MustCompile(`^(\w+)-([\w.]+)-([a-z]{2})-([0-9]{1,19})-([^/\x00-\x1f\x7f]+)$`)
	// Up to 2.2 the mark stands in front of the version, later it is a suffix.
	temporaryName = regexp.MustCompile(`^(?:\w+-[\w.]+-)?(?:tmp|tmplink)-[a-z]{2}-[0-9]|\.tmp$`)
)

// ParseName splits the base name of an SSTable's file into descriptor and
// component. The forms are those of Descriptor.appendFileName in Cassandra 2.1
// to 6.0. A file not finished gives [ErrTemporary]; any other name that is not a
// component's gives an error that quotes it.
func ParseName(base string) (d Descriptor, component string, err error) {
	if len(base) > maxName {
		return d, "", fmt.Errorf("SSTable file name of %d bytes, more than %d", len(base), maxName)
	}
	if temporaryName.MatchString(base) {
		return d, "", fmt.Errorf("%q: %w", base, ErrTemporary)
	}
	if m := modernName.FindStringSubmatch(base); m != nil {
		return Descriptor{Version: m[1], ID: m[2], Format: m[3]}, m[4], nil
	}
	if m := legacyName.FindStringSubmatch(base); m != nil {
		return Descriptor{Keyspace: m[1], Table: m[2], Version: m[3], ID: m[4]}, m[5], nil
	}
	return d, "", fmt.Errorf("%q is not the name of an SSTable component", base)
}

// Prefix is the part of the name before the component, with its last dash.
func (d Descriptor) Prefix() string {
	if d.Keyspace != "" {
		return strings.Join([]string{d.Keyspace, d.Table, d.Version, d.ID, ""}, "-")
	}
	return strings.Join([]string{d.Version, d.ID, d.Format, ""}, "-")
}

// maxTableName is the longest name of a table: Cassandra keeps room in a file
// name for a dash and the identifier (SchemaConstants.TABLE_NAME_LENGTH of 5.0).
const maxTableName = 222

var tableDir = regexp.MustCompile(`^(\w+)-([0-9a-f]{32})$`)

// ParseTableDir splits the name of a table's directory, which lies in that of its
// keyspace since 2.1, into the table and its identifier of 32 hexadecimal digits.
func ParseTableDir(base string) (table, id string, ok bool) {
	m := tableDir.FindStringSubmatch(base)
	if m == nil || len(m[1]) > maxTableName {
		return "", "", false
	}
	return m[1], m[2], true
}

// ParseIndexDir returns the index that a directory in a table's directory, or in a
// snapshot or backup of it, belongs to: ".name" has the SSTables of index name.
func ParseIndexDir(base string) (index string, ok bool) {
	index, ok = strings.CutPrefix(base, ".")
	return index, ok && index != "" && index != "." && len(base) <= maxName && !strings.ContainsRune(index, '/')
}
