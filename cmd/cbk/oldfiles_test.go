package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// oldTables are the tables of the zoo that such a node gets: of each compressor it may have, one of several partitions of
// some size, one with an index.
var oldTables = []string{"lz4_64", "snappy_64", "deflate_16", "uncompressed", "wide", "counters", "indexed", "indexed.indexed_email"}

// oldNode is the data directory of a node that wrote SSTables of a version, made of those of a release that runs here.
func oldNode(t *testing.T, version string, from cassandratest.Release) content {
	t.Helper()
	files := make(content)
	for _, f := range cassandratest.Fixtures(t, from.Release, from.Format) {
		if f.How != "flush" || !slices.Contains(oldTables, f.Table) {
			continue
		}
		at := oldPrefix(t, f, version)
		for component, b := range oldSSTable(t, f, version) {
			files[at+component] = string(b)
		}
	}
	if len(files) < 100 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}

// oldPrefix is the path of an SSTable up to the component: keyspace and table were in it until 2.1, and an index had no
// directory of its own; until 2.0 the directory of a table had no id.
func oldPrefix(t *testing.T, f cassandratest.Fixture, version string) string {
	t.Helper()
	d, _, err := sstable.ParseName(f.Prefix + sstable.Data)
	if err != nil {
		t.Fatal(err)
	}
	d.Version = version
	table, index, _ := strings.Cut(f.Table, ".")
	dir := "zoo/" + table
	if version != "jb" {
		dir += fmt.Sprintf("-%x", md5.Sum([]byte(table)))
	}
	switch {
	case bigOf(version) < "la":
		d = sstable.Descriptor{Keyspace: "zoo", Table: f.Table, Version: version, ID: d.ID}
	case index != "":
		dir += "/." + index
	}
	return dir + "/" + d.Prefix()
}

// bigOf is the version of the big format of the same release: they follow on each other in the order of their letters.
func bigOf(version string) string { return strings.Replace(version, "ea", "pa", 1) }

