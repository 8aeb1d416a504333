package cassandratest

import (
	"fmt"
	"math/rand/v2"
)

// zoo is the keyspace that [Fixtures] are made of: a table for each thing that an
// SSTable can hold, and one for each way to compress. Its rows hang on fixed
// seeds and carry timestamps of their own. What the server draws by its clock
// stays out of that: when a row with a time to live ends, when something was
// deleted, and the keys of list elements.
const zoo = "zoo"

// zooRounds is how often the tables are filled and flushed: twice, so that a
// compaction has something to merge.
const zooRounds = 2

// zooTime is the microsecond at which writes to the zoo begin: in 2023, well
// before any clock.
const zooTime = 1_700_000_000_000_000

const (
	// fiveYears is a time to live in seconds that ends before 2038 and not soon.
	fiveYears = 157_680_000
	// twentyYears is the longest time to live; it ends after 2038, beyond what a
	// signed number of seconds holds.
	twentyYears = 630_720_000
)

// statement is one write.
type statement struct {
	cql  string
	args []any
}

// table is one table of the zoo.
type table struct {
	name string
	// in tells whether a release has such tables; all have where it is nil.
	in func(Release) bool
	// schema makes the table, after types and before indexes.
	schema []string
	// rows are the writes of a round, in any order.
	rows func(r *rand.Rand, round int) []statement
	// between changes the table after the first round.
	between []string
}

// zooTables are the tables of a release.
func zooTables(rel Release) []table {
	all := []table{everythingTable(rel), timestampsTable(), farTable(), expiredTable(), rangesTable(), wideTable(), countersTable()}
	all = append(all, columnTables()...)
	all = append(all, keyTables()...)
	all = append(all, compactTables()...)
	all = append(all, customTables()...)
	all = append(all, indexTables()...)
	all = append(all, compressorTables()...)
	var some []table
	for _, t := range all {
		if t.in == nil || t.in(rel) {
			some = append(some, t)
		}
	}
	return some
}

// since4 holds for releases from 4.0 on.
func since4(rel Release) bool { return rel.number().since(4, 0) }

// since5 holds for releases from 5.0 on.
func since5(rel Release) bool { return rel.number().since(5, 0) }

// uses5Formats holds where a 5.0 writes formats of its own, not those of 4.0.
func uses5Formats(rel Release) bool { return rel.Format == "oa" || rel.Format == "da" }

// seeded is the source of a table's rows in a round.
func seeded(name string, round int) *rand.Rand {
	var seed uint64
	for _, c := range []byte(name) {
		seed = seed*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(seed, uint64(round)))
}

// compressorTables have the same rows under each compressor. Names end with the
// chunk length in KiB.
func compressorTables() []table {
	lz4 := func(kib int) string { return fmt.Sprintf("'class': 'LZ4Compressor', 'chunk_length_in_kb': %d", kib) }
	of := func(class string, kib int) string {
		return fmt.Sprintf("'class': '%s', 'chunk_length_in_kb': %d", class, kib)
	}
	return []table{
		compressed("lz4_4", nil, lz4(4)),
		compressed("lz4_16", nil, lz4(16)),
		compressed("lz4_64", nil, lz4(64)),
		compressed("lz4_128", nil, lz4(128)),
		compressed("lz4_256", nil, lz4(256)),
		compressed("lz4_high_16", nil, lz4(16)+", 'lz4_compressor_type': 'high'"),
		compressed("lz4_high_64", nil, lz4(64)+", 'lz4_compressor_type': 'high', 'lz4_high_compressor_level': 12"),
		compressed("lz4_ratio_16", since4, lz4(16)+", 'min_compress_ratio': 1.5"),
		compressed("snappy_16", nil, of("SnappyCompressor", 16)),
		compressed("snappy_64", nil, of("SnappyCompressor", 64)),
		compressed("deflate_16", nil, of("DeflateCompressor", 16)),
		compressed("zstd_16", since4, of("ZstdCompressor", 16)),
		compressed("zstd_64", since4, of("ZstdCompressor", 64)+", 'compression_level': 9"),
		compressed("zstd_ratio_16", since4, of("ZstdCompressor", 16)+", 'min_compress_ratio': 1.5"),
		compressed("noop_16", since4, of("NoopCompressor", 16)),
		compressed("uncompressed", nil, "'enabled': false"),
	}
}

func compressed(name string, in func(Release) bool, compression string) table {
	return table{
		name:   name,
		in:     in,
		schema: []string{fmt.Sprintf("CREATE TABLE zoo.%s (k int, c int, v text, b blob, PRIMARY KEY (k, c)) WITH compression = {%s}", name, compression)},
		rows:   func(_ *rand.Rand, round int) []statement { return mixed(name, round) },
	}
}

// mixedRows makes about half a MiB of rows a round.
const mixedRows = 160

// mixed fills a compressor table with text, noise and repeats in turns, long
// enough that chunks of each kind alone come about. The rows do not hang on the
// table, so that tables differ in their compression only.
func mixed(name string, round int) []statement {
	r := seeded("mixed", round)
	insert := fmt.Sprintf("INSERT INTO zoo.%s (k, c, v, b) VALUES (?, ?, ?, ?) USING TIMESTAMP ?", name)
	var all []statement
	for i := range mixedRows {
		var text string
		var blob []byte
		switch i / 10 % 4 {
		case 0, 1:
			text = words(r, 400+r.IntN(300))
		case 2:
			blob = noise(r, 1500+r.IntN(1500))
		default:
			blob = make([]byte, 2000+r.IntN(8000))
		}
		all = append(all, statement{insert, []any{i / 10, round*mixedRows + i, text, blob, int64(zooTime + r.IntN(1e9))}})
	}
	return all
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
