package main

import (
	"errors"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/snapshot"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "verify the repository and every backup in it, or one backup", ArgsUsage: "[BACKUP]",
		Flags: commonFlags(nodeFlag(),
			&cli.BoolFlag{Name: "read-data", Usage: "read and authenticate every byte, rebuild and compare every component"},
			&cli.StringFlag{Name: "sample", Usage: "read only `PART` of the packs, as 5%, chosen at random"},
			&cli.Uint64Flag{Name: "seed", Usage: "choose the sample by `NUMBER`, as an earlier run printed it"},
			&cli.StringFlag{Name: "budget", Usage: "read for a time or so many bytes, `1h|100GB`, first what was not read for the longest time"},
			&cli.BoolFlag{Name: "no-record", Usage: "write nothing to the repository, not even that it was checked"},
			&cli.StringFlag{Name: "report", Usage: "write what was checked, how and with what result to `FILE`, as JSON"},
			&cli.BoolFlag{Name: "status", Usage: "check nothing, tell how much was read back when"},
			&cli.StringFlag{Name: "metrics-file", Usage: "with --status: write it to `FILE` too, for the textfile collector of Prometheus's node exporter; it must end in .prom"}),
		Action: func(c *cli.Context) error {
			if c.Bool("status") {
				return checkStatus(c)
			}
			return runCheck(c)
		},
	}
}

// checked is a check with what was left of it.
type checked struct {
	*snapshot.Report
	repository string
	key        string
	role       string
	record     repo.Record // empty where none was left
	why        string      // no record was left
	head       uint64      // statements of the trust log
	headHash   string
	first      bool   // first versions were read
	next       string // what may help against damage, "" for nothing
}

func runCheck(c *cli.Context) error {
	opt, err := checkOptions(c)
	if err != nil {
		return err
	}
	rep, err := check(c, opt)
	if err != nil {
		return err
	}
	if file := c.String("report"); file != "" {
		if err := writeReport(file, rep); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, checkDocument(rep))
	} else {
		err = printCheck(c.App.Writer, rep)
	}
	if err == nil && !rep.OK() {
		err = quiet{exitDamage}
	}
	return err
}

// check runs the check; damage that keeps the repository from being opened is part of the report too.
func check(c *cli.Context, opt snapshot.CheckOptions) (rep *checked, err error) {
	s, err := openCheck(c)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		now := time.Now()
		one := snapshot.Damage{Object: damage.Object, What: damage.What, Hits: []snapshot.Hit{}}
		next := ""
		if a := (*advised)(nil); errors.As(err, &a) {
			next = a.next
		}
		return &checked{why: "the repository cannot be opened", next: next, Report: &snapshot.Report{Started: now, Finished: now,
			Level: snapshot.LevelStructure, Damage: []snapshot.Damage{one}, DamageTotal: 1}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.close(&err)
	found, err := snapshot.Verify(c.Context, s.repo, opt)
	if err != nil {
		return nil, err
	}
	key := s.repo.Key()
	n, hash := key.Trust().Head()
	rep = &checked{first: s.cfg.FirstVersion, Report: found, repository: s.repo.ID(), key: key.KeyID().String(), role: string(key.Role()), head: n, headHash: hexOf(hash)}
	if !rep.OK() {
		rep.next = s.cfg.versionsOf(c.Context, s.store)
	}
	return rep, rep.leave(c, s)
}

// leave asks for what was lost, ends the marks of what was found again, and adds the record. A check that cannot is a check all the same, and says so.
func (r *checked) leave(c *cli.Context, s *session) error {
	switch {
	case c.Bool("no-record"):
		r.why = "asked not to"
		return nil
	case r.first:
		r.why = "by first versions the repository is only read"
		return nil
	}
	by, err := here()
	if err == nil {
		err = errors.Join(snapshot.Want(c.Context, s.repo, r.Report), snapshot.EndLosses(c.Context, s.repo, r.Report, by))
	}
	if err == nil {
		r.record, err = snapshot.Leave(c.Context, s.repo, r.Report)
	}
	switch {
	case err == nil:
	case c.Context.Err() != nil:
		return err
	case errors.Is(err, roles.ErrRole):
		r.why = "a " + r.role + " key may leave none"
	default:
		r.why = flat(err)
	}
	return nil
}

// openCheck opens the repository so that nothing but a record is written, and does without a state directory that cannot
// be made.
func openCheck(c *cli.Context) (*session, error) {
	do := recording
	if c.Bool("no-record") {
		do = reading
	}
	return openIn(c, do, func(dir string) string {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return ""
		}
		return dir
	})
}
