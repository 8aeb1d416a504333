package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
)

func gcCommand() *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "bring back the space of deleted and dead backups, beside running ones",
		Flags: commonFlags(gcFlags()...),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			opt, err := gcOptions(c)
			if err != nil {
				return err
			}
			s, err := open(c, opt.DryRun)
			if err != nil {
				return err
			}
			defer s.close(&err)
			limitMemory(gcMemoryLimit)
			return s.gc(c, opt)
		},
	}
}

func (s *session) gc(c *cli.Context, opt repo.GCOptions) error {
	kept, err := s.protection(c)
	if err != nil {
		return err
	}
	domains, err := s.repo.Domains(c.Context)
	if err != nil {
		return err
	}
	doc := gcJSON{Schema: "cbk.gc/1", DryRun: opt.DryRun, Nodes: len(domains)}
	epochs, failed := s.collect(c, domains, opt, &doc)
	if errors.Is(failed, roles.ErrRole) {
		return failed
	}
	if kept.Versions {
		doc.BytesInVersions, doc.BytesFreed = doc.BytesFreed, 0
	}
	locks, err := s.extendLocks(c, kept, opt.DryRun)
	doc.Locks, failed = lockDocument(locks), errors.Join(failed, err)
	if !opt.DryRun {
		doc.AuditHead = s.audit(c, nil, failed, epochs...)
	}
	if c.Bool("json") {
		return errors.Join(failed, printJSON(c.App.Writer, doc))
	}
	if doc.CopiesKept > 0 {
		s.log.Warn("full copies left alone of whose backups nothing else is there: check names them", "copies", doc.CopiesKept)
	}
	return errors.Join(failed, doc.print(c.App.Writer))
}

// collect collects domain by domain, then what is left of full copies, and returns the tombstones that were made.
func (s *session) collect(c *cli.Context, domains []string, opt repo.GCOptions, doc *gcJSON) (epochs []string, failed error) {
	if doc.Adopted, doc.Unreadable, failed = s.repo.Adopt(c.Context, opt); errors.Is(failed, roles.ErrRole) {
		return nil, failed
	}
	for _, d := range domains {
		res, err := s.repo.GC(c.Context, d, opt)
		// One node's damage keeps nobody else's space.
		failed = errors.Join(failed, err)
		if res != nil {
			doc.add(res)
			opt.MaxRepack -= res.BytesRepacked
			epochs = append(epochs, res.Epochs...)
		}
	}
	swept, err := s.repo.SweepFull(c.Context, opt)
	doc.sweep(swept)
	return epochs, errors.Join(failed, err)
}

func gcFlags() []cli.Flag {
	return append(lockFlags(),
		&cli.DurationFlag{Name: "grace", Value: 24 * time.Hour, Usage: "delete what was condemned at least `TIME` ago; spares running restores"},
		&cli.DurationFlag{Name: "min-age", Value: 7 * 24 * time.Hour, Usage: "leave packs and unfinished backups younger than `TIME` alone; saves work"},
		&cli.StringFlag{Name: "max-repack", Value: "10GiB", Usage: "repack at most `SIZE` of packs of which less than 60 % is needed; 0: none"},
		dryRunFlag())
}

// gcMemoryLimit leaves a domain of ten million blobs, which takes 300 MiB, room below the 512 MiB that gc may use.
const gcMemoryLimit = 400 << 20

func gcOptions(c *cli.Context) (repo.GCOptions, error) {
	repack, err := humanize.ParseBytes(c.String("max-repack"))
	if err != nil || repack > math.MaxInt64 {
		return repo.GCOptions{}, usageError("--max-repack %q: give a size like 10GiB, or 0", c.String("max-repack"))
	}
	return repo.GCOptions{Grace: c.Duration("grace"), MinAge: c.Duration("min-age"), MaxRepack: int64(repack),
		DryRun: c.Bool("dry-run"), Now: time.Now}, nil
}

func (d *gcJSON) print(w io.Writer) error {
	head := "gc of " + plural(d.Nodes, "node")
	if d.DryRun {
		head = "dry run of " + head + ", nothing was changed"
	}
	copied := ""
	if d.Repacked > 0 || d.Copied > 0 {
		copied = fmt.Sprintf(" (%d in which something is needed; %s copied out)", d.Repacked, size(d.BytesCopied))
	}
	freed := size(d.BytesFreed) + " freed"
	if d.BytesInVersions > 0 {
		freed = size(d.BytesInVersions) + " hidden, and freed when the bucket gives up their versions"
	}
	_, err := fmt.Fprintf(w, "%s: %s condemned%s, %s deleted, %s\n", head, plural(d.Condemned, "pack"), copied,
		plural(d.Deleted, "pack"), freed)
	if err == nil && d.Locks != nil {
		err = d.Locks.print(w)
	}
	return err
}

// gcJSON is cbk.gc/1.
type gcJSON struct {
	Schema      string `json:"schema"`
	DryRun      bool   `json:"dry_run"`
	Nodes       int    `json:"nodes"`
	Condemned   int    `json:"packs_condemned"`
	Repacked    int    `json:"packs_repacked"`
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

	// BytesInVersions were deleted from a bucket that keeps versions, and take room until it gives those up.
	BytesInVersions int64     `json:"bytes_in_versions"`
	Locks           *lockJSON `json:"locks,omitempty"` // where new objects are locked

	BytesCondemned int64 `json:"bytes_condemned"`
	BytesRepacked  int64 `json:"bytes_repacked"`
	BytesCopied    int64 `json:"bytes_copied"`
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
	d.BytesCondemned += r.BytesCondemned
	d.Repacked += r.Repacked
	d.BytesRepacked += r.BytesRepacked
	d.BytesCopied += r.BytesCopied
	d.Deleted += r.Deleted
	d.BytesFreed += r.BytesFreed
	d.Copied += r.Copied
	d.Aborted += r.Aborted
	d.AbortsLost += r.AbortsLost
	d.EpochsTaken += r.EpochsTaken
}
