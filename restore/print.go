package restore

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"

	"cbk/restore/fit"
)

// Print writes the plan for a reader.
func (p *Plan) Print(w io.Writer) {
	if p.Way == Import {
		p.printImport(w)
		return
	}
	what := "in place"
	if p.Way == Clone {
		what = "onto this node of another cluster"
	}
	fmt.Fprintf(w, "Restore %s of node %s (%s) %s: %d tables, %d files, %s\n", p.Backup, p.Node, p.HostID, what, len(p.Tables), p.Files,
		humanize.IBytes(uint64(p.Bytes)))
	p.warn(w)
	for _, d := range p.Places.Dirs {
		fmt.Fprintf(w, "  room in %s: about %s needed, %s free\n", d.Live, humanize.IBytes(uint64(d.Need)), humanize.IBytes(uint64(d.Free)))
	}
	fmt.Fprintln(w, "  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk")
	if p.whole() {
		fmt.Fprintln(w, "  2. stop Cassandra")
	} else {
		fmt.Fprintln(w, "  2. drain and stop Cassandra")
	}
	p.printMoves(w)
	if p.FirstStart != nil {
		fmt.Fprintf(w, "  4. have it take over %d tokens at its first start, in cassandra.yaml\n", len(p.FirstStart.Tokens))
	}
	fmt.Fprintln(w, "  4. move the restored files in, start Cassandra, wait until CQL answers, query every restored table")
}

// PrintRisks writes what the SSTables of the plan carry with them.
func (p *Plan) PrintRisks(w io.Writer) {
	(&fit.Result{Risks: p.Risks, Tables: p.Fit}).Print(w)
	for _, code := range p.Idle {
		fmt.Fprintf(w, "  accepted, and no risk here: %s\n", code)
	}
}

func (p *Plan) warn(w io.Writer) {
	if !p.Running && p.Way == InPlace {
		fmt.Fprintln(w, "  !  Cassandra does not answer here: that this is the node above is taken on trust")
	}
	if p.Damaged > 0 {
		fmt.Fprintf(w, "  !  %d SSTables were damaged on the node when they were backed up, and come back as they were\n", p.Damaged)
	}
	if len(p.LeftOut) > 0 {
		fmt.Fprintf(w, "  left out, since they are of the old node: %s\n", strings.Join(p.LeftOut, ", "))
	}
}

// maxMoves bounds the moves that are printed: there is one for each chosen table and data directory.
const maxMoves = 50

func (p *Plan) printMoves(w io.Writer) {
	for i, m := range p.Moves {
		if i == maxMoves {
			fmt.Fprintf(w, "  3. and so on, %d in all\n", len(p.Moves))
			return
		}
		but := ""
		if len(m.Keep) > 0 {
			but = " but " + strings.Join(m.Keep, " and ")
		}
		fmt.Fprintf(w, "  3. move the content of %s%s to %s\n", m.Live, but, m.Before)
	}
}