// oldSSTable puts the components of an SSTable into the layout of another version.
func oldSSTable(t *testing.T, f cassandratest.Fixture, version string) map[string][]byte {
	t.Helper()
	all, err := filepath.Glob(f.Component("*"))
	if err != nil {
		t.Fatal(err)
	}
	parts := make(map[string][]byte)
	for _, name := range all {
		if parts[strings.TrimPrefix(filepath.Base(name), f.Prefix)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if bigOf(version) >= "ma" {
		parts[sstable.Statistics] = oldStatistics(t, parts[sstable.Statistics], version, f.Format)
		return parts
	}
	if parts[sstable.CRC] != nil {
		sumChunks(parts)
	} else if err := sumCompressed(parts, f.Format); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	name, digest := sstable.DigestAdler, fmt.Sprint(adler32.Checksum(parts[sstable.Data]))
	switch version {
	case "jb": // as sha1sum prints it
		name, digest = sstable.DigestSHA1, fmt.Sprintf("%x  %s", sha1.Sum(parts[sstable.Data]), path.Base(oldPrefix(t, f, version))+sstable.Data)
	case "ka":
		name = sstable.DigestSHA1
	}
	delete(parts, sstable.Digest)
	parts[name] = []byte(digest)
	parts[sstable.TOC] = bytes.ReplaceAll(parts[sstable.TOC], []byte(sstable.Digest), []byte(name))
	return parts
}

// sumCompressed gives each compressed chunk the checksum of 2.x, an Adler32.
func sumCompressed(parts map[string][]byte, version string) error {
	in := bufio.NewReader(bytes.NewReader(parts[sstable.CompressionInfo]))
	h, _, err := sstable.ParseCompressionHeader(in, version)
	if err != nil {
		return err
	}
	offsets, err := sstable.NewOffsets(in, h, version)
	if err != nil {
		return err
	}
	data := parts[sstable.Data]
	for begin := int64(-1); ; {
		end, err := offsets.Next()
		if err != nil {
			end = int64(len(data))
		}
		if begin >= 0 {
			binary.BigEndian.PutUint32(data[end-4:], adler32.Checksum(data[begin:end-4]))
		}
		if err != nil {
			return ignore(err, io.EOF)
		}
		begin = end
	}
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// sumChunks makes the CRC.db of an uncompressed SSTable with Adler32.
func sumChunks(parts map[string][]byte) {
	sums := parts[sstable.CRC][:4]
	for chunk := range slices.Chunk(parts[sstable.Data], int(binary.BigEndian.Uint32(sums))) {
		sums = binary.BigEndian.AppendUint32(sums, adler32.Checksum(chunk))
	}
	parts[sstable.CRC] = sums
}

// oldStatistics takes out of a Statistics.db what came later: with me and nb the host that wrote it, with mc the intervals of
// the commit log, with mb their lower end. All of it stands at the end of the third part, so the fourth moves.
func oldStatistics(t *testing.T, b []byte, version, from string) []byte {
	t.Helper()
	m, err := sstable.ParseStatistics(b, from)
	if err != nil {
		t.Fatal(err)
	}
	if bigOf(version) > "nb" {
		return b // what 6.0 has there is what 5.0 has
	}
	later := 1
	if m.Stats.OriginatingHost != nil {
		later += 16
	}
	if version < "mc" {
		later += 4 + 24*len(m.Stats.CommitLogIntervals)
	}
	if version < "mb" {
		later += 12
	}
	if version < "na" {
		const entries = 4 // behind the count
		return cutPart(b, entries, 0, later)
	}
	const entries = 8 // behind the count and its checksum
	out := cutPart(b, entries, 4, later)
	contents, part := out[entries:entries+32], int(binary.BigEndian.Uint32(out[entries+2*8+4:]))
	binary.BigEndian.PutUint32(out[entries+32:], crc32.Update(crc32.ChecksumIEEE(out[:4]), crc32.IEEETable, contents))
	end := int(binary.BigEndian.Uint32(contents[3*8+4:])) - 4
	binary.BigEndian.PutUint32(out[end:], crc32.ChecksumIEEE(out[part:end]))
	return out
}

// cutPart takes n bytes from before the last few of the third part.
func cutPart(b []byte, entries, last, n int) []byte {
	at := entries + 3*8 + 4 // where the fourth begins, behind its number
	end := int(binary.BigEndian.Uint32(b[at:]))
	out := slices.Concat(b[:end-last-n], b[end-last:])
	binary.BigEndian.PutUint32(out[at:], uint32(end-n))
	return out
}

// leftovers are files of a node that are not live: of a snapshot, of incremental backups, of what was not finished when it
// was killed.
func leftovers(dataDir, version string, files content) content {
	var name string
	for _, name = range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "zoo/wide") && strings.HasSuffix(name, sstable.Data) {
			break
		}
	}
	dir, base := path.Split(name)
	out := content{dir + "snapshots/before/" + base: "x", dir + "backups/" + base: "y"}
	switch version := bigOf(version); {
	case version < "la":
		out[dir+"zoo-wide-tmp-"+version+"-9-"+sstable.Data], out[dir+"zoo-wide-tmplink-"+version+"-9-"+sstable.Data] = "x", "x"
	case version < "ma":
		out[dir+"tmp-"+version+"-9-big-"+sstable.Data], out[dir+"tmplink-"+version+"-9-big-"+sstable.Data] = "x", "x"
	default:
		added := sstable.LogRecord{Type: sstable.LogAdd, Path: filepath.Join(dataDir, dir, version+"-9-big")}
		out[dir+version+"_txn_flush_00000000-0000-1000-8000-000000000000.log"] = added.String() + "\n"
		out[dir+version+"-9-big-"+sstable.Data] = "x"
	}
	return out
}
