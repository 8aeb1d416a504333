package docs

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"path"
	"slices"
	"strings"
)

// The sections from full copies to recipes, but for LZ4: from a root to the files of a node.

// Full copy

// libraryFor opens what a root reads from: its own copy, or what all share.
func (s *second) libraryFor(r *root) *library {
	if r.flags&1 == 0 {
		return s.openLibrary(s.objects, r.domain)
	}
	l := s.openLibrary(below(s.all, "full/"+r.id+"/"), r.domain)
	demand(bytes.Equal(sum(l.objects[r.name]), r.hash[:]), "the root in the copy of %s", r.name)
	return l
}

// Ring, Description

type ringBlob struct {
	Cluster string
	Members []struct {
		HostID string `json:"host_id"`
		State  string
	}
}

type textBlob struct {
	Name  string
	Blobs []string
}

type descriptionBlob struct {
	Schema, Config []textBlob
	Roles          *textBlob
	Tables         []struct {
		Keyspace, Table, ID, Dir string
		Pages                    []string
	}
}

// nodeBackup is all that a backup holds of a node.
type nodeBackup struct {
	ring   ringBlob
	schema string
	roles  string
	config map[string]string // by name
	files  map[string]string // by their path below a data directory
}

func (s *second) readBackup(r *root) (n nodeBackup) {
	l := s.libraryFor(r)
	decodeJSON(l.blob(typeRing, r.ring), &n.ring)
	refs := l.refs(r)
	clear(l.read) // the rest must be just what the references name
	demand(len(r.descriptions) == 1, "descriptions of %s", r.name)
	var d descriptionBlob
	decodeJSON(l.blob(typeDescription, r.descriptions[0]), &d)
	for _, t := range d.Schema {
		n.schema += l.text(t)
	}
	if d.Roles != nil {
		n.roles = l.text(*d.Roles)
	}
	n.config = make(map[string]string)
	for _, t := range d.Config {
		n.config[t.Name] = l.text(t)
	}
	n.files = make(map[string]string)
	for _, t := range d.Tables {
		demand(t.Dir == t.Keyspace+"/"+t.Table+"-"+t.ID || t.ID == "" && t.Dir == t.Keyspace+"/"+t.Table, "directory %s", t.Dir)
		for _, page := range t.Pages {
			l.readPage(hash(fromHex(page, 32)), t.Dir, n.files)
		}
	}
	demand(maps.Equal(refs, l.read), "references of %s", r.name)
	return n
}

func (l *library) text(t textBlob) (text string) {
	demand(safe(t.Name), "name of a text %q", t.Name)
	for _, id := range t.Blobs {
		text += string(l.blob(typeData, hash(fromHex(id, 32))))
	}
	return text
}

// Page

func (l *library) readPage(id hash, dir string, files map[string]string) {
	c := cursor{l.blob(typeDescription, id)}
	c.each(256, func() { l.readSSTable(&c, dir, files) })
	c.end()
}

func (l *library) readSSTable(c *cursor, dir string, files map[string]string) {
	c.number(1024) // data directory
	sub, prefix := string(c.bytes(512)), string(c.bytes(512))
	how := cursor{l.blob(typeRecipe, c.hash())}
	c.each(256, func() { c.bytes(512) }) // damage
	if has := c.byte(); has == 1 {
		for range 8 {
			c.number(1<<64 - 1)
		}
		c.bytes(40)
		c.bytes(40)
	} else {
		demand(has == 0, "stats %d", has)
	}
	recipes := make(map[string]*recipe)
	contents := make(map[string][]byte)
	check := make(map[string]func([]byte) bool)
	c.each(256, func() {
		name, size, want, md, inline := string(c.bytes(512)), c.number(1<<50), c.hash(), c.bytes(16), c.bytes(128)
		contents[name] = inline
		check[name] = func(b []byte) bool {
			other := md5.Sum(b)
			return uint64(len(b)) == size && bytes.Equal(sum(b), want[:]) && (len(md) == 0 || bytes.Equal(md, other[:]))
		}
		if size > 128 {
			demand(len(inline) == 0, "%s is inline and has a recipe", name)
			recipes[name] = readRecipe(&how, name)
		}
	})
	how.end()
	l.rebuild(recipes, contents)
	for name, content := range contents {
		demand((sub == "" || safe(sub)) && safe(prefix+name), "file name %q", prefix+name)
		file := path.Join(dir, sub, prefix+name)
		demand(check[name](content), "content of %s", file)
		files[file] = string(content)
	}
}

