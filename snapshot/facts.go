package snapshot

import (
	"encoding/binary"
	"fmt"
	"path"
	"strconv"
	"time"

	"cbk/cassandra/node"
	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
)

// facts remembers, on the node alone, what each SSTable looked like when it was last read, so that an unchanged file is
// not read again. Entries in the local cache, by first byte; those under s and g are swept:
//
//	s<device>|<data dir>|<live dir>|<sub>|<prefix>   an SSTable, see encodeFact
//	g<segment id>                                    the refs of a segment
//	epoch                                            number of the last backup
//	tag                                              the Cassandra snapshot to be cleared
//
// A fact is used only if the file has the same name, inode, size and mtime, if the mtime was older than settle when the
// file was read, if the SSTable's digest is there and is the one of then, and if every blob is still known. ctime is no
// part of it: hard links of snapshots change it.
type facts struct {
	s     *repo.Session
	epoch uint64 // counts backups of this cache; entries not seen in this one are swept
	now   time.Time
}

// settle is how old an mtime must be at the time of reading to be trusted: within it, a file may change twice without
// its mtime showing it, on file systems with coarse clocks.
const settle = 2 * time.Second

type fileFact struct {
	read   int64 // when the content was read, ns since 1970
	name   string
	inode  uint64
	size   int64
	mtime  int64
	hash   pack.ID
	md5    []byte // nil where not asked for when it was read
	damage string // what was wrong with it when it was read
	how    recipe // empty for inline components
}

// spoil notes what is wrong with a file. The first fault found is told.
func (f *fileFact) spoil(err error) {
	if f.damage == "" {
		f.damage = err.Error()[:min(len(err.Error()), maxDamage)]
	}
}

// sstableFact is what is remembered of an SSTable.
type sstableFact struct {
	files       []fileFact
	first, last string // tokens
}

// trusted returns by name what is known of files that had settled when they were read; nil without facts.
func (f *sstableFact) trusted() map[string]fileFact {
	if len(f.files) == 0 {
		return nil
	}
	known := make(map[string]fileFact, len(f.files))
	for _, file := range f.files {
		if file.read-file.mtime > int64(settle) {
			known[file.name] = file
		}
	}
	return known
}

// hows is the recipe of a file that is not inline.
func (f *fileFact) hows() []recipe {
	if f.how.typ == 0 {
		return nil
	}
	return []recipe{f.how}
}

func openFacts(s *repo.Session, now time.Time) (*facts, error) {
	b, err := s.Facts().Fact([]byte("epoch"))
	if err != nil {
		return nil, err
	}
	f := &facts{s: s, now: now, epoch: 1}
	if len(b) == 8 {
		f.epoch = binary.BigEndian.Uint64(b) + 1
	}
	return f, s.Facts().PutFact([]byte("epoch"), binary.BigEndian.AppendUint64(nil, f.epoch))
}

func factKey(t *node.TableDir, s *node.SSTable) []byte {
	var dev uint64
	if len(s.Files) > 0 {
		dev = s.Files[0].Dev
	}
	return []byte(fmt.Sprintf("s%d|%d|%s", dev, t.DataDir, path.Join(t.Live, s.Sub, s.Desc.Prefix())))
}

// lookup returns the facts about an SSTable, empty if there are none: they are hints, without them the files are read.
func (f *facts) lookup(t *node.TableDir, s *node.SSTable) *sstableFact {
	b, err := f.s.Facts().Fact(factKey(t, s))
	if err != nil || len(b) == 0 {
		return &sstableFact{}
	}
	known, err := decodeFact(b)
	if err != nil {
		return &sstableFact{}
	}
	return known
}

// unchanged reports whether a fact still describes a file and all of its content is known to the repository.
func (f *facts) unchanged(fact *fileFact, file *node.File) bool {
	same := fact.inode == file.Inode && fact.size == file.Size && fact.mtime == file.ModTime.UnixNano()
	return same && f.complete(&fact.how)
}

func (f *facts) complete(how *recipe) bool {
	for _, ref := range how.refs {
		if ok, err := f.s.Known(ref.ID); err != nil || !ok {
			return false
		}
		if !how.segmented {
			continue
		}
		b, err := f.s.Facts().Fact(append([]byte{'g'}, ref.ID[:]...))
		if err != nil || len(b) < 8 {
			return false
		}
		refs, err := decodeSegment(b[8:])
		if err != nil || len(refs) == 0 || !f.complete(&recipe{refs: refs}) {
			return false
		}
		if f.segment(ref.ID, b[8:]) != nil {
			return false
		}
	}
	return true
}

func (f *facts) segment(id pack.ID, body []byte) error {
	return f.s.Facts().PutFact(append([]byte{'g'}, id[:]...), append(f.stamp(), body...))
}

func (f *facts) stamp() []byte { return binary.BigEndian.AppendUint64(nil, f.epoch) }

func (f *facts) store(t *node.TableDir, s *node.SSTable, known *sstableFact) error {
	return f.s.Facts().PutFact(factKey(t, s), append(f.stamp(), encodeFact(known)...))
}

// sweep forgets what this backup did not see: files that are gone.
func (f *facts) sweep() error {
	for _, kind := range []byte{'s', 'g'} {
		err := f.s.Facts().SweepFacts([]byte{kind}, func(v []byte) bool {
			return len(v) >= 8 && binary.BigEndian.Uint64(v) == f.epoch
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// factLayout is that of encodeFact. What another cbk left in the cache in another layout is as if it were not there.
const factLayout = 2

func encodeFact(known *sstableFact) []byte {
	var e wire.Encoder
	e.Byte(factLayout)
	e.String(known.first)
	e.String(known.last)
	e.Count(len(known.files))
	for _, f := range known.files {
		e.String(f.name)
		e.Uvarint(uint64(f.read))
		e.Uvarint(f.inode)
		e.Uvarint(uint64(f.size))
		e.String(strconv.FormatInt(f.mtime, 10)) // may lie before 1970
		e.Fixed(f.hash[:])
		e.Bytes(f.md5)
		e.String(f.damage)
		e.Count(len(f.hows()))
		e.Fixed(encodeRecipes(f.hows()))
	}
	return e.Out()
}

func decodeFact(b []byte) (*sstableFact, error) {
	if len(b) < 9 || b[8] != factLayout {
		return nil, wire.ErrMalformed
	}
	d := wire.NewDecoder(b[9:])
	known := &sstableFact{first: d.String(maxToken), last: d.String(maxToken)}
	for range d.Count(maxComponents, 40) {
		f := fileFact{name: d.String(maxName), read: int64(d.Uvarint(1<<63 - 1)), inode: d.Uvarint(1<<64 - 1), size: int64(d.Uvarint(maxSize))}
		mtime, err := strconv.ParseInt(d.String(20), 10, 64)
		if err != nil && d.Err() == nil {
			d.Invalid("mtime: %v", err)
		}
		f.mtime = mtime
		d.Array(f.hash[:])
		f.md5, f.damage = decodeMD5(d), d.String(maxDamage)
		if d.Count(1, 2) == 1 {
			f.how = decodeRecipe(d)
		}
		known.files = append(known.files, f)
	}
	return known, d.Done()
}
