package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/ring"
	"cbk/repo"
	"cbk/snapshot"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the backups", Flags: commonFlags(filterFlags()...),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			chosen, err := filter(c)
			if err != nil {
				return err
			}
			s, err := open(c, true)
			if err != nil {
				return err
			}
			defer s.close(&err)
			var damaged []*repo.DamageError
			all, err := snapshot.List(c.Context, s.repo, func(d *repo.DamageError) { damaged = append(damaged, d) })
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(b snapshot.Backup) bool { return !chosen.Match(&b) })
			if c.Bool("json") {
				err = printJSON(c.App.Writer, listDocument(all))
			} else {
				err = printList(c.App.Writer, all)
			}
			if err == nil && len(damaged) > 0 {
				return fmt.Errorf("the list may lack backups: %w", damaged[0])
			}
			return err
		},
	}
}

// listJSON is cbk.list/1. Complete and restorable are null for a key that sees only some nodes.
type listJSON struct {
	Schema  string       `json:"schema"`
	Backups []listedJSON `json:"backups"`
}

type listedJSON struct {
	Name       string  `json:"name"`
	Cluster    string  `json:"cluster"`
	Mode       string  `json:"mode"`
	Started    string  `json:"started"`
	Finished   *string `json:"finished"`
	NodesTotal int     `json:"nodes_total"`
	NodesDone  int     `json:"nodes_done"`
	Complete   *bool   `json:"complete"`
	// Restorable is the level that the nodes that are in reach for every range of every keyspace: NONE, ONE, QUORUM or ALL;
	// null where a ring is not known, too, and for chosen tables.
	Restorable  *ring.Level `json:"restorable"`
	Selected    bool        `json:"selected"`         // of chosen tables only
	Missing     int         `json:"missing_tables"`   // of the schema, that Cassandra's snapshots lacked
	Damaged     int         `json:"damaged_sstables"` // on the nodes
	Lost        *lostJSON   `json:"lost,omitempty"`
	BytesSource int64       `json:"bytes_source"`
	BytesStored int64       `json:"bytes_stored"`
	// Annotations are those of the nodes, which are given the same.
	Annotations map[string]string `json:"annotations"`
}

func listDocument(all []snapshot.Backup) listJSON {
	doc := listJSON{Schema: "cbk.list/1", Backups: []listedJSON{}}
	for i := range all {
		doc.Backups = append(doc.Backups, listed(&all[i]))
	}
	return doc
}

func listed(b *snapshot.Backup) listedJSON {
	total := b.Total()
	out := listedJSON{Name: b.Name, Cluster: b.Cluster, Mode: b.Nodes[0].Mode, Started: clock(b.Started()),
		NodesTotal: len(b.Nodes) + len(b.Missing), NodesDone: len(b.Nodes),
		BytesSource: total.BytesSource, BytesStored: total.BytesStored, Selected: b.Selected()}
	out.Missing, out.Damaged = b.Flaws()
	out.Lost = lostOf(b)
	out.Annotations = b.Annotations()
	if level, known := b.Restorable(); known {
		out.Restorable = &level
	}
	if !b.Partial {
		complete := b.Complete()
		out.Complete = &complete
	}
	if b.Complete() {
		finished := clock(b.Finished())
		out.Finished = &finished
	}
	return out
}

// nodes says how many of a backup's nodes are in, and what is wrong with them.
func nodes(b *snapshot.Backup) string {
	text := nodesIn(b)
	if b.Selected() {
		text += ", chosen tables"
	}
	missing, damaged := b.Flaws()
	if missing > 0 {
		text += fmt.Sprintf(", %s missing", plural(missing, "table"))
	}
	if damaged > 0 {
		text += fmt.Sprintf(", %s damaged at the source", plural(damaged, "SSTable"))
	}
	if l := lostOf(b); l != nil {
		text += ", " + l.String()
	}
	return text
}

// lostJSON counts what is marked as lost.
type lostJSON struct {
	Nodes      int `json:"nodes"` // as a whole
	Tables     int `json:"tables"`
	Components int `json:"components"`
}

// String says what is lost for people.
func (l *lostJSON) String() string {
	var what []string
	if l.Nodes > 0 {
		what = append(what, "all of "+plural(l.Nodes, "node"))
	}
	if l.Tables+l.Components > 0 {
		what = append(what, fmt.Sprintf("%s of %s", plural(l.Components, "file"), plural(l.Tables, "table")))
	}
	return "DAMAGED: " + strings.Join(what, " and ") + " lost"
}

func lostOf(b *snapshot.Backup) *lostJSON {
	l := lostJSON{}
	if l.Nodes, l.Tables, l.Components = b.Lost(); l == (lostJSON{}) {
		return nil
	}
	return &l
}

func nodesIn(b *snapshot.Backup) string {
	total := len(b.Nodes) + len(b.Missing)
	if b.Partial {
		return fmt.Sprintf("%s seen with this key of %d", plural(len(b.Nodes), "node"), total)
	}
	if b.Complete() {
		return fmt.Sprintf("%d of %d nodes", len(b.Nodes), total)
	}
	if b.Unsure() {
		return fmt.Sprintf("Incomplete [%d of ? nodes]", len(b.Nodes))
	}
	level, known := b.Restorable()
	if !known || len(b.Missing) == 0 {
		return fmt.Sprintf("Incomplete [%d of %d nodes]", len(b.Nodes), total)
	}
	return fmt.Sprintf("Incomplete [%d of %d nodes], restorable at %s", len(b.Nodes), total, level)
}

func printList(w io.Writer, all []snapshot.Backup) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no backups")
		return err
	}
	t := newTable(w, 7, "name", "cluster", "mode", "started", "finished", "nodes", "source", "stored")
	for i := range all {
		b := &all[i]
		total := b.Total()
		finished := "-"
		if b.Complete() {
			finished = clock(b.Finished())
		}
		t.AppendRow([]any{b.Name, b.Cluster, b.Nodes[0].Mode, clock(b.Started()), finished, nodes(b), size(total.BytesSource), size(total.BytesStored)})
	}
	t.Render()
	return nil
}
