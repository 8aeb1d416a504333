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

// oldTables are the tables of the zoo that an old node gets: of each compressor it may have, one of several partitions of
// some size, one with an index.
var oldTables = []string{"lz4_64", "snappy_64", "deflate_16", "uncompressed", "wide", "counters", "indexed", "indexed.indexed_email"}

// oldNode is the data directory of a node that wrote SSTables of a version.
func oldNode(t *testing.T, version string) content {
	t.Helper()
	files := make(content)
	for _, f := range cassandratest.Fixtures(t, "3.11.19", "me") {
		if f.How != "flush" || !slices.Contains(oldTables, f.Table) {
			continue
		}
		at := oldPrefix(f, version)
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
func oldPrefix(f cassandratest.Fixture, version string) string {
	table, index, _ := strings.Cut(f.Table, ".")
	d := sstable.Descriptor{Version: version, ID: strings.Split(f.Prefix, "-")[1], Format: "big"}
	dir := "zoo/" + table
	if version > "jb" {
		dir += fmt.Sprintf("-%x", md5.Sum([]byte(table)))
	}
	switch {
	case version < "la":
		d = sstable.Descriptor{Keyspace: "zoo", Table: f.Table, Version: version, ID: d.ID}
	case index != "":
		dir += "/." + index
	}
	return dir + "/" + d.Prefix()
}

// oldSSTable puts the components of a 3.11's SSTable into the layout of an older version.
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
	if version >= "ma" {
		parts[sstable.Statistics] = oldStatistics(t, parts[sstable.Statistics], version)
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
		name, digest = sstable.DigestSHA1, fmt.Sprintf("%x  %s", sha1.Sum(parts[sstable.Data]), path.Base(oldPrefix(f, version))+sstable.Data)
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

// oldStatistics takes out of a Statistics.db what came later: with me the host that wrote it, with mc the intervals of the
// commit log, with mb their lower end. All of it stands at the end of the third part, so the fourth moves.
func oldStatistics(t *testing.T, b []byte, version string) []byte {
	t.Helper()
	m, err := sstable.ParseStatistics(b, "me")
	if err != nil {
		t.Fatal(err)
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
	const headerAt = 4 + 3*8 + 4 // behind the count, three entries and the number of the fourth part
	end := int(binary.BigEndian.Uint32(b[headerAt:]))
	out := slices.Concat(b[:end-later], b[end:])
	binary.BigEndian.PutUint32(out[headerAt:], uint32(end-later))
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
	switch {
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
