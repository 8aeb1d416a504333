package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/snapshot"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "bring a backup back", ArgsUsage: "BACKUP",
		Flags: commonFlags(nodeFlag(), clusterFlag(),
			&cli.StringFlag{Name: "to", Usage: "write the node's files into `DIR`, laid out as a data directory"},
			&cli.BoolFlag{Name: "in-place", Usage: "replace the data of this node; the old files are kept"},
			dryRunFlag(), yesFlag()),
		Action: func(c *cli.Context) (err error) {
			name, err := one(c, "backup name")
			if err != nil {
				return err
			}
			if (c.String("to") != "") == c.Bool("in-place") {
				return usageError("restore needs either --to DIR or --in-place")
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
			e, err := b.Pick(c.String("node"))
			if err != nil {
				return usage{err}
			}
			snap, err := snapshot.Open(c.Context, s.repo, e)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, snap.Close()) }()
			if c.Bool("in-place") {
				return restoreInPlace(c, s, snap)
			}
			return restoreTo(c, s, snap)
		},
	}
}

// restoreJSON is cbk.restore/1.
type restoreJSON struct {
	Schema  string        `json:"schema"`
	Backup  string        `json:"backup"`
	Node    nodeJSON      `json:"node"`
	To      string        `json:"to,omitempty"`
	Files   int           `json:"files"`
	Bytes   int64         `json:"bytes"`
	Queried int           `json:"tables_queried"`
	Before  []string      `json:"before"`
	Refused []refusedJSON `json:"refused"`

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

func restoreTo(c *cli.Context, s *session, snap *snapshot.Snapshot) error {
	dir := c.String("to")
	if c.Bool("dry-run") {
		_, err := fmt.Fprintf(c.App.Writer, "restore %s of node %s to %s: %s, %s\n", snap.Backup, snap.Entry.Catalogue.Node, dir,
			plural(snap.Files, "file"), size(snap.BytesSource))
		return err
	}
	progress, end := newProgress(c.App.ErrWriter, s.log)
	got, err := restore.ToDir(c.Context, snap, dir, progress)
	end()
	head := s.auditIfAllowed(c, err)
	if got == nil {
		return err
	}
	if c.Bool("json") {
		doc := document(snap)
		doc.To, doc.Files, doc.Bytes, doc.AuditHead = dir, got.Files, got.Bytes, head
		for _, r := range got.Refused {
			doc.Refused = append(doc.Refused, refusedJSON{r.Keyspace, r.Table, r.Component, r.Err.Error()})
		}
		return errors.Join(printJSON(c.App.Writer, doc), err)
	}
	fmt.Fprintf(c.App.Writer, "restored %s, %s, to %s; every one matches its hash\n", plural(got.Files, "file"), size(got.Bytes), dir)
	for _, r := range got.Refused {
		fmt.Fprintf(c.App.Writer, "NOT restored %s.%s %s: %v\n", r.Keyspace, r.Table, r.Component, r.Err)
	}
	return err
}

func restoreInPlace(c *cli.Context, s *session, snap *snapshot.Snapshot) error {
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	plan, err := restore.PlanInPlace(c.Context, snap, n, time.Now())
	if err != nil {
		return err
	}
	out := c.App.Writer
	if c.Bool("json") {
		out = c.App.ErrWriter // standard output is for the document
	}
	plan.Print(out)
	if c.Bool("dry-run") {
		return nil
	}
	if err := confirm(c, out, "this replaces the node's data"); err != nil {
		return err
	}
	progress, end := newProgress(c.App.ErrWriter, s.log)
	run := restore.InPlace{Snap: snap, Host: n, Plan: plan, StateDir: s.cfg.StateDir, Log: s.log, Progress: progress}
	got, err := run.Run(c.Context)
	end()
	head := s.auditIfAllowed(c, err)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		doc := document(snap)
		doc.Files, doc.Bytes, doc.Queried, doc.Before = got.Files, got.Bytes, got.Queried, got.Before
		doc.AuditHead = head
		return printJSON(c.App.Writer, doc)
	}
	return printOutcome(out, snap.Backup, got)
}

func printOutcome(w io.Writer, backup string, got *restore.Outcome) error {
	_, err := fmt.Fprintf(w, "restored %s: %s, %s, each compared with its hash on disk; Cassandra is up, %s answered\n"+
		"the files of before are kept in\n  %s\nremove them when you are satisfied\n", backup, plural(got.Files, "file"), size(got.Bytes),
		plural(got.Queried, "restored table"), strings.Join(got.Before, "\n  "))
	return err
}
