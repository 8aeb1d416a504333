package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/restore/prove"
	"cbk/snapshot"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "bring a backup back", ArgsUsage: "BACKUP",
		Flags: commonFlags(slices.Concat([]cli.Flag{nodeFlag(), clusterFlag(),
			&cli.StringFlag{Name: "to", Usage: "write the node's files into `DIR`, laid out as a data directory"},
			&cli.BoolFlag{Name: "in-place", Usage: "replace the data of this node; the old files are kept"}},
			importFlags(), selectionFlags(), verifyFlags(), endFlags(), []cli.Flag{acceptLostFlag(), dryRunFlag(), yesFlag()})...),
		Action: func(c *cli.Context) error {
			if ends(c) {
				return endRestore(c)
			}
			return restoreBackup(c)
		},
	}
}

func restoreBackup(c *cli.Context) (err error) {
	name, err := one(c, "backup name")
	if err != nil {
		return err
	}
	if count(c.String("to") != "", c.Bool("in-place"), c.Bool("import")) != 1 {
		return usageError("restore needs one of --to DIR, --in-place and --import")
	}
	if !c.Bool("import") && (c.Bool("truncate-first") || c.String("as-keyspace") != "") {
		return usageError("--truncate-first and --as-keyspace go with --import")
	}
	only := selection(c)
	if err := only.Check(); err != nil {
		return usage{err}
	}
	s, err := openContent(c)
	if err != nil {
		return err
	}
	defer s.close(&err)
	b, err := snapshot.Find(c.Context, s.repo, name, c.String("cluster"))
	if err != nil {
		return err
	}
	e, err := s.pick(c, b)
	if err != nil {
		return usage{err}
	}
	if err := refuseLost(c, e, &only); err != nil {
		return err
	}
	snap, err := snapshot.Open(c.Context, s.repo, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	switch {
	case c.Bool("in-place"):
		return restoreInPlace(c, s, b, snap, only)
	case c.Bool("import"):
		return restoreImport(c, s, b, snap, only)
	}
	return restoreTo(c, s, snap, &only)
}

// pick chooses a node of a backup: the one asked for, onto a node this one, the only one.
func (s *session) pick(c *cli.Context, b *snapshot.Backup) (*snapshot.Entry, error) {
	name := c.String("node")
	if name == "" && c.String("to") == "" && len(b.Nodes) > 1 {
		n, err := s.node()
		if err != nil {
			return nil, err
		}
		defer n.Close()
		if id, err := n.Identity(c.Context); err == nil {
			name = id.HostID
		}
	}
	return b.Pick(name)
}

// restoreJSON is cbk.restore/1.
type restoreJSON struct {
	Schema   string          `json:"schema"`
	ID       string          `json:"id,omitempty"` // of a restore onto a node
	Backup   string          `json:"backup"`
	Node     nodeJSON        `json:"node"`
	To       string          `json:"to,omitempty"`
	Files    int             `json:"files"`
	Bytes    int64           `json:"bytes"`
	Verified *prove.Report   `json:"verified"` // null for files, and where the node was verified before
	Before   []string        `json:"before"`
	Refused  []refusedJSON   `json:"refused"`
	Whole    []string        `json:"whole,omitempty"`  // of a restore onto a node that damage forbids: tables that can be restored
	Import   *restore.Taking `json:"import,omitempty"` // what an import made and emptied

	AuditHead string `json:"audit_head,omitempty"`
}

type refusedJSON struct {
	Keyspace  string `json:"keyspace"`
	Table     string `json:"table"`
	Component string `json:"component"`
	Why       string `json:"why"`
}

func document(snap *snapshot.Snapshot) restoreJSON {
	return restoreJSON{Schema: "cbk.restore/1", Backup: snap.Backup, Node: nodeJSON{snap.Entry.Catalogue.Node, snap.HostID},
		Before: []string{}, Refused: []refusedJSON{}}
}

func (doc *restoreJSON) refuse(all []restore.Refused) {
	for _, r := range all {
		doc.Refused = append(doc.Refused, refusedJSON{r.Keyspace, r.Table, r.Component, r.Err.Error()})
	}
}

func restoreTo(c *cli.Context, s *session, snap *snapshot.Snapshot, only *snapshot.Selection) error {
	dir := c.String("to")
	plan, err := restore.PlanDir(snap, only, dir)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return dryRunTo(c, plan)
	}
	progress, end := newProgress(c.App.ErrWriter, s.log)
	got, err := plan.Fetch(c.Context, progress)
	end()
	err = accepted(&snap.Entry, err)
	head := s.auditIfAllowed(c, err)
	if got == nil {
		return err
	}
	if c.Bool("json") {
		doc := document(snap)
		doc.To, doc.Files, doc.Bytes, doc.AuditHead = dir, got.Files, got.Bytes, head
		doc.refuse(got.Refused)
		return errors.Join(printJSON(c.App.Writer, doc), err)
	}
	fmt.Fprintf(c.App.Writer, "restored %s, %s, to %s; every one matches its hash\n", plural(got.Files, "file"), size(got.Bytes), dir)
	for _, r := range got.Refused {
		fmt.Fprintf(c.App.Writer, "NOT restored %s.%s %s: %v\n", r.Keyspace, r.Table, r.Component, r.Err)
	}
	return err
}

// planToJSON is cbk.restore-to-plan/1.
type planToJSON struct {
	Schema string `json:"schema"`
	*restore.DirPlan
}

func dryRunTo(c *cli.Context, p *restore.DirPlan) error {
	if err := p.Estimate(c.Context); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, planToJSON{"cbk.restore-to-plan/1", p})
	}
	took := ""
	if p.Time != nil {
		took = "\n  " + p.Time.String()
	}
	_, err := fmt.Fprintf(c.App.Writer, "restore %s of node %s to %s: %s, %s; %s free there%s\n", p.Backup, p.Node, p.Dir, plural(p.Files, "file"),
		size(p.Bytes), size(p.Free), took)
	return err
}
