package snapshot

import (
	"bytes"
	"cmp"
	"fmt"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
)

// A recipe says how one component is made of blobs. In the grammar of package wire:
//
//	type     1 byte: 1 = blobs, 2 = lz4, 3 = derived
//	version  1 byte: 1
//	then, of blobs:
//	  segments 1 byte: 1 if the refs name segments, 0 if they name data
//	  refs     count, refs
//	of lz4, which is for a Data.db:
//	  version  string: of the SSTable, "nb"
//	  header   byte string: CompressionInfo.db up to its offsets
//	  segments, refs: as above
//	of derived, which comes out with the SSTable's Data.db:
//	  from     1 byte: 1 = what the recipe lz4 of Data.db gives, 2 = checksums of the bytes of Data.db
//	  length   number: bytes of Data.db for each checksum; 0 with 1
//
// and a ref is
//
//	id       32 bytes
//	plain    number: size of the blob
//	kind     1 byte: what the bytes are, see peel.Kind; 0 in the recipe blobs and for a segment
//
// A segment is a blob of type recipe that holds only a count and refs: of data, in order.
type recipe struct {
	typ       byte
	layout    peel.Layout // lz4
	from      byte        // derived
	length    int         // derived
	segmented bool
	refs      []ref
}

const (
	recipeBlobs   = 1
	recipeLZ4     = 2
	recipeDerived = 3
	recipeVersion = 1

	fromPeel = 1
	fromData = 2

	// directRefs is the number of chunks up to which a recipe names them itself. Beyond, segments keep the memory for
	// a component of any size bounded.
	directRefs  = 64
	maxSegments = 1 << 16
)

// ref names a blob and says what its bytes are.
type ref struct {
	ID    pack.ID
	Plain uint32
	Kind  peel.Kind
}

// Names of recipes, for reports and for Options.
const (
	RecipeAuto    = "auto"    // the smallest that is proven for a component
	RecipeBlobs   = "blobs"   // the bytes of the component
	RecipeLZ4     = "lz4"     // a Data.db without its compression
	RecipeDerived = "derived" // nothing: it follows from Data.db
	RecipeInline  = "inline"  // in the description itself
)

// CheckRecipe refuses what is no choice of recipes.
func CheckRecipe(name string) error {
	if name = cmp.Or(name, RecipeAuto); name != RecipeAuto && name != RecipeBlobs {
		return fmt.Errorf("recipe %q: %s or %s", name, RecipeAuto, RecipeBlobs)
	}
	return nil
}

// name is what reports call a recipe.
func (r *recipe) name() string {
	switch r.typ {
	case recipeLZ4:
		return RecipeLZ4
	case recipeDerived:
		return RecipeDerived
	case recipeBlobs:
		return RecipeBlobs
	}
	return RecipeInline
}

func encodeRefs(e *wire.Encoder, refs []ref) {
	e.Count(len(refs))
	for _, r := range refs {
		e.Fixed(r.ID[:])
		e.Uvarint(uint64(r.Plain))
		e.Byte(byte(r.Kind))
	}
}

func decodeRefs(d *wire.Decoder, limit int) []ref {
	n := d.Count(limit, 34)
	refs := make([]ref, n)
	for i := range refs {
		d.Array(refs[i].ID[:])
		refs[i].Plain = uint32(d.Uvarint(pack.MaxBlob))
		refs[i].Kind = peel.Kind(d.Byte())
		if refs[i].Kind > peel.Late {
			d.Invalid("ref of kind %d: a newer cbk is needed", refs[i].Kind)
		}
	}
	return refs
}

func (r *recipe) encode(e *wire.Encoder) {
	e.Byte(r.typ)
	e.Byte(recipeVersion)
	switch r.typ {
	case recipeDerived:
		e.Byte(r.from)
		e.Uvarint(uint64(r.length))
		return
	case recipeLZ4:
		e.String(r.layout.Version)
		e.Bytes(r.layout.Header)
	}
	if r.segmented {
		e.Byte(1)
	} else {
		e.Byte(0)
	}
	encodeRefs(e, r.refs)
}

func encodeRecipes(rs []recipe) []byte {
	var e wire.Encoder
	for i := range rs {
		rs[i].encode(&e)
	}
	return e.Out()
}

func decodeRecipe(d *wire.Decoder) (r recipe) {
	var version byte
	r.typ, version = d.Byte(), d.Byte()
	if d.Err() == nil && (r.typ < recipeBlobs || r.typ > recipeDerived || version != recipeVersion) {
		d.Invalid("recipe of type %d, version %d: a newer cbk is needed", r.typ, version)
	}
	switch r.typ {
	case recipeDerived:
		r.decodeDerived(d)
		return r
	case recipeLZ4:
		r.layout = peel.Layout{Version: d.String(2), Header: bytes.Clone(d.Bytes(peel.MaxHeader))}
	}
	segments := d.Byte()
	if segments > 1 {
		d.Invalid("segments byte %d", segments)
	}
	r.segmented = segments == 1
	r.refs = decodeRefs(d, maxSegments)
	for _, ref := range r.refs {
		if ref.Kind != peel.Stored && (r.segmented || r.typ == recipeBlobs) {
			d.Invalid("ref of kind %d in a recipe of type %d", ref.Kind, r.typ)
		}
	}
	return r
}

func (r *recipe) decodeDerived(d *wire.Decoder) {
	r.from, r.length = d.Byte(), int(d.Uvarint(sstable.MaxSumChunk))
	if d.Err() == nil && (r.from != fromPeel || r.length != 0) && (r.from != fromData || r.length == 0) {
		d.Invalid("derived from %d by %d", r.from, r.length)
	}
}

func decodeRecipes(b []byte, n int) ([]recipe, error) {
	d := wire.NewDecoder(b)
	out := make([]recipe, n)
	for i := range out {
		out[i] = decodeRecipe(d)
	}
	return out, d.Done()
}

func encodeSegment(refs []ref) []byte {
	var e wire.Encoder
	encodeRefs(&e, refs)
	return e.Out()
}

func decodeSegment(b []byte) ([]ref, error) {
	d := wire.NewDecoder(b)
	refs := decodeRefs(d, repo.Window)
	return refs, d.Done()
}
