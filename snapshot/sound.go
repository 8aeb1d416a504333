package snapshot

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"cbk/cassandra/sstable"
	"cbk/pack"
)

// fingerprint takes from a component, while it is read, all that is to be known of its bytes.
type fingerprint struct {
	io.Writer
	sha  hash.Hash
	md5  hash.Hash     // nil where not asked for
	sums []hash.Hash32 // of a Data.db: what its digest may be of
	kept *bytes.Buffer // the bytes themselves, of the few components that are read for what they say
}

func (w *writing) fingerprint(i int) *fingerprint {
	f := &fingerprint{sha: sha256.New()}
	all := []io.Writer{f.sha}
	if w.b.opt.MD5 {
		f.md5 = md5.New()
		all = append(all, f.md5)
	}
	if name := w.component(i); name == sstable.Data {
		for _, s := range w.digestSums() {
			f.sums = append(f.sums, s)
			all = append(all, s)
		}
	} else if readWhole(name) && w.in.Files[i].Size <= maxStatistics {
		f.kept = &bytes.Buffer{}
		all = append(all, f.kept)
	}
	f.Writer = io.MultiWriter(all...)
	return f
}

func readWhole(name string) bool {
	return isDigest(name) || name == sstable.TOC || name == sstable.Statistics
}

// digestSums are the checksums that the SSTable's digest may be: CRC32 since 3.0, Adler32 in 2.2, either under the name
// Digest.sha1 of 2.1.
func (w *writing) digestSums() []hash.Hash32 {
	if w.digest == nil {
		return nil
	}
	switch w.digestName {
	case sstable.Digest:
		return []hash.Hash32{crc32.NewIEEE()}
	case sstable.DigestAdler:
		return []hash.Hash32{adler32.New()}
	}
	return []hash.Hash32{crc32.NewIEEE(), adler32.New()}
}

// end puts what was found into the fact of a file, and what the file says into w.
func (f *fingerprint) end(w *writing, i int, fact *fileFact) {
	fact.hash = pack.ID(f.sha.Sum(nil))
	if f.md5 != nil {
		fact.md5 = f.md5.Sum(nil)
	}
	if err := w.judge(f.sums); err != nil {
		fact.spoil(err)
	}
	if f.kept == nil {
		return
	}
	if err := w.learn(w.component(i), f.kept.Bytes()); err != nil {
		fact.spoil(err)
	}
}

// judge compares a Data.db with its digest.
func (w *writing) judge(sums []hash.Hash32) error {
	if len(sums) == 0 || slices.ContainsFunc(sums, func(s hash.Hash32) bool { return s.Sum32() == *w.digest }) {
		return nil
	}
	return fmt.Errorf("%s does not match %s", sstable.Data, w.digestName)
}

// learn reads one of the small components.
func (w *writing) learn(name string, b []byte) (err error) {
	switch {
	case name == sstable.Statistics:
		return w.learnStats(b)
	case name == sstable.TOC:
		if w.listed, err = sstable.ParseTOC(b); err != nil {
			return fmt.Errorf("TOC.txt cannot be read: %w", err)
		}
	case isDigest(name):
		sum, err := sstable.ParseDigest(b)
		if err == nil {
			w.digest, w.digestName = &sum, name
		} else if name != sstable.DigestSHA1 { // which in early 2.1 held what its name says
			return fmt.Errorf("%s cannot be read: %w", name, err)
		}
	}
	return nil
}

// standard are the components that TOC.txt may name and that must be there then. Those of indexes come and go while they
// are built.
var standard = []string{sstable.Data, sstable.Index, sstable.Summary, sstable.Partitions, sstable.Rows, sstable.Statistics,
	sstable.CompressionInfo, sstable.CRC, sstable.Filter, sstable.Digest, sstable.DigestAdler, sstable.DigestSHA1}

// lacking names the components without which the SSTable is not whole: those no SSTable goes without, and those it lists
// itself. One that was streamed as whole files lists none until the node opens it again: SSTableZeroCopyWriter leaves
// TOC.txt to TOCComponent.loadOrCreate. It has CompressionInfo.db or, without compression, CRC.db.
func (w *writing) lacking() (names []string) {
	need := []string{sstable.Data, sstable.Statistics, sstable.Index}
	if w.in.Desc.Format == "bti" {
		need[2] = sstable.Partitions
	}
	for _, name := range w.listed {
		if slices.Contains(standard, name) && !slices.Contains(need, name) {
			need = append(need, name)
		}
	}
	names = slices.DeleteFunc(need, func(name string) bool { return w.index(name) >= 0 })
	if w.index(sstable.TOC) < 0 && w.index(sstable.CompressionInfo) < 0 && w.index(sstable.CRC) < 0 {
		names = append(names, sstable.CompressionInfo+" or "+sstable.CRC)
	}
	return names
}

// damage is what is wrong with the SSTable on the node, in the order of its files.
func (w *writing) damage() (what []string) {
	if names := w.lacking(); len(names) > 0 {
		what = append(what, "incomplete: "+strings.Join(names, ", ")+" missing")
	}
	for _, f := range w.files {
		if f.damage != "" {
			what = append(what, f.damage)
		}
	}
	return what
}
