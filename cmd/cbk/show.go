package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/ring"
	"cbk/snapshot"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show a backup: its nodes, what can be restored of it and, of one node, its tables", ArgsUsage: "BACKUP",
		Flags: commonFlags(append(textFlags(), nodeFlag(), clusterFlag(),
			&cli.BoolFlag{Name: "tables", Usage: "show the tables of every node"},
			&cli.BoolFlag{Name: "sstables", Usage: "list the SSTables, with tokens and times"})...),
		Action: func(c *cli.Context) error {
			if textAsked(c) {
				return showText(c)
			}
			if c.Bool("sstables") {
				return showSSTables(c)
			}
			doc, err := showDocument(c)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return printShow(c.App.Writer, doc)
		},
	}
}

// showJSON is cbk.show/1. Coverage is null where a listing says nothing of what can be restored either.
type showJSON struct {
	Schema string `json:"schema"`
	listedJSON
	Absent   []ring.Member   `json:"missing_nodes"`
	Coverage []ring.Coverage `json:"coverage"`
	Nodes    []shownJSON     `json:"nodes"`
}

// shownJSON is a node. What stands after bytes_stored is in the content of the backup: of a node whose tables are not
// shown, or without a reader's key, it is missing.
type shownJSON struct {
	Name          string          `json:"name"`
	HostID        string          `json:"host_id"`
	Started       string          `json:"started"`
	Finished      string          `json:"finished"`
	MissingTables int             `json:"missing_tables"`
	Damaged       int             `json:"damaged_sstables"`
	Losses        []shownLossJSON `json:"losses,omitempty"`
	BytesSource   int64           `json:"bytes_source"`
	BytesStored   int64           `json:"bytes_stored"`
	*NodeContent
}

// showDocument shows tables where they are asked for, or where there is one node, to a key that reads them.
func showDocument(c *cli.Context) (doc *showJSON, err error) {
	name, err := one(c, "backup name")
	if err != nil {
		return nil, err
	}
	s, err := open(c, true)
	if err != nil {
		return nil, err
	}
	defer s.close(&err)
	b, err := snapshot.Find(c.Context, s.repo, name, c.String("cluster"))
	if err != nil {
		return nil, err
	}
	doc = &showJSON{Schema: "cbk.show/1", listedJSON: listed(b), Absent: append([]ring.Member{}, b.Missing...)}
	if !b.Partial && !b.Unsure() && !b.Selected() {
		if doc.Coverage, err = b.Coverage(c.Context, s.repo); err != nil {
			return nil, err
		}
	}
	chosen, err := chosenNodes(c, b)
	if err != nil {
		return nil, err
	}
	tables := s.repo.Reads() && (len(chosen) == 1 || c.Bool("tables"))
	if c.Bool("tables") && !tables {
		return nil, s.repo.MustRead("show tables")
	}
	for i := range chosen {
		shown := shownNode(&chosen[i])
		if tables {
			if shown.NodeContent, err = openedContent(c, s, &chosen[i]); err != nil {
				return nil, err
			}
		}
		doc.Nodes = append(doc.Nodes, shown)
	}
	return doc, nil
}

func shownNode(e *snapshot.Entry) shownJSON {
	return shownJSON{Name: e.Node, HostID: e.HostID, Started: clock(e.Started), Finished: clock(e.Finished), MissingTables: e.MissingTables,
		Damaged: e.DamagedSSTables, Losses: shownLosses(e), BytesSource: e.BytesSource, BytesStored: e.BytesStored}
}

