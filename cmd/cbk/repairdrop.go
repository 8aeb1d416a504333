package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func repairDropCommand() *cli.Command {
	return &cli.Command{
		Name: "drop-damaged", Usage: "mark what damage has taken from backups as lost; deletes nothing",
		Flags: commonFlags(readDataFlag(), dryRunFlag(), yesFlag()),
		Action: func(c *cli.Context) error {
			right := func(r *repo.Repo) error { return r.MustRead("tell which files damage has taken") }
			return checkFirst(c, right, func(s *session, rep *snapshot.Report) error { return s.dropDamaged(c, rep) })
		},
	}
}

func (s *session) dropDamaged(c *cli.Context, rep *snapshot.Report) error {
	plan := rep.Drop()
	doc := repairDropJSON{Schema: "cbk.repair-drop-damaged/1", DryRun: true, Level: rep.Level, Lost: plan.Lost, Left: plan.Left,
		Untouched: rep.Untouched, Records: []string{}}
	if !c.Bool("json") {
		doc.print(c.App.Writer)
	}
	if !c.Bool("dry-run") && len(plan.Lost) > 0 {
		if err := confirm(c, c.App.ErrWriter, "this marks parts of backups as lost"); err != nil {
			return err
		}
		by, err := here()
		if err != nil {
			return err
		}
		planned := doc
		doc.Records, err = snapshot.Mark(c.Context, s.repo, plan, by, time.Now())
		if doc.AuditHead = s.audit(c, planned, err, doc.Records...); err != nil {
			return err
		}
	}
	doc.DryRun = c.Bool("dry-run")
	if c.Bool("json") {
		if err := printJSON(c.App.Writer, doc); err != nil {
			return err
		}
	} else if len(doc.Records) > 0 {
		fmt.Fprintf(c.App.Writer, "marked: %s\n", joined(doc.Records))
	}
	if len(plan.Left) > 0 {
		return quiet{exitDamage}
	}
	return nil
}

// repairDropJSON is cbk.repair-drop-damaged/1.
type repairDropJSON struct {
	Schema    string              `json:"schema"`
	DryRun    bool                `json:"dry_run"`
	Level     string              `json:"level"`
	Lost      []snapshot.LostNode `json:"lost"`
	Left      []snapshot.Damage   `json:"damage_left"`              // that no mark can stand for
	Untouched int                 `json:"node_snapshots_untouched"` // by any damage
	Records   []string            `json:"records"`
	AuditHead string              `json:"audit_head,omitempty"`
}

func (d *repairDropJSON) print(w io.Writer) {
	if len(d.Lost) == 0 {
		fmt.Fprintf(w, "nothing to mark (%s)\n", d.Level)
	}
	for i := range d.Lost {
		n := &d.Lost[i]
		fmt.Fprintf(w, "mark backup %s of cluster %s, node %s\n", n.Backup, n.Cluster, n.Node)
		printLost(w, n)
	}
	for _, o := range d.Left[:min(shownHits, len(d.Left))] {
		fmt.Fprintf(w, "stays DAMAGED, for it is no part of a backup that can be named: %s: %s\n", o.Object, o.What)
	}
	if more := len(d.Left) - shownHits; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	if len(d.Lost) > 0 {
		fmt.Fprintf(w, "no bytes are deleted, and all that is not named can be restored; %s without any damage; cbk repair from-source may bring some back first\n",
			plural(d.Untouched, "node snapshot"))
	}
}

// printLost names what a node snapshot has lost.
func printLost(w io.Writer, n *snapshot.LostNode) {
	if n.Whole {
		fmt.Fprintln(w, "  all of it: what describes its tables is lost")
	}
	if len(n.Texts) > 0 {
		fmt.Fprintf(w, "  texts: %s\n", joined(n.Texts))
	}
	for _, t := range n.Tables[:min(shownHits, len(n.Tables))] {
		what := joined(t.Components[:min(shownHits, len(t.Components))])
		if more := len(t.Components) - shownHits; more > 0 {
			what += fmt.Sprintf(" and %d more", more)
		}
		if t.Whole {
			what = strings.TrimPrefix(what+", and SSTables that cannot be named", ", ")
		}
		fmt.Fprintf(w, "  table %s.%s: %s\n", t.Keyspace, t.Table, what)
	}
	if more := len(n.Tables) - shownHits; more > 0 {
		fmt.Fprintf(w, "  and %d more tables\n", more)
	}
}

func joined(names []string) string { return strings.Join(names, ", ") }
