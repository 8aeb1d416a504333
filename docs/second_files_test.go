package docs

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
)

// The sections from full copies to recipes: from a root to the files of a node.

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

type descriptionBlob struct {
	Schema []string
	Tables []struct {
		Keyspace, Table, ID, Dir string
		Pages                    []string
	}
}

// nodeBackup is all that a backup holds of a node.
type nodeBackup struct {
	ring   ringBlob
	schema string
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
	for _, id := range d.Schema {
		n.schema += string(l.blob(typeData, hash(fromHex(id, 32))))
	}
	n.files = make(map[string]string)
	for _, t := range d.Tables {
		demand(t.Dir == t.Keyspace+"/"+t.Table+"-"+t.ID, "directory %s", t.Dir)
		for _, page := range t.Pages {
			l.readPage(hash(fromHex(page, 32)), t.Dir, n.files)
		}
	}
	demand(maps.Equal(refs, l.read), "references of %s", r.name)
	return n
}

// Page

func (l *library) readPage(id hash, dir string, files map[string]string) {
	c := cursor{l.blob(typeDescription, id)}
	c.each(256, func() {
		c.number(1024) // data directory
		sub, prefix, recipe := string(c.bytes(512)), string(c.bytes(512)), c.hash()
		how := cursor{l.blob(typeRecipe, recipe)}
		c.each(256, func() {
			name, size, want, content := string(c.bytes(512)), c.number(1<<50), c.hash(), c.bytes(128)
			if size > 128 {
				content = l.rebuild(&how)
			}
			demand((sub == "" || safe(sub)) && safe(prefix+name), "file name %q", prefix+name)
			file := path.Join(dir, sub, prefix+name)
			demand(uint64(len(content)) == size && bytes.Equal(sum(content), want[:]), "content of %s", file)
			files[file] = string(content)
		})
		how.end()
	})
	c.end()
}

func safe(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}

// Recipe

func (l *library) rebuild(c *cursor) []byte {
	demand(slices.Equal(c.take(2), []byte{1, 1}), "type of a recipe")
	segments := c.byte()
	demand(segments <= 1, "segments of a recipe")
	if segments == 0 {
		return join(l.named(c, 65536, typeData)...)
	}
	var content [][]byte
	for _, segment := range l.named(c, 65536, typeRecipe) {
		s := cursor{segment}
		content = append(content, l.named(&s, 4096, typeData)...)
		s.end()
	}
	return join(content...)
}

// named returns the blobs of a list of references.
func (l *library) named(c *cursor, most uint64, typ byte) (blobs [][]byte) {
	c.each(most, func() {
		id, plain := c.hash(), c.number(8<<20)
		b := l.blob(typ, id)
		demand(uint64(len(b)) == plain, "length of blob %x", id)
		blobs = append(blobs, b)
	})
	return blobs
}
