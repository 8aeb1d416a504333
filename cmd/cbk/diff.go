package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "tell what came and went from one backup to another: tables, SSTables, bytes", ArgsUsage: "A B",
		Flags: commonFlags(&cli.StringFlag{Name: "node", Usage: "only this `NODE`, by name or host id"}, clusterFlag()),
		Action: func(c *cli.Context) (err error) {
			if c.NArg() != 2 {
				return usageError("diff takes the names of two backups, got %d", c.NArg())
			}
			s, err := openContent(c)
			if err != nil {
				return err
			}
			defer s.close(&err)
			var both [2]*snapshot.Backup
			for i, name := range c.Args().Slice() {
				if both[i], err = snapshot.Find(c.Context, s.repo, name, c.String("cluster")); err != nil {
					return err
				}
			}
			nodes, err := nodePairs(both[0], both[1], c.String("node"))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return diffDocument(c, s, both, nodes)
			}
			return diffText(c, s, nodes)
		},
	}
}

// nodePair is a node as two backups have it; one of them may not.
type nodePair struct{ before, after *snapshot.Entry }

func (p *nodePair) some() *snapshot.Entry { return cmp.Or(p.after, p.before) }

// nodePairs matches the nodes of two backups by host id, in the order of their names.
func nodePairs(before, after *snapshot.Backup, only string) ([]*nodePair, error) {
	var all []*nodePair
	at := func(e *snapshot.Entry) *nodePair {
		i := slices.IndexFunc(all, func(p *nodePair) bool { return strings.EqualFold(p.some().HostID, e.HostID) })
		if i < 0 {
			i = len(all)
			all = append(all, &nodePair{})
		}
		return all[i]
	}
	for i := range before.Nodes {
		at(&before.Nodes[i]).before = &before.Nodes[i]
	}
	for i := range after.Nodes {
		at(&after.Nodes[i]).after = &after.Nodes[i]
	}
	if only != "" {
		is := func(e *snapshot.Entry) bool { return e != nil && (e.Node == only || strings.EqualFold(e.HostID, only)) }
		all = slices.DeleteFunc(all, func(p *nodePair) bool { return !is(p.before) && !is(p.after) })
		if len(all) == 0 {
			return nil, fmt.Errorf("%w: node %q in backup %q or %q", snapshot.ErrNotFound, only, before.Name, after.Name)
		}
	}
	slices.SortStableFunc(all, func(x, y *nodePair) int { return strings.Compare(x.some().Node, y.some().Node) })
	return all, nil
}

// diffNodeJSON is a node of cbk.diff/1. Of one that only one of the backups has, all its SSTables are added or gone, and
// tables are not looked at.
type diffNodeJSON struct {
	Node   string               `json:"node"`
	HostID string               `json:"host_id"`
	In     string               `json:"in"` // both, first, second
	Tables []snapshot.TableDiff `json:"tables"`
	diffTotals
}

// diffTotals adds up what became of tables.
type diffTotals struct {
	Created int             `json:"tables_created"`
	Dropped int             `json:"tables_dropped"`
	Changed int             `json:"tables_changed"`
	Kept    int             `json:"tables_same"`
	Added   snapshot.Amount `json:"added"`
	Gone    snapshot.Amount `json:"gone"`
	Same    snapshot.Amount `json:"same"`
}

func (t *diffTotals) add(o *diffTotals) {
	t.Created += o.Created
	t.Dropped += o.Dropped
	t.Changed += o.Changed
	t.Kept += o.Kept
	t.Added.Add(o.Added)
	t.Gone.Add(o.Gone)
	t.Same.Add(o.Same)
}

func (t *diffTotals) table(d *snapshot.TableDiff) {
	one := diffTotals{Added: d.Added, Gone: d.Gone, Same: d.Same}
	*map[string]*int{snapshot.TableCreated: &one.Created, snapshot.TableDropped: &one.Dropped, snapshot.TableChanged: &one.Changed,
		snapshot.TableSame: &one.Kept}[d.Fate] = 1
	t.add(&one)
}

