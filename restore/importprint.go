package restore

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
)

// printImport writes the plan of an import for a reader.
func (p *Plan) printImport(w io.Writer) {
	fmt.Fprintf(w, "Import %s of node %s (%s) into this running node: %d tables, %d files, %s\n", p.Backup, p.Node, p.HostID, len(p.Tables), p.Files,
		humanize.IBytes(uint64(p.Bytes)))
	p.warnImport(w)
	for _, d := range p.Places.Dirs[:p.Places.UserDirs] {
		fmt.Fprintf(w, "  room in %s: about %s needed, %s free\n", d.Live, humanize.IBytes(uint64(d.Need)), humanize.IBytes(uint64(d.Free)))
	}
	fmt.Fprintln(w, "  1. fetch, and compare every file with its hash, read back from disk:")
	for _, d := range p.Places.Dirs[:p.Places.UserDirs] {
		fmt.Fprintf(w, "     into %s\n", d.Staging)
	}
	p.printTime(w)
	for _, s := range p.Online.Schema {
		fmt.Fprintf(w, "  2. run %s\n", indented(s))
	}
	for _, t := range p.Online.Truncate {
		fmt.Fprintf(w, "  3. empty %s: TRUNCATE, with its views; Cassandra keeps a snapshot truncated-… where auto_snapshot is on\n", t)
	}
	how := "import"
	if p.Online.Refresh {
		how = "refresh"
	}
	for i, t := range p.Tables {
		if i == maxMoves {
			fmt.Fprintf(w, "  4. and so on, %d in all\n", len(p.Tables))
			break
		}
		fmt.Fprintf(w, "  4. nodetool %s %s.%s: %d SSTables, %s\n", how, p.into(t.Keyspace), t.Table, t.SSTables, humanize.IBytes(uint64(t.Bytes)))
	}
	for _, s := range p.Online.Views {
		fmt.Fprintf(w, "  5. run %s\n", indented(s))
	}
	fmt.Fprintln(w, "  6. query every imported table")
}

func (p *Plan) warnImport(w io.Writer) {
	if p.Online.Foreign {
		fmt.Fprintln(w, "  !  this node has other tokens than the one of the backup: Cassandra refuses SSTables with rows that are not its own")
	}
	if p.Online.Beside {
		fmt.Fprintln(w, "  -  rows come beside those that are there; the one written last wins, and what was deleted since stays deleted")
	}
	for _, t := range p.Online.Triggers {
		fmt.Fprintf(w, "  -  not made: trigger of %s\n", t)
	}
	for _, v := range p.Online.Built {
		fmt.Fprintf(w, "  -  built by Cassandra from its base table: view %s\n", v)
	}
	for _, s := range p.Online.NotRun {
		fmt.Fprintf(w, "  -  not understood and not run: %.200s\n", indented(s))
	}
}

// indented is a statement of several lines below its first.
func indented(cql string) string { return strings.ReplaceAll(cql, "\n", "\n     ") }
