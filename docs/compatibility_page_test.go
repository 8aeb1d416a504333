package docs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func column(feature string) int {
	for i, f := range features {
		if f.name == feature {
			return i
		}
	}
	return -1
}

// cell is what the first proof of a feature for a row says.
func cell(v version, feature string) string {
	for _, p := range proofs {
		if p.feature != feature || !slices.Contains(keys(p.rows), v.key()) {
			continue
		}
		switch {
		case p.says == "":
			return p.how
		case p.how == refused:
			return p.says
		}
		return p.how + ": " + p.says
	}
	return untested
}

const pageHead = `# Compatibility

What of cbk is tested with which release of Cassandra and which version of the SSTable format. This page is written by
` + "`docs/compatibility_test.go`" + ` (` + "`make compatibility`" + `) from a table that names a test for every cell; that test fails when a
test it names, or the release or format in that test, is not there.

`

const pageCells = `
| cell | meaning |
|------|---------|
| node | tested on a real node of the release |
| files | tested on SSTables that the release wrote: flushed and compacted, every kind of rows, every compressor |
| names | tested on files under the names and in the layouts of the release, made of SSTables of 3.11, 4.0 or 5.0: the release has not been run here |
| layout | tested on bytes that the test lays out as the sources of the release do |
| absent | marked absent in the backup: of 2.x and 6.0 it is not read; of 3.0 and 4.0-rc1 the files that are tested have none |
| no | not done: the files are stored and restored as they are |
| – | not tested |

`

const pageTail = `
## Old releases

Of 2.0 to 3.0, which need a JDK 8, only files have been tested: file names, directories and layouts are those of the
release, but what 2.x writes into rows and Statistics.db, which nothing reads, is not. Stop the node, after ` + "`nodetool drain`" + `, use
` + "`cbk backup --offline --node HOSTID`" + `, and keep what ` + "`DESCRIBE SCHEMA`" + ` of its cqlsh says: the schema of 2.x is in tables that cbk does
not read, and a restore of its files finds no tables to go with them. 3.0 has the system tables of 3.11; that they are read has
not been tried, nor has a backup of a running node.

## 6.0

No node of 6.0 has been run. cbk refuses none for its number. Files are told by their names, ` + "`pa` and `ea`" + ` like others; the
tests have a 5.0's under these names. Statistics.db and CompressionInfo.db, dictionaries included, are read as the sources
of 6.0 lay them out. Rows of these versions are not read, so ` + "`--offline`" + ` marks identity, schema, roles and ring absent. The schema of a
6.0 is in its cluster metadata, so that files of ` + "`system_schema`" + ` restored alone would not bring it back.

## What no test says

Cassandra on Windows, in other JDKs than named above, of other vendors (DSE, ScyllaDB); transient replication; Accord.
`

func renderPage(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(pageHead)
	header := []string{"release", "format"}
	for _, f := range features {
		header = append(header, f.name)
	}
	line(&b, header...)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, v := range versions {
		cells := []string{v.release, "`" + v.format + "`"}
		for _, f := range features {
			cells = append(cells, cell(v, f.name))
		}
		line(&b, cells...)
	}
	b.WriteString(pageCells)
	renderFeatures(&b)
	renderAlso(&b)
	b.WriteString(pageTail)
	return b.String()
}

func line(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// renderFeatures says what the columns mean, and which tests stand behind them.
func renderFeatures(b *strings.Builder) {
	b.WriteString("## Columns and their tests\n\n")
	line(b, "column", "meaning", "tests")
	b.WriteString("|---|---|---|\n")
	for _, f := range features {
		var tests []string
		for _, p := range proofs {
			if name := testName(p.test); p.feature == f.name && !slices.Contains(tests, name) {
				tests = append(tests, name)
			}
		}
		line(b, f.name, f.meaning, strings.Join(tests, "<br>"))
	}
}

func testName(ref string) string {
	path, name, _ := strings.Cut(ref, ":")
	name, sub, _ := strings.Cut(name, "/")
	if sub != "" {
		sub = " (" + sub + ")"
	}
	return fmt.Sprintf("[%s](../%s)%s", name, path, sub)
}

func renderAlso(b *strings.Builder) {
	b.WriteString("\n## Platforms, tables, compressors, stores\n\n")
	line(b, "what", "how", "test")
	b.WriteString("|---|---|---|\n")
	for _, a := range also {
		name := untested
		if a.test != "" {
			name = testName(a.test)
		}
		line(b, a.what, a.how, name)
	}
}
