package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/restore/whole"
	"cbk/snapshot"
)

// endFlags are what is done with restores onto this node that were begun. They need neither repository nor key.
func endFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "commit", Usage: "of a finished restore, by its id or the only one: remove the old files that were kept"},
		&cli.BoolFlag{Name: "rollback", Usage: "of a restore, by its id or the only one: put the old files back"},
		&cli.BoolFlag{Name: "status", Usage: "list the restores onto this node and what they keep"},
		&cli.StringFlag{Name: "older-than", Usage: "with --commit: all that began longer than `SPAN` ago, as 7d"},
	}
}

func ends(c *cli.Context) bool { return c.Bool("commit") || c.Bool("rollback") || c.Bool("status") }

func endRestore(c *cli.Context) error {
	if n := count(c.Bool("commit"), c.Bool("rollback"), c.Bool("status"), c.String("to") != "", c.Bool("in-place"), c.Bool("import")); n > 1 {
		return usageError("choose one of --to, --in-place, --import, --commit, --rollback, --status")
	}
	s, all, err := localRestores(c)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("status"):
		return printRestores(c, all)
	case c.String("older-than") != "":
		return s.commitOld(c, all)
	}
	id, err := which(c, all)
	if err != nil {
		return err
	}
	return s.endOne(c, id)
}

// openLocal is for what concerns this machine alone: it opens no repository and needs no key.
func openLocal(c *cli.Context) (*session, error) {
	cfg, err := settings(c)
	if err != nil {
		return nil, err
	}
	log, err := logger(c)
	return &session{cfg: cfg, log: log}, err
}

// localRestores are the restores onto this node.
func localRestores(c *cli.Context) (*session, []*restore.Journal, error) {
	s, err := openLocal(c)
	if err != nil {
		return nil, nil, err
	}
	all, err := restore.Journals(s.cfg.StateDir)
	return s, all, err
}

// begun opens a restore by its id.
func begun(opt restore.Options, id string) (*restore.Job, error) {
	job, err := restore.Find(opt, id)
	if err == nil && job == nil {
		err = noRestore(id)
	}
	return job, err
}

func noRestore(id string) error {
	return usageError("there is no restore %q: cbk restore --status lists what there is", id)
}

func count(flags ...bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// which is the restore that is named, or the only one that can be meant.
func which(c *cli.Context, all []*restore.Journal) (id string, err error) {
	if c.Args().Present() {
		if id, err = one(c, "id of a restore"); err == nil && !slices.ContainsFunc(all, func(j *restore.Journal) bool { return j.Plan.ID == id }) {
			err = noRestore(id)
		}
		return id, err
	}
	for _, j := range all {
		if j.Phase == restore.PhaseCommitted || c.Bool("rollback") && j.Phase == restore.PhaseUndone || c.Bool("commit") && !j.Phase.Over() {
			continue
		}
		if id != "" {
			return "", usageError("there are several restores: name one, cbk restore --status lists them")
		}
		id = j.Plan.ID
	}
	if id == "" {
		return "", usageError("there is no such restore: cbk restore --status lists what there is")
	}
	return id, nil
}

func (s *session) endOne(c *cli.Context, id string) error {
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	job, err := begun(restore.Options{Host: n, StateDir: s.cfg.StateDir, Log: s.log}, id)
	if err != nil {
		return err
	}
	defer job.Close()
	j := job.Journal
	if c.Bool("commit") {
		return commit(c, job)
	}
	fmt.Fprintf(c.App.Writer, "Roll back restore %s of backup %s, which is in phase %s: stop Cassandra, put the old files back, start it\n", id, j.Plan.Backup, j.Phase)
	if c.Bool("dry-run") {
		return nil
	}
	if err := confirm(c, c.App.Writer, "this takes the restored data away again, and what was written since"); err != nil {
		return err
	}
	if err := job.Rollback(c.Context); err != nil {
		return err
	}
	if j.Phase != restore.PhaseUndone {
		_, err := fmt.Fprintln(c.App.Writer, "nothing had been moved; what was fetched is removed")
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "the old files are back and Cassandra is up; what was restored, and written since, is kept in\n  %s\ncbk restore --commit %s removes it\n",
		strings.Join(j.Undone(), "\n  "), id)
	return err
}

func commit(c *cli.Context, job *restore.Job) error {
	j := job.Journal
	if j.Phase != restore.PhaseCommitted {
		fmt.Fprintf(c.App.Writer, "Commit restore %s of backup %s: remove\n  %s\n", j.Plan.ID, j.Plan.Backup, strings.Join(j.Keeps(), "\n  "))
	}
	if c.Bool("dry-run") {
		return nil
	}
	if err := confirm(c, c.App.Writer, "this cannot be taken back"); err != nil {
		return err
	}
	if err := job.Commit(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.App.Writer, "restore %s is committed\n", j.Plan.ID)
	return err
}

// commitOld commits every restore that is over for long enough.
func (s *session) commitOld(c *cli.Context, all []*restore.Journal) error {
	if !c.Bool("commit") || c.Args().Present() {
		return usageError("--older-than goes with --commit and no id")
	}
	span, err := snapshot.ParseSpan(c.String("older-than"))
	if err != nil {
		return usageError("--older-than: %w", err)
	}
	for _, j := range all {
		if (j.Phase == restore.PhaseDone || j.Phase == restore.PhaseUndone) && time.Since(j.Started) > span {
			if err := s.endOne(c, j.Plan.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func restoresOf(all []*restore.Journal) whole.Restores {
	doc := whole.Restores{Schema: whole.RestoresSchema, Restores: []whole.One{}}
	for _, j := range all {
		one := whole.One{ID: j.Plan.ID, Backup: j.Plan.Backup, Node: whole.NodeName{Name: j.Plan.Node, HostID: j.Plan.HostID}, Way: j.Plan.Way,
			Started: clock(j.Started), Phase: j.Phase, Keeps: list(j.Keeps())}
		doc.Restores = append(doc.Restores, one)
	}
	return doc
}

func printRestores(c *cli.Context, all []*restore.Journal) error {
	doc := restoresOf(all)
	if c.Bool("json") {
		return printJSON(c.App.Writer, doc)
	}
	for _, o := range doc.Restores {
		fmt.Fprintf(c.App.Writer, "%s  %s  %s of node %s, %s\n", o.ID, o.Phase, o.Backup, o.Node.Name, o.Way)
		for _, dir := range o.Keeps {
			fmt.Fprintf(c.App.Writer, "  %s\n", dir)
		}
	}
	return nil
}