func printShow(w io.Writer, doc *showJSON) error {
	fmt.Fprintf(w, "backup %s of cluster %s, %s, %d of %d nodes\n", doc.Name, doc.Cluster, doc.Mode, doc.NodesDone, doc.NodesTotal)
	for _, m := range doc.Absent {
		fmt.Fprintf(w, "MISSING node %s (%s), %s/%s\n", m.Address, m.HostID, m.DC, m.Rack)
	}
	for i := range doc.Nodes {
		for _, l := range doc.Nodes[i].Losses {
			l.print(w, doc.Nodes[i].Name)
		}
	}
	printRestorable(w, doc.Coverage)
	var err error
	if len(doc.Nodes) > 1 || doc.Nodes[0].NodeContent == nil {
		printNodes(w, doc.Nodes)
	}
	for i := range doc.Nodes {
		if doc.Nodes[i].NodeContent != nil {
			err = errors.Join(err, printContent(w, &doc.Nodes[i]))
		}
	}
	return err
}

// shownLossJSON is what was marked as lost of a node at one time.
type shownLossJSON struct {
	Since  string               `json:"since"`
	By     string               `json:"by"`
	Key    string               `json:"key"`
	Record string               `json:"record"`
	Whole  bool                 `json:"whole"` // everything
	Texts  []string             `json:"texts"`
	Tables []snapshot.LostTable `json:"tables"`
}

func shownLosses(e *snapshot.Entry) (out []shownLossJSON) {
	for _, l := range e.Losses {
		out = append(out, shownLossJSON{clock(l.Since), l.By, l.Key, l.Record, l.Whole, list(l.Texts), list(l.Tables)})
	}
	return out
}

func (l *shownLossJSON) print(w io.Writer, node string) {
	fmt.Fprintf(w, "DAMAGED node %s, marked %s by %s (key %s)\n", node, l.Since, l.By, l.Key)
	printLost(w, &snapshot.LostNode{Whole: l.Whole, Texts: l.Texts, Tables: l.Tables})
}

func printNodes(w io.Writer, nodes []shownJSON) {
	t := newTable(w, 6, "node", "host id", "state", "started", "finished", "source", "stored")
	for _, n := range nodes {
		t.AppendRow([]any{n.Name, n.HostID, nodeState(&n), n.Started, n.Finished, size(n.BytesSource), size(n.BytesStored)})
	}
	t.Render()
}

func nodeState(n *shownJSON) string {
	switch {
	case n.MissingTables > 0:
		return plural(n.MissingTables, "table") + " missing"
	case len(n.Losses) > 0:
		return "DAMAGED"
	case n.Damaged > 0:
		return plural(n.Damaged, "SSTable") + " damaged"
	}
	return "whole"
}

// shownRanges is how many ranges of a keyspace a person is shown; --json has all.
const shownRanges = 5

// printRestorable tells what can be restored: of keyspaces that are all there in one line.
func printRestorable(w io.Writer, all []ring.Coverage) {
	whole := 0
	for _, c := range all {
		if c.Level == ring.All && c.Unknown == "" {
			whole++
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(w, "restorable at ALL: %d of %s\n", whole, plural(len(all), "keyspace"))
	}
	for _, c := range all {
		switch {
		case c.Unknown != "":
			fmt.Fprintf(w, "  %s: not known: %s\n", c.Keyspace, c.Unknown)
		case c.Local && c.Level != ring.All:
			fmt.Fprintf(w, "  %s: each node has its own, %s missing\n", c.Keyspace, plural(len(c.Missing), "node"))
		case c.Level != ring.All:
			printUncovered(w, &c)
		}
	}
}

func printUncovered(w io.Writer, c *ring.Coverage) {
	next := c.Level + 1
	lost := ""
	if c.Level != ring.None {
		lost = "; rows that only missing replicas held are lost"
	}
	fmt.Fprintf(w, "  %s: %s (%d of %d ranges whole)%s\n", c.Keyspace, c.Level, c.Ranges.All, c.Ranges.None+c.Ranges.One+c.Ranges.Quorum+c.Ranges.All, lost)
	ranges := c.Uncovered[next]
	for _, r := range ranges[:min(shownRanges, len(ranges))] {
		fmt.Fprintf(w, "    below %s: %s\n", next, r)
	}
	if len(ranges) > shownRanges {
		fmt.Fprintf(w, "    and %d more\n", len(ranges)-shownRanges)
	}
}
