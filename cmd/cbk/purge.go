package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

// retentionConfig is the section retention of the configuration.
type retentionConfig struct {
	KeepLast        int    `yaml:"keep_last"`
	KeepHourly      int    `yaml:"keep_hourly"`
	KeepDaily       int    `yaml:"keep_daily"`
	KeepWeekly      int    `yaml:"keep_weekly"`
	KeepMonthly     int    `yaml:"keep_monthly"`
	KeepWithin      string `yaml:"keep_within"`
	MaxCount        int    `yaml:"max_count"`
	IncompleteGrace string `yaml:"incomplete_grace"`
}

func purgeCommand() *cli.Command {
	return &cli.Command{
		Name: "purge", Usage: "delete the backups that the policy does not keep; gc brings the space back",
		Flags: commonFlags(
			&cli.IntFlag{Name: "keep-last", Usage: "keep the newest `N` complete backups"},
			&cli.IntFlag{Name: "keep-hourly", Usage: "keep the newest of each of the last `N` hours that have one"},
			&cli.IntFlag{Name: "keep-daily", Usage: "keep the newest of each of the last `N` days that have one"},
			&cli.IntFlag{Name: "keep-weekly", Usage: "keep the newest of each of the last `N` weeks that have one"},
			&cli.IntFlag{Name: "keep-monthly", Usage: "keep the newest of each of the last `N` months that have one"},
			&cli.StringFlag{Name: "keep-within", Usage: "keep what is younger than `TIME`, like 30d, counted from the newest"},
			&cli.IntFlag{Name: "max-count", Usage: "keep at most `N` of all those"},
			&cli.StringFlag{Name: "incomplete-grace", Usage: "leave incomplete backups younger than `TIME` alone", DefaultText: snapshot.Span(snapshot.DefaultIncompleteGrace)},
			&cli.StringFlag{Name: "trust-time", Usage: "where nodes and store disagree by more than a day, believe `WHOM`: store or claimed"},
			clusterFlag(), hostFlag(), dryRunFlag(), yesFlag()),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, c.Bool("dry-run"))
			if err != nil {
				return err
			}
			defer s.close(&err)
			return s.purge(c)
		},
	}
}

// policy lays the flags over the file's section.
func (r retentionConfig) policy(c *cli.Context) (p snapshot.Policy, err error) {
	for _, rule := range []struct {
		flag string
		file int
		into *int
	}{{"keep-last", r.KeepLast, &p.KeepLast}, {"keep-hourly", r.KeepHourly, &p.KeepHourly}, {"keep-daily", r.KeepDaily, &p.KeepDaily},
		{"keep-weekly", r.KeepWeekly, &p.KeepWeekly}, {"keep-monthly", r.KeepMonthly, &p.KeepMonthly}, {"max-count", r.MaxCount, &p.MaxCount}} {
		if *rule.into = rule.file; c.IsSet(rule.flag) {
			*rule.into = c.Int(rule.flag)
		}
	}
	for _, rule := range []struct {
		flag, file string
		into       *time.Duration
	}{{"keep-within", r.KeepWithin, &p.KeepWithin}, {"incomplete-grace", r.IncompleteGrace, &p.IncompleteGrace}} {
		if text := cmp.Or(c.String(rule.flag), rule.file); text != "" {
			if *rule.into, err = snapshot.ParseSpan(text); err != nil {
				return p, usageError("%s: %w", rule.flag, err)
			}
		}
	}
	if err := p.Check(); err != nil {
		return p, usageError("%w", err)
	}
	return p, nil
}

// retention reads what a plan is made from.
func (s *session) retention(c *cli.Context, damaged func(*repo.DamageError)) (r *snapshot.Retention, err error) {
	r = &snapshot.Retention{Now: time.Now(), Trust: snapshot.TrustTime(c.String("trust-time")), Cluster: c.String("cluster"), HostID: c.String("host-id")}
	if r.Policy, err = s.cfg.Retention.policy(c); err != nil {
		return nil, err
	}
	if err := snapshot.CheckTrustTime(r.Trust); err != nil {
		return nil, usageError("%w", err)
	}
	// The holds are read before the backups: what is held by then is seen by both.
	if r.Holds, err = snapshot.Holds(c.Context, s.repo); err != nil {
		return nil, err
	}
	// Nor may one go for another of which nobody can read what it has lost.
	if _, err := snapshot.Losses(c.Context, s.repo); err != nil {
		return nil, err
	}
	r.Backups, err = snapshot.List(c.Context, s.repo, damaged)
	return r, err
}

func (s *session) purge(c *cli.Context) error {
	var damaged []*repo.DamageError
	r, err := s.retention(c, func(d *repo.DamageError) { damaged = append(damaged, d) })
	if err != nil {
		return err
	}
	plan, err := s.plan(c, r)
	if err != nil {
		return err
	}
	if len(plan.Series) == 0 && c.String("cluster")+c.String("host-id") != "" {
		return fmt.Errorf("%w of cluster %q, host %q", snapshot.ErrNotFound, c.String("cluster"), c.String("host-id"))
	}
	doc := purgeDocument(plan)
	err = refused(plan)
	if err == nil && !c.Bool("json") {
		printPurge(c.App.Writer, plan)
	}
	if err == nil && !c.Bool("dry-run") {
		err = s.carryOut(c, plan, &doc)
	}
	if err != nil && len(plan.Refused) == 0 {
		return err
	}
	if c.Bool("json") {
		err = cmp.Or(printJSON(c.App.Writer, doc), err)
	}
	return errors.Join(err, unread(damaged))
}

// plan asks for the locks of what would go, and lets it stay for as long as they last.
func (s *session) plan(c *cli.Context, r *snapshot.Retention) (*snapshot.Plan, error) {
	plan, err := r.Plan()
	if err == nil {
		r.Locked, err = s.locks(c, verdicts(plan, false))
	}
	if err != nil {
		return nil, err
	}
	return r.Plan()
}

// carryOut deletes what is to go.
func (s *session) carryOut(c *cli.Context, plan *snapshot.Plan, doc *purgeJSON) error {
	if doomed := verdicts(plan, false); len(doomed) > 0 {
		if err := confirm(c, c.App.ErrWriter, "this deletes backups"); err != nil {
			return err
		}
		records, err := s.remove(c, doomed)
		if doc.AuditHead = s.audit(c, doc, err, records...); err != nil {
			return err
		}
	}
	doc.DryRun = false
	return nil
}

// refusedError says why a plan may not be carried out.
type refusedError struct{ why []string }

// Error says all of it.
func (e *refusedError) Error() string { return "nothing was deleted: " + strings.Join(e.why, "; ") }

func refused(p *snapshot.Plan) error {
	if len(p.Refused) == 0 {
		return nil
	}
	return &refusedError{p.Refused}
}

// verdicts are those of a plan that keep, or those that do not.
func verdicts(p *snapshot.Plan, keep bool) (out []snapshot.Verdict) {
	for _, s := range p.Series {
		for _, v := range s.Verdicts {
			if v.Keep == keep {
				out = append(out, v)
			}
		}
	}
	return out
}

func backups(of []snapshot.Verdict) []snapshot.Backup {
	out := make([]snapshot.Backup, len(of))
	for i := range of {
		out[i] = of[i].Backup
	}
	return out
}
