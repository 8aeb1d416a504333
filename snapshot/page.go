package snapshot

import (
	"crypto/sha256"
	"fmt"
	"path"
	"strings"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
)

// A page describes up to pageSSTables SSTables of one table. It holds no time, inode or snapshot name, so the same files
// always give the same page. In the grammar of package wire:
//
//	count, SSTables:
//	  data directory   number
//	  sub              string: "" or ".index_name"
//	  prefix           string: file names up to the component, "nb-12-big-"
//	  recipe           32-byte id of the recipe blob
//	  count, components:
//	    name           string: "Data.db"
//	    size           number
//	    hash           32 bytes, SHA-256
//	    inline         byte string: the content if at most inlineLimit bytes, else empty
//
// The recipe blob of an SSTable has one recipe for each component that is not inline, in the same order:
//
//	type     1 byte: 1 = blobs
//	version  1 byte: 1
//	segments 1 byte: 1 if the refs name segments, 0 if they name data
//	refs     count, 32-byte id, plain size
//
// A segment is a blob of type recipe that holds only refs: of data, in order.
const (
	pageSSTables = 256
	// inlineLimit is the size up to which a component stands in the page itself: Digest.crc32 and TOC.txt would cost
	// more as blobs than they hold.
	inlineLimit = 128
	// directRefs is the number of chunks up to which a recipe names them itself. Beyond, segments keep the memory for
	// a component of any size bounded.
	directRefs = 64

	recipeBlobs   = 1
	recipeVersion = 1

	maxComponents = 256
	maxName       = 512
	maxSize       = 1 << 50
	maxSegments   = 1 << 16
)

// Component is one file of an SSTable.
type Component struct {
	Name   string // "Data.db"
	Size   int64
	Hash   pack.ID // SHA-256 of the content
	Inline []byte  // the content, if it is small
}

func (c *Component) inlined() bool { return c.Size <= inlineLimit }

// SSTable is one SSTable of a table: its components and the recipe that rebuilds them.
type SSTable struct {
	DataDir    int
	Sub        string
	Prefix     string
	Recipe     pack.ID
	Components []Component
}

// File returns the path of a component below the table's directory, slash-separated.
func (s *SSTable) File(c *Component) string { return path.Join(s.Sub, s.Prefix+c.Name) }

// recipe says which blobs, in order, are a component's content.
type recipe struct {
	segmented bool
	refs      []repo.Ref
}

func encodePage(tables []SSTable) []byte {
	var e wire.Encoder
	e.Count(len(tables))
	for _, s := range tables {
		e.Uvarint(uint64(s.DataDir))
		e.String(s.Sub)
		e.String(s.Prefix)
		e.Fixed(s.Recipe[:])
		e.Count(len(s.Components))
		for _, c := range s.Components {
			e.String(c.Name)
			e.Uvarint(uint64(c.Size))
			e.Fixed(c.Hash[:])
			e.Bytes(c.Inline)
		}
	}
	return e.Out()
}

func decodePage(b []byte) ([]SSTable, error) {
	d := wire.NewDecoder(b)
	var out []SSTable
	for range d.Count(pageSSTables, 36) {
		s := SSTable{DataDir: int(d.Uvarint(1 << 10)), Sub: d.String(maxName), Prefix: d.String(maxName)}
		d.Array(s.Recipe[:])
		for range d.Count(maxComponents, 35) {
			c := Component{Name: d.String(maxName), Size: int64(d.Uvarint(maxSize))}
			d.Array(c.Hash[:])
			c.Inline = d.Bytes(inlineLimit)
			if d.Err() == nil && (c.inlined() && int64(len(c.Inline)) != c.Size || !c.inlined() && len(c.Inline) > 0) {
				d.Invalid("component of %d bytes with %d inline", c.Size, len(c.Inline))
			}
			s.Components = append(s.Components, c)
		}
		if err := s.checkNames(); err != nil && d.Err() == nil {
			d.Invalid("%v", err)
		}
		out = append(out, s)
	}
	return out, d.Done()
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

func encodeRefs(e *wire.Encoder, refs []repo.Ref) {
	e.Count(len(refs))
	for _, r := range refs {
		e.Fixed(r.ID[:])
		e.Uvarint(uint64(r.Plain))
	}
}

func decodeRefs(d *wire.Decoder, limit int) []repo.Ref {
	n := d.Count(limit, 33)
	refs := make([]repo.Ref, n)
	for i := range refs {
		d.Array(refs[i].ID[:])
		refs[i].Plain = uint32(d.Uvarint(pack.MaxBlob))
	}
	return refs
}

func encodeRecipes(rs []recipe) []byte {
	var e wire.Encoder
	for _, r := range rs {
		e.Byte(recipeBlobs)
		e.Byte(recipeVersion)
		if r.segmented {
			e.Byte(1)
		} else {
			e.Byte(0)
		}
		encodeRefs(&e, r.refs)
	}
	return e.Out()
}

func decodeRecipe(d *wire.Decoder) recipe {
	if t, v := d.Byte(), d.Byte(); d.Err() == nil && (t != recipeBlobs || v != recipeVersion) {
		d.Invalid("recipe of type %d, version %d: a newer cbk is needed", t, v)
	}
	segments := d.Byte()
	if segments > 1 {
		d.Invalid("segments byte %d", segments)
	}
	r := recipe{segmented: segments == 1}
	r.refs = decodeRefs(d, maxSegments)
	return r
}

func decodeRecipes(b []byte, n int) ([]recipe, error) {
	d := wire.NewDecoder(b)
	out := make([]recipe, n)
	for i := range out {
		out[i] = decodeRecipe(d)
	}
	return out, d.Done()
}

func encodeSegment(refs []repo.Ref) []byte {
	var e wire.Encoder
	encodeRefs(&e, refs)
	return e.Out()
}

func decodeSegment(b []byte) ([]repo.Ref, error) {
	d := wire.NewDecoder(b)
	refs := decodeRefs(d, repo.Window)
	return refs, d.Done()
}

// pageHash identifies an SSTable's entry in a page: recipe and hashes together.
func pageHash(t *SSTable) pack.ID { return sha256.Sum256(encodePage([]SSTable{*t})) }
