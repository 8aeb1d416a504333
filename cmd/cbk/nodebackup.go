package main

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/offline"
	"cbk/repo/store"
	"cbk/snapshot"
	"cbk/snapshot/fleet"
)

// nodeBackupCommands are the phases of a cluster's backup. Each can be called again.
func nodeBackupCommands() []*cli.Command {
	named := func(name, usage string, action cli.ActionFunc, more ...[]cli.Flag) *cli.Command {
		flags := slices.Concat(append(more, guestFlags())...)
		return &cli.Command{Name: name, Usage: usage, Flags: commonFlags(flags...), Action: func(c *cli.Context) error {
			if name := c.String("name"); name == "" {
				return usageError("give the --name of the backup")
			}
			return action(c)
		}}
	}
	return []*cli.Command{
		{Name: "ring", Usage: "tell who this node is, and the ring as it sees it", Flags: commonFlags(), Action: nodeRing},
		named("prepare", "take the snapshot of a backup and leave it", nodePrepare, backupFlags(), selectionFlags()),
		named("upload", "store the snapshot that was prepared, and clear it", nodeUpload, backupFlags(), []cli.Flag{metricsFlag()}),
		named("clear", "clear the snapshot that was prepared, and give up", nodeClear, backupFlags()),
	}
}

func nodeRing(c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	return onNode(c, func(_ *session, n *offline.Running) error {
		id, err := n.Identity(c.Context)
		if err != nil {
			return err
		}
		r, err := n.Ring(c.Context)
		if err != nil {
			return err
		}
		return printJSON(c.App.Writer, fleet.Here{Schema: fleet.HereSchema, HostID: id.HostID, Name: id.Name, Address: id.Address, Release: id.Version, Ring: r})
	})
}

func nodePrepare(c *cli.Context) error {
	return backUp(c, &backupRun{}, func(s *session, src snapshot.Source, opt *snapshot.Options) error {
		if done, err := s.recorded(c, src, opt); done || err != nil {
			return err
		}
		p, err := snapshot.Prepare(c.Context, s.repo, src, s.cfg.StateDir, *opt)
		if err != nil {
			return err
		}
		return printJSON(c.App.Writer, fleet.Prepared{Schema: fleet.PreparedSchema, Backup: p.Backup, HostID: p.HostID, Tag: p.Tag,
			Started: fleet.Instant(p.Started), Ready: fleet.Instant(*p.Ready)})
	})
}

// recorded tells of a backup that this node has done its part of. What is left of it is cleared.
func (s *session) recorded(c *cli.Context, src snapshot.Source, opt *snapshot.Options) (done bool, err error) {
	root, err := snapshot.RootOf(c.Context, s.repo, src, *opt)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.clearPrepared(c, src, opt.Name); err != nil {
		return true, err
	}
	return true, printJSON(c.App.Writer, fleet.Prepared{Schema: fleet.PreparedSchema, Backup: opt.Name, Recorded: root})
}

func (s *session) clearPrepared(c *cli.Context, src snapshot.Source, backup string) error {
	p, err := snapshot.LoadPrepared(s.cfg.StateDir)
	if err != nil || p == nil || p.Backup != backup {
		return err
	}
	return p.Clear(c.Context, src, s.cfg.StateDir)
}

func nodeUpload(c *cli.Context) error {
	return measured(c, func(run *backupRun) error {
		return backUp(c, run, func(s *session, src snapshot.Source, opt *snapshot.Options) error {
			if done, err := s.recorded(c, src, opt); done || err != nil {
				return err
			}
			p, err := snapshot.LoadPrepared(s.cfg.StateDir)
			if err == nil {
				opt.Prepared, err = p.For(opt.Name, src)
			}
			if err != nil {
				return err
			}
			opt.Selection = opt.Prepared.Selection
			progress, end := newEvents(c.App.Writer)
			opt.Progress = progress
			res, err := s.take(c, src, opt)
			end()
			if err == nil {
				if failed := opt.Prepared.Clear(c.Context, src, s.cfg.StateDir); failed != nil {
					res.SnapshotLeft, res.ClearFailure = opt.Prepared.Tag, failed
				}
			}
			if err := c.Set("json", "true"); err != nil {
				return err
			}
			return s.tell(c, run, res, err)
		})
	})
}

func nodeClear(c *cli.Context) error {
	return onNode(c, func(s *session, n *offline.Running) error {
		if err := s.clearPrepared(c, n, c.String("name")); err != nil {
			return err
		}
		return printJSON(c.App.Writer, fleet.Prepared{Schema: fleet.PreparedSchema, Backup: c.String("name")})
	})
}

// eventsEvery is the time between two lines of progress: a coordinator draws them.
const eventsEvery = time.Second

// newEvents writes a line a second while something is done. end waits for the last line.
func newEvents(w io.Writer) (p *tally, end func()) {
	p = &tally{}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(eventsEvery)
		defer tick.Stop()
		out := json.NewEncoder(w)
		for {
			// Whoever reads is gone where it cannot be written, and the backup ends by itself.
			_ = out.Encode(fleet.Progress{Schema: fleet.ProgressSchema, Files: p.files.Load(), FilesTotal: p.filesTotal.Load(), Bytes: p.bytes.Load(), BytesTotal: p.bytesTotal.Load()})
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return p, sync.OnceFunc(func() { close(quit); <-done })
}
