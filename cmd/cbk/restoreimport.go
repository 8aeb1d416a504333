package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/snapshot"
)

// importFlags are those of restore --import.
func importFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "import", Usage: "have this node, which keeps running, take tables in beside what it has"},
		&cli.BoolFlag{Name: "truncate-first", Usage: "with --import: empty the tables before"},
		&cli.StringFlag{Name: "as-keyspace", Usage: "with --import: bring the one keyspace that is chosen back as `NAME`"},
	}
}

// restoreImport has the node take in tables. An import that was interrupted is gone on with.
func restoreImport(c *cli.Context, s *session, b *snapshot.Backup, snap *snapshot.Snapshot, only snapshot.Selection) error {
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	opt := restore.Options{Host: n, StateDir: s.cfg.StateDir, Log: s.log}
	if opt.Verify, err = verification(c); err != nil {
		return err
	}
	o := restore.NewOrder(restore.Import, snap, only, time.Now())
	o.TruncateFirst, o.AsKeyspace, o.Accept = c.Bool("truncate-first"), c.String("as-keyspace"), c.StringSlice("accept")
	job, err := s.job(c, opt, snap, o)
	if err != nil || job == nil {
		return err
	}
	defer job.Close()
	progress, end := newProgress(c.App.ErrWriter, s.log)
	job.Progress = progress
	got, err := s.runHeld(c, b, func() (*restore.Outcome, error) { return job.Run(c.Context, snap) })
	end()
	head := s.auditIfAllowed(c, err)
	if got == nil {
		return err
	}
	p := job.Journal.Plan
	if c.Bool("json") {
		doc := document(snap)
		doc.ID, doc.Files, doc.Bytes, doc.Verified, doc.Import, doc.AuditHead = p.ID, got.Files, got.Bytes, got.Verified, p.Online, head
		return errors.Join(printJSON(c.App.Writer, doc), err)
	}
	return errors.Join(printImported(c.App.Writer, p, got), err)
}

func printImported(w io.Writer, p *restore.Plan, got *restore.Outcome) error {
	as := ""
	if p.AsKeyspace != "" {
		as = " as keyspace " + p.AsKeyspace
	}
	fmt.Fprintf(w, "imported %s%s: %s, %s, each compared with its hash on disk before\n", p.Backup, as, plural(got.Files, "file"), size(got.Bytes))
	for _, v := range p.Online.Built {
		fmt.Fprintf(w, "view %s is made, and Cassandra builds it from its base table: nodetool viewbuildstatus tells how far it is\n", v)
	}
	if got.Verified == nil {
		return nil
	}
	return got.Verified.Text(w)
}
