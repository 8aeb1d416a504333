package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/node"
	"cbk/cassandra/offline"
	"cbk/cassandra/schema"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/restore"
	"cbk/restore/fit"
	"cbk/restore/prove"
	"cbk/snapshot"
)

// restoreInPlace restores a node, or chosen tables of it.
func restoreInPlace(c *cli.Context, s *session, b *snapshot.Backup, snap *snapshot.Snapshot, only snapshot.Selection) error {
	o := restore.NewOrder(restore.InPlace, snap, only, time.Now())
	return s.restoreOnto(c, b, snap, o, s.fileSchema, printOutcome)
}

// restoreOnto carries an order out on this node. A restore that was interrupted is gone on with.
func (s *session) restoreOnto(c *cli.Context, b *snapshot.Backup, snap *snapshot.Snapshot, o restore.Order, files restore.FileSchema,
	print func(io.Writer, *restore.Plan, *restore.Outcome) error) error {
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	opt := restore.Options{Host: n, StateDir: s.cfg.StateDir, Log: s.log, FileSchema: files}
	if opt.Verify, err = verification(c); err != nil {
		return err
	}
	o.Accept = c.StringSlice("accept")
	job, err := s.job(c, opt, snap, o)
	if err != nil || job == nil {
		return err
	}
	defer job.Close()
	progress, end := newProgress(c.App.ErrWriter, s.log)
	job.Progress = progress
	var got *restore.Outcome
	err = s.whileHeld(c, b, func() (err error) {
		got, err = job.Run(c.Context, snap)
		return err
	})
	end()
	head := s.auditIfAllowed(c, err)
	if got == nil {
		return tellDamage(c, snap, job.Journal.Plan, err)
	}
	p := job.Journal.Plan
	if c.Bool("json") {
		doc := document(snap)
		doc.ID, doc.Files, doc.Bytes, doc.Verified, doc.Import, doc.AuditHead = p.ID, got.Files, got.Bytes, got.Verified, p.Online, head
		doc.Before = append(doc.Before, got.Before...)
		return errors.Join(printJSON(c.App.Writer, doc), err)
	}
	return errors.Join(print(c.App.Writer, p, got), err)
}

// tellDamage tells of a restore that damage forbade what can be restored all the same.
func tellDamage(c *cli.Context, snap *snapshot.Snapshot, p *restore.Plan, err error) error {
	var damaged *restore.DamagedError
	if !errors.As(err, &damaged) {
		return err
	}
	whole := damaged.Whole(p)
	if !c.Bool("json") {
		damaged.Print(c.App.Writer, whole)
		return err
	}
	doc := document(snap)
	doc.ID, doc.Whole = p.ID, whole
	doc.refuse(damaged.Refused)
	return errors.Join(printJSON(c.App.Writer, doc), err)
}

// fileSchema reads the schema of this node from its files, while it is stopped.
func (s *session) fileSchema(ctx context.Context) (schema.System, error) {
	n, err := offline.New(s.cfg.node(), s.log)
	if err != nil {
		return schema.System{}, err
	}
	return n.System(ctx)
}

// verifyFlags say how a restored node shows that it has the data.
func verifyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "accept", Usage: "do it at the `RISK` that the plan names; may be repeated"},
		&cli.StringFlag{Name: "verify", Usage: "after the start: hashes (none but those of files, before it), sample partitions, or counts of rows too", DefaultText: "sample"},
		&cli.StringFlag{Name: "verify-level", Usage: "consistency `LEVEL` of the queries", DefaultText: "LOCAL_ONE"},
		&cli.StringFlag{Name: "verify-queries", Usage: "also ask the queries of `FILE`, YAML, and compare their answers"},
	}
}

func verification(c *cli.Context) (v restore.Verification, err error) {
	if mode := c.String("verify"); mode != "" {
		if v.Mode, err = prove.ParseMode(mode); err != nil {
			return v, usageError("--verify: %w", err)
		}
	}
	if v.Level = c.String("verify-level"); v.Level != "" {
		if err := node.CheckLevel(v.Level); err != nil {
			return v, usageError("--verify-level: %w", err)
		}
	}
	if name := c.String("verify-queries"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return v, usageError("--verify-queries: %w", err)
		}
		defer f.Close()
		if v.Queries, err = prove.ReadQueries(f); err != nil {
			return v, usageError("--verify-queries %s: %w", name, err)
		}
	}
	return v, nil
}

