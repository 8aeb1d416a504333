package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
)

func gcCommand() *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "bring back the space of deleted and dead backups, beside running ones",
		Flags: commonFlags(
			&cli.DurationFlag{Name: "grace", Value: 24 * time.Hour, Usage: "delete what was condemned at least `TIME` ago; spares running restores"},
			&cli.DurationFlag{Name: "min-age", Value: 7 * 24 * time.Hour, Usage: "leave packs and unfinished backups younger than `TIME` alone; saves work"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			opt := repo.GCOptions{Grace: c.Duration("grace"), MinAge: c.Duration("min-age"), Now: time.Now}
			domains, err := s.repo.Domains(c.Context)
			if err != nil {
				return err
			}
			doc := gcJSON{Schema: "cbk.gc/1", Nodes: len(domains)}
			var failed error
			var epochs []string
			if doc.Adopted, doc.Unreadable, failed = s.repo.Adopt(c.Context, opt); errors.Is(failed, roles.ErrRole) {
				return failed
			}
			for _, d := range domains {
				res, err := s.repo.GC(c.Context, d, opt)
				if err != nil {
					// One node's damage keeps nobody else's space.
					failed = errors.Join(failed, err)
					continue
				}
				doc.add(res)
				if res.Epoch != "" {
					epochs = append(epochs, res.Epoch)
				}
			}
			swept, err := s.repo.SweepFull(c.Context, opt)
			failed = errors.Join(failed, err)
			doc.sweep(swept)
			doc.AuditHead = s.audit(c, nil, failed, epochs...)
			if c.Bool("json") {
				return errors.Join(failed, printJSON(c.App.Writer, doc))
			}
			if doc.CopiesKept > 0 {
				s.log.Warn("full copies left alone of whose backups nothing else is there: check names them", "copies", doc.CopiesKept)
			}
			_, err = fmt.Fprintf(c.App.Writer, "gc of %s: %s condemned, %s deleted, %s freed\n", plural(doc.Nodes, "node"),
				plural(doc.Condemned, "pack"), plural(doc.Deleted, "pack"), size(doc.BytesFreed))
			return errors.Join(failed, err)
		},
	}
}

// gcJSON is cbk.gc/1.
type gcJSON struct {
	Schema      string `json:"schema"`
	Nodes       int    `json:"nodes"`
	Condemned   int    `json:"packs_condemned"`
	Deleted     int    `json:"packs_deleted"`
	BytesFreed  int64  `json:"bytes_freed"`
	Adopted     int    `json:"packs_adopted"`
	Unreadable  int    `json:"packs_unreadable"`
	Copied      int    `json:"blobs_copied"`
	Aborted     int    `json:"sessions_aborted"`
	AbortsLost  int    `json:"aborts_lost"`
	EpochsTaken int    `json:"tombstones_taken"`
	CopiesGone  int    `json:"full_copies_deleted"`
	CopiesKept  int    `json:"full_copies_unclaimed"`
	AuditHead   string `json:"audit_head,omitempty"`
}

func (d *gcJSON) sweep(s *repo.FullSweep) {
	if s == nil {
		return
	}
	d.CopiesGone, d.CopiesKept = s.Copies, s.Kept
	d.BytesFreed += s.Bytes
}

func (d *gcJSON) add(r *repo.GCResult) {
	d.Condemned += r.Condemned
	d.Deleted += r.Deleted
	d.BytesFreed += r.BytesFreed
	d.Copied += r.Copied
	d.Aborted += r.Aborted
	d.AbortsLost += r.AbortsLost
	d.EpochsTaken += r.EpochsTaken
}
