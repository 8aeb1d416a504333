package snapshot

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"path"
	"strings"

	"cbk/pack"
	"cbk/pack/wire"
)

// A page describes up to pageSSTables SSTables of one table. It holds no time, inode or snapshot name, so the same files
// always give the same page. In the grammar of package wire:
//
//	count, SSTables:
//	  data directory   number
//	  sub              string: "" or ".index_name"
//	  prefix           string: file names up to the component, "nb-12-big-"
//	  recipe           32-byte id of the recipe blob
//	  count, damage:   strings: what was wrong with it on the node
//	  stats            1 byte: 1 if what follows is there
//	    min and max timestamp, min and max local deletion time, level, repaired at, rows, partitions: signed numbers
//	    first and last token: strings
//	  count, components:
//	    name           string: "Data.db"
//	    size           number
//	    hash           32 bytes, SHA-256
//	    md5            byte string: 16 bytes, or empty where it was not asked for
//	    inline         byte string: the content if at most inlineLimit bytes, else empty
//
// The recipe blob of an SSTable has one recipe for each component that is not inline, in the same order: see recipe.
const (
	pageSSTables = 256
	// inlineLimit is the size up to which a component stands in the page itself: Digest.crc32 and TOC.txt would cost
	// more as blobs than they hold.
	inlineLimit   = 128
	maxComponents = 256
	maxName       = 512
	maxSize       = 1 << 50
	maxDamage     = 512
)

// Component is one file of an SSTable.
type Component struct {
	Name   string // "Data.db"
	Size   int64
	Hash   pack.ID // SHA-256 of the content
	MD5    []byte  // of the content, nil where it was not asked for
	Inline []byte  // the content, if it is small
}

func (c *Component) inlined() bool { return c.Size <= inlineLimit }

// SSTable is one SSTable of a table: its components and the recipe that rebuilds them.
type SSTable struct {
	DataDir    int
	Sub        string
	Prefix     string
	Recipe     pack.ID
	Damage     []string // what was wrong with it on the node, in words
	Stats      *Stats   // nil where Statistics.db said nothing
	Components []Component
}

// File returns the path of a component below the table's directory, slash-separated.
func (s *SSTable) File(c *Component) string { return path.Join(s.Sub, s.Prefix+c.Name) }

func encodePage(tables []SSTable) []byte {
	var e wire.Encoder
	e.Count(len(tables))
	for _, s := range tables {
		e.Uvarint(uint64(s.DataDir))
		e.String(s.Sub)
		e.String(s.Prefix)
		e.Fixed(s.Recipe[:])
		e.Count(len(s.Damage))
		for _, what := range s.Damage {
			e.String(what)
		}
		s.encodeStats(&e)
		e.Count(len(s.Components))
		for _, c := range s.Components {
			e.String(c.Name)
			e.Uvarint(uint64(c.Size))
			e.Fixed(c.Hash[:])
			e.Bytes(c.MD5)
			e.Bytes(c.Inline)
		}
	}
	return e.Out()
}

func (s *SSTable) encodeStats(e *wire.Encoder) {
	if s.Stats == nil {
		e.Byte(0)
		return
	}
	e.Byte(1)
	s.Stats.encode(e)
}

func decodePage(b []byte) ([]SSTable, error) {
	d := wire.NewDecoder(b)
	var out []SSTable
	for range d.Count(pageSSTables, 38) {
		out = append(out, decodeSSTable(d))
	}
	return out, d.Done()
}

func decodeSSTable(d *wire.Decoder) SSTable {
	s := SSTable{DataDir: int(d.Uvarint(1 << 10)), Sub: d.String(maxName), Prefix: d.String(maxName)}
	d.Array(s.Recipe[:])
	for range d.Count(maxComponents, 1) {
		s.Damage = append(s.Damage, d.String(maxDamage))
	}
	switch has := d.Byte(); has {
	case 0:
	case 1:
		s.Stats = decodeStats(d)
	default:
		d.Invalid("stats %d", has)
	}
	for range d.Count(maxComponents, 36) {
		s.Components = append(s.Components, decodeComponent(d))
	}
	if err := s.checkNames(); err != nil && d.Err() == nil {
		d.Invalid("%v", err)
	}
	return s
}

func decodeComponent(d *wire.Decoder) Component {
	c := Component{Name: d.String(maxName), Size: int64(d.Uvarint(maxSize))}
	d.Array(c.Hash[:])
	c.MD5 = decodeMD5(d)
	c.Inline = d.Bytes(inlineLimit)
	if d.Err() == nil && (c.inlined() && int64(len(c.Inline)) != c.Size || !c.inlined() && len(c.Inline) > 0) {
		d.Invalid("component of %d bytes with %d inline", c.Size, len(c.Inline))
	}
	return c
}

// decodeMD5 reads an optional hash.
func decodeMD5(d *wire.Decoder) []byte {
	switch b := d.Bytes(md5.Size); len(b) {
	case 0:
		return nil
	case md5.Size:
		return b
	default:
		d.Invalid("MD5 of %d bytes", len(b))
		return nil
	}
}

// checkNames refuses names that would lead out of the table's directory: pages are authenticated, but a writer's machine
// may have been taken over.
func (s *SSTable) checkNames() error {
	if s.Sub != "" && !safeName(s.Sub) {
		return fmt.Errorf("directory name %q", s.Sub)
	}
	for _, c := range s.Components {
		if !safeName(s.Prefix + c.Name) {
			return fmt.Errorf("file name %q", s.Prefix+c.Name)
		}
	}
	return nil
}

func safeName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\\\x00")
}

// pageHash identifies an SSTable's entry in a page: recipe and hashes together.
func pageHash(t *SSTable) pack.ID { return sha256.Sum256(encodePage([]SSTable{*t})) }
