package restore

import (
	"cmp"
	"fmt"
	"io"
	"slices"
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
	p.printTime(w)
	if p.whole() {
		fmt.Fprintln(w, "  2. stop Cassandra")
	} else {
		fmt.Fprintln(w, "  2. drain and stop Cassandra")
	}
	p.printMoves(w)
	if p.FirstStart != nil {
		fmt.Fprintf(w, "  4. have it take over %d tokens at its first start, in cassandra.yaml\n", len(p.FirstStart.Tokens))
	}
	fmt.Fprintln(w, "  4. move the restored files in, start Cassandra, wait until CQL answers, and verify as --verify says (by default: some partitions of each table)")
	for _, t := range p.Fit {
		if len(t.Build) > 0 {
			fmt.Fprintf(w, "  5. build anew on %s.%s: index %s\n", t.Keyspace, t.Table, strings.Join(t.Build, ", "))
		}
	}
}

func (p *Plan) printTime(w io.Writer) {
	if p.Time != nil {
		fmt.Fprintf(w, "     %s; reading back comes on top\n", p.Time)
	}
}

// maxRefused bounds the damaged components that are printed.
const maxRefused = 20

// Print tells what is damaged, and which of the tables that were asked for are whole.
func (e *DamagedError) Print(w io.Writer, whole []string) {
	for i, r := range e.Refused {
		if i == maxRefused {
			fmt.Fprintf(w, "  damaged and so on, %d components in all\n", len(e.Refused))
			break
		}
		fmt.Fprintf(w, "  damaged %s.%s %s: %v\n", r.Keyspace, r.Table, r.Component, r.Err)
	}
	fmt.Fprintf(w, "  whole and can be restored with --table: %s\n", cmp.Or(strings.Join(whole, ", "), "none"))
}

// Whole are the tables of users in a plan that damage did not hit.
func (e *DamagedError) Whole(p *Plan) []string {
	whole := []string{}
	for _, t := range p.Tables {
		hit := func(r Refused) bool { return r.Keyspace == t.Keyspace && r.Table == t.Table }
		if !isSystem(t.Keyspace) && !slices.ContainsFunc(e.Refused, hit) {
			whole = append(whole, t.Keyspace+"."+t.Table)
		}
	}
	return whole
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