// job is the restore that an order means: the interrupted one, or a new one that is planned, printed and confirmed. It is
// nil after a dry run.
func (s *session) job(c *cli.Context, opt restore.Options, snap *snapshot.Snapshot, o restore.Order) (*restore.Job, error) {
	out := c.App.Writer
	if c.Bool("json") {
		out = c.App.ErrWriter // standard output is for the document
	}
	job, err := restore.Resume(opt, o)
	if err != nil {
		return nil, err
	}
	if job != nil {
		job.Journal.Plan.Print(out)
		fmt.Fprintf(out, "going on with restore %s, which was interrupted in phase %s\n", job.Journal.Plan.ID, job.Journal.Phase)
		return job, s.goOn(c, out, job)
	}
	plan, err := restore.NewPlan(c.Context, snap, opt.Host, o)
	if err != nil {
		return nil, tellRisks(out, err)
	}
	plan.Print(out)
	plan.PrintRisks(out)
	if c.Bool("dry-run") && c.Bool("json") {
		return nil, printJSON(c.App.Writer, planJSON{Schema: "cbk.restore-plan/1", Plan: plan})
	}
	if c.Bool("dry-run") {
		return nil, nil
	}
	if err := confirm(c, out, does(o)); err != nil {
		return nil, err
	}
	return restore.Begin(opt, plan)
}

// tellRisks prints all risks that an error refuses for, of which its line names the first, and returns it.
func tellRisks(out io.Writer, err error) error {
	refused := (*fit.RefusedError)(nil)
	if !errors.As(err, &refused) {
		return err
	}
	for _, r := range refused.Risks {
		mark := "!"
		if r.Final {
			mark = "x"
		}
		fmt.Fprintf(out, "  %s  %s\n", mark, r)
	}
	return err
}

// does says what an order comes to, for who has to confirm it.
func does(o restore.Order) string {
	switch {
	case o.Way != restore.Import:
		return "this replaces the node's data"
	case o.TruncateFirst:
		return "this empties the tables and imports those of the backup"
	}
	return "this cannot be taken back: what is imported mixes with what is there"
}

// goOn confirms an interrupted restore, whose lock it gives up where that is declined.
func (s *session) goOn(c *cli.Context, out io.Writer, job *restore.Job) error {
	err := confirm(c, out, does(job.Journal.Plan.Order))
	if c.Bool("dry-run") {
		err = usage{&restore.UnfinishedError{Journal: job.Journal}}
	}
	if err != nil {
		job.Close()
	}
	return err
}

// whileHeld keeps the backup from being purged while a restore reads it, as far as the key has the right.
func (s *session) whileHeld(c *cli.Context, b *snapshot.Backup, run func() error) error {
	user, host, err := who()
	if err != nil {
		return err
	}
	release, err := s.hold(c, b, user+"@"+host)
	if err != nil {
		return err
	}
	err = run()
	// The hold ends with the restore, also with one that was interrupted: it must not outlive its reason.
	return errors.Join(err, release(context.WithoutCancel(c.Context)))
}

func (s *session) hold(c *cli.Context, b *snapshot.Backup, by string) (func(context.Context) error, error) {
	none := func(context.Context) error { return nil }
	if s.cfg.FirstVersion {
		return none, nil // nothing is written to a repository that is read as it was
	}
	st, err := store.Open(c.Context, s.cfg.Repository, store.Options{Log: s.log})
	if err != nil {
		return nil, err
	}
	end, err := snapshot.HoldForRestore(c.Context, s.repo.By(st), b, by, time.Now)
	switch {
	case errors.Is(err, roles.ErrRole) || errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrReadOnly):
		s.log.Info("the backup is not held while it is restored: the key may not; after a purge, gc --grace is the limit", "error", err)
		return none, st.Close()
	case err != nil:
		return nil, errors.Join(err, st.Close())
	}
	// It might have been deleted before the hold stood.
	if _, err := snapshot.Find(c.Context, s.repo, b.Name, b.Cluster); err != nil {
		return nil, errors.Join(err, end(c.Context), st.Close())
	}
	return func(ctx context.Context) error { return errors.Join(end(ctx), st.Close()) }, nil
}

// planJSON is cbk.restore-plan/1.
type planJSON struct {
	Schema string `json:"schema"`
	*restore.Plan
}

func printOutcome(w io.Writer, p *restore.Plan, got *restore.Outcome) error {
	fmt.Fprintf(w, "restored %s: %s, %s, each compared with its hash on disk; Cassandra is up\n", p.Backup, plural(got.Files, "file"), size(got.Bytes))
	if got.Verified != nil {
		if err := got.Verified.Text(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "the files of before are kept in\n  %s\ncbk restore --commit %s removes them, --rollback %s puts them back\n",
		strings.Join(got.Before, "\n  "), p.ID, p.ID)
	return err
}