// diff compares a node. Of tables that are the same only their number is kept.
func (p *nodePair) diff(c *cli.Context, s *session) (n *diffNodeJSON, err error) {
	e := p.some()
	n = &diffNodeJSON{Node: e.Node, HostID: e.HostID, In: "both", Tables: []snapshot.TableDiff{}}
	held := snapshot.Amount{SSTables: e.SSTables, Bytes: e.BytesSource}
	switch {
	case p.before == nil:
		n.In, n.Added, n.Created = "second", held, e.Tables
		return n, nil
	case p.after == nil:
		n.In, n.Gone, n.Dropped = "first", held, e.Tables
		return n, nil
	}
	before, err := snapshot.Open(c.Context, s.repo, p.before)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, before.Close()) }()
	after, err := snapshot.Open(c.Context, s.repo, p.after)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, after.Close()) }()
	return n, snapshot.Diff(c.Context, before, after, func(d *snapshot.TableDiff) error {
		n.table(d)
		if d.Fate != snapshot.TableSame {
			n.Tables = append(n.Tables, *d)
		}
		return nil
	})
}

// diffHeadJSON is how cbk.diff/1 begins; nodes and total follow.
type diffHeadJSON struct {
	Schema  string `json:"schema"`
	Cluster string `json:"cluster"`
	First   string `json:"first"`
	Second  string `json:"second"`
}

// diffDocument writes the document node by node: no more than one node's tables are held.
func diffDocument(c *cli.Context, s *session, both [2]*snapshot.Backup, nodes []*nodePair) error {
	w := c.App.Writer
	head, err := json.Marshal(diffHeadJSON{"cbk.diff/1", both[1].Cluster, both[0].Name, both[1].Name})
	if err != nil {
		return err
	}
	var total diffTotals
	separator := string(bytes.TrimSuffix(head, []byte("}"))) + `,"nodes":[`
	for _, p := range nodes {
		n, err := p.diff(c, s)
		if err != nil {
			return err
		}
		total.add(&n.diffTotals)
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		separator = ","
		if err := printJSON(w, n); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, `],"total":`); err != nil {
		return err
	}
	if err := printJSON(w, total); err != nil {
		return err
	}
	_, err = io.WriteString(w, "}\n")
	return err
}

// diffText prints what changed, a table for each node.
func diffText(c *cli.Context, s *session, nodes []*nodePair) error {
	w := c.App.Writer
	var total diffTotals
	for _, p := range nodes {
		n, err := p.diff(c, s)
		if err != nil {
			return err
		}
		total.add(&n.diffTotals)
		printDiff(w, n)
	}
	_, err := fmt.Fprintf(w, "%s created, %d dropped, %d changed, %d the same; SSTables: %s added, %s gone, %s the same\n",
		plural(total.Created, "table"), total.Dropped, total.Changed, total.Kept, amountOf(total.Added), amountOf(total.Gone), amountOf(total.Same))
	return err
}

func printDiff(w io.Writer, n *diffNodeJSON) {
	switch {
	case n.In == "first":
		fmt.Fprintf(w, "node %s (%s): only in the first backup, %s of SSTables\n", n.Node, n.HostID, amountOf(n.Gone))
	case n.In == "second":
		fmt.Fprintf(w, "node %s (%s): only in the second backup, %s of SSTables\n", n.Node, n.HostID, amountOf(n.Added))
	case len(n.Tables) == 0:
		fmt.Fprintf(w, "node %s: no table differs\n", n.Node)
	default:
		fmt.Fprintf(w, "node %s\n", n.Node)
		t := newTable(w, 3, "table", "state", "added", "bytes", "gone", "bytes", "same", "bytes")
		for _, d := range n.Tables {
			t.AppendRow([]any{d.Keyspace + "." + d.Table, d.Fate, d.Added.SSTables, size(d.Added.Bytes), d.Gone.SSTables, size(d.Gone.Bytes),
				d.Same.SSTables, size(d.Same.Bytes)})
		}
		t.Render()
	}
}

func amountOf(a snapshot.Amount) string { return fmt.Sprintf("%d (%s)", a.SSTables, size(a.Bytes)) }