func safe(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}

// Recipe

const recipeBlobs, recipeLZ4, recipeDerived = 1, 2, 3

type recipe struct {
	typ      byte
	version  string // lz4: of the SSTable
	header   []byte // lz4
	from     byte   // derived
	every    uint64 // derived: bytes to a checksum
	segments byte
	refs     []ref
	starts   []int // lz4: where the chunks of the rebuilt file begin
}

type ref struct {
	id    hash
	plain uint64
	kind  byte
}

func readRecipe(c *cursor, name string) *recipe {
	r := &recipe{typ: c.byte()}
	demand(c.byte() == 1, "version of a recipe")
	switch r.typ {
	case recipeBlobs:
	case recipeLZ4:
		r.version, r.header = string(c.bytes(2)), c.bytes(65536)
		demand(name == "Data.db" && len(r.version) == 2, "recipe of %s", name)
	case recipeDerived:
		r.from, r.every = c.byte(), c.number(1<<30)
		info := r.from == 1 && name == "CompressionInfo.db" && r.every == 0
		demand(info || r.from == 2 && name == "CRC.db" && r.every > 0, "recipe of %s", name)
		return r
	default:
		demand(false, "type %d of a recipe", r.typ)
	}
	r.segments = c.byte()
	demand(r.segments <= 1, "segments of a recipe")
	r.refs = readRefs(c, 65536)
	for _, one := range r.refs {
		demand(one.kind == 0 || one.kind <= 2 && r.typ == recipeLZ4 && r.segments == 0, "kind %d", one.kind)
	}
	return r
}

func readRefs(c *cursor, most uint64) (refs []ref) {
	c.each(most, func() { refs = append(refs, ref{c.hash(), c.number(8 << 20), c.byte()}) })
	return refs
}

// rebuild makes the components that have recipes: first those that blobs make, then what follows from them.
func (l *library) rebuild(recipes map[string]*recipe, contents map[string][]byte) {
	derived := ""
	for name, r := range recipes {
		switch r.typ {
		case recipeBlobs:
			contents[name] = l.rebuildBlobs(r)
		case recipeLZ4:
			contents[name] = l.rebuildLZ4(r)
		case recipeDerived:
			demand(derived == "", "%s and %s are derived", name, derived)
			derived = name
		}
	}
	if derived == "" {
		return
	}
	l.met[derived+" derived"]++
	r, from := recipes[derived], recipes["Data.db"]
	demand(from != nil && from.typ == map[byte]byte{1: recipeLZ4, 2: recipeBlobs}[r.from], "what %s is derived from", derived)
	if r.from == 1 {
		contents[derived] = from.info()
	} else {
		contents[derived] = checksums(contents["Data.db"], int(r.every))
	}
}

func (l *library) rebuildBlobs(r *recipe) (content []byte) {
	l.met["blobs"]++
	for _, one := range l.runs(r) {
		demand(one.kind == 0, "kind %d in blobs", one.kind)
		content = append(content, one.content...)
	}
	return content
}

// run is the content of data blobs of one kind that follow each other.
type run struct {
	kind    byte
	content []byte
}

func (l *library) runs(r *recipe) (runs []run) {
	refs := r.refs
	if r.segments == 1 {
		refs = nil
		for _, segment := range r.refs {
			c := cursor{l.content(typeRecipe, segment)}
			refs = append(refs, readRefs(&c, 4096)...)
			c.end()
		}
	}
	for i, one := range refs {
		if i == 0 || one.kind != refs[i-1].kind {
			runs = append(runs, run{kind: one.kind})
		}
		last := &runs[len(runs)-1]
		last.content = append(last.content, l.content(typeData, one)...)
	}
	return runs
}

func (l *library) content(typ byte, of ref) []byte {
	b := l.blob(typ, of.id)
	demand(uint64(len(b)) == of.plain, "length of blob %x", of.id)
	return b
}

// checksums is a CRC.db.
func checksums(data []byte, length int) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(length))
	for piece := range slices.Chunk(data, length) {
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(piece))
	}
	return out
}

// info is a CompressionInfo.db, once Data.db was rebuilt.
func (r *recipe) info() []byte {
	out := bytes.Clone(r.header)
	for _, start := range r.starts {
		out = binary.BigEndian.AppendUint64(out, uint64(start))
	}
	return out
}
