package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/cluster"
	"cbk/cassandra/offline"
	"cbk/cassandra/ring"
	"cbk/restore"
	"cbk/restore/prove"
	"cbk/restore/whole"
	"cbk/snapshot"
)

// nodeCommand is what a coordinator has each node do, one phase a call. Each can be called again.
func nodeCommand() *cli.Command {
	phase := func(name, usage string, action func(*cli.Context, *restore.Job) error) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, ArgsUsage: "ID", Flags: commonFlags(verifyFlags()...),
			Action: func(c *cli.Context) error { return nodePhase(c, action) }}
	}
	return &cli.Command{
		Name: "node", Usage: "the phases of a cluster's backup and restore, as a coordinator calls them on each node",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "leash", Usage: "end where standard input does: whoever ran this has gone"}},
		Before: func(c *cli.Context) error {
			if c.Bool("leash") {
				c.Context, c.App.Reader = cluster.Leash(c.Context, os.Stdin)
			}
			return nil
		},
		Subcommands: append(nodeBackupCommands(), []*cli.Command{
			nodeOrdersCommand(),
			{Name: "fetch", Usage: "read an order with its loan from standard input, and fetch the files beside the data directories",
				Flags: commonFlags(), Action: nodeFetch},
			{Name: "restores", Usage: "list the restores onto this node", Flags: commonFlags(), Action: nodeRestores},
			{Name: "alter", Usage: "read statements that change the schema from standard input, a list in JSON, and run them", Flags: commonFlags(), Action: nodeAlter},
			phase("switch", "stop Cassandra and exchange the files", func(c *cli.Context, j *restore.Job) error { return j.Switch(c.Context) }),
			phase("start", "start Cassandra on the restored files", func(c *cli.Context, j *restore.Job) error { return j.Start(c.Context) }),
			phase("verify", "ask for what must be there", nil),
			phase("commit", "remove the old files", func(_ *cli.Context, j *restore.Job) error { return j.Commit() }),
			phase("rollback", "put the old files back", func(c *cli.Context, j *restore.Job) error { return j.Rollback(c.Context) }),
		}...),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command node %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// nodeOrderJSON is one line of cbk node orders: all that a node needs, and a secret.
type nodeOrderJSON struct {
	Schema string `json:"schema"` // cbk.node-order/1
	restore.NodeOrder
	Loan []byte `json:"loan"`
}

func printPhase(c *cli.Context, j *restore.Journal, report *prove.Report) error {
	doc := whole.PhaseLine{Schema: whole.PhaseSchema, ID: j.Plan.ID, Phase: j.Phase, Verified: report, Keeps: []string{}}
	switch j.Phase {
	case restore.PhaseUndone:
		doc.Keeps = j.Undone()
	case restore.PhaseVerify, restore.PhaseDone:
		doc.Keeps = j.Before()
	}
	return printJSON(c.App.Writer, doc)
}

// nodePhase runs one phase of a restore that was fetched here. It needs neither repository nor key.
func nodePhase(c *cli.Context, action func(*cli.Context, *restore.Job) error) error {
	id, err := one(c, "id of a restore")
	if err != nil {
		return err
	}
	return onNode(c, func(s *session, n *offline.Running) (err error) {
		opt := restore.Options{Host: n, StateDir: s.cfg.StateDir, Log: s.log, FileSchema: s.fileSchema}
		if opt.Verify, err = verification(c); err != nil {
			return err
		}
		job, err := begun(opt, id)
		if err != nil {
			return err
		}
		defer job.Close()
		var report *prove.Report
		if action != nil {
			err = action(c, job)
		} else if job.Journal.Phase != restore.PhaseDone {
			report, err = job.Check(c.Context)
		}
		return errors.Join(err, printPhase(c, job.Journal, report))
	})
}

// onNode works with the node of this machine alone: it opens no repository.
func onNode(c *cli.Context, do func(*session, *offline.Running) error) error {
	s, err := openLocal(c)
	if err != nil {
		return err
	}
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	return do(s, n)
}

// maxOrder bounds what fetch reads: an order, and a loan of at most 4 MiB in base64.
const maxOrder = 16 << 20

func nodeFetch(c *cli.Context) (err error) {
	if err := none(c); err != nil {
		return err
	}
	in := bufio.NewScanner(c.App.Reader)
	in.Buffer(nil, maxOrder)
	var asked nodeOrderJSON
	if !in.Scan() || json.Unmarshal(in.Bytes(), &asked) != nil || asked.Schema != "cbk.node-order/1" {
		return usageError("standard input is no order: a line that cbk node orders prints")
	}
	s, err := openLent(c, asked.Loan)
	if err != nil {
		return err
	}
	defer s.close(&err)
	e, err := snapshot.EntryOf(c.Context, s.repo, asked.Root)
	if err != nil {
		return err
	}
	snap, err := snapshot.Open(c.Context, s.repo, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	progress, end := newEvents(c.App.Writer)
	defer end()
	job, err := nodeJob(c, restore.Options{Host: n, StateDir: s.cfg.StateDir, Log: s.log, Progress: progress}, snap, asked.Order)
	if err != nil {
		return err
	}
	defer job.Close()
	if err := job.Fetch(c.Context, snap); err != nil {
		return err
	}
	end()
	return printPhase(c, job.Journal, nil)
}

func nodeRestores(c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	_, all, err := localRestores(c)
	if err != nil {
		return err
	}
	return printJSON(c.App.Writer, restoresOf(all))
}

// maxStatements bounds what alter reads: one for each keyspace of a cluster.
const maxStatements = 4 << 20

func nodeAlter(c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	in := bufio.NewScanner(c.App.Reader)
	in.Buffer(nil, maxStatements)
	var statements []string
	if !in.Scan() || json.Unmarshal(in.Bytes(), &statements) != nil {
		return usageError("standard input is no list of statements in a line of JSON")
	}
	return onNode(c, func(_ *session, n *offline.Running) error {
		for _, stmt := range statements {
			if err := n.Execute(c.Context, strings.TrimSuffix(stmt, ";")); err != nil {
				return err
			}
		}
		return nil
	})
}

// nodeJob is the job of an order, which may have been begun before.
func nodeJob(c *cli.Context, opt restore.Options, snap *snapshot.Snapshot, o restore.Order) (*restore.Job, error) {
	job, err := restore.Find(opt, o.ID)
	if job != nil || err != nil {
		return job, err
	}
	plan, err := restore.NewPlan(c.Context, snap, opt.Host, o)
	if err != nil {
		return nil, tellRisks(c.App.ErrWriter, err)
	}
	plan.Print(c.App.ErrWriter)
	plan.PrintRisks(c.App.ErrWriter)
	return restore.Begin(opt, plan)
}

func nodeOrdersCommand() *cli.Command {
	return &cli.Command{
		Name: "orders", Usage: "plan the restore of a cluster; print the plan to standard error and one order a line, which are secrets, to standard output",
		ArgsUsage: "BACKUP",
		Flags: commonFlags(append(slices.Concat(selectionFlags(), mappingFlags()), clusterFlag(),
			&cli.StringFlag{Name: "map", Usage: "auto: onto the nodes of the cluster that is configured here, matched by racks"})...),
		Action: nodeOrders,
	}
}

// mappingFlags say who takes whose place in the restore of a cluster.
func mappingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "in-place", Usage: "onto the nodes of the backup"},
		&cli.StringFlag{Name: "host-list", Usage: "onto the nodes of another cluster, by `FILE`: is_seed,target,source"},
		&cli.StringSliceFlag{Name: "map-dc", Usage: "data centre `OLD=NEW`; may be repeated"},
		&cli.StringSliceFlag{Name: "map-rack", Usage: "rack `DC:OLD=NEW`; may be repeated"},
		&cli.StringFlag{Name: "level", Usage: "replicas that every range must have in the backup: one, quorum or all", Value: "quorum"},
		&cli.BoolFlag{Name: "keep-auth", Usage: "leave the roles of the other cluster"},
		&cli.StringSliceFlag{Name: "accept", Usage: "do it at the `RISK` that the plan names; may be repeated"},
		&cli.DurationFlag{Name: "loan-time", Usage: "how long the orders open the backup", Value: 24 * time.Hour},
	}
}

func nodeOrders(c *cli.Context) (err error) {
	name, err := one(c, "backup name")
	if err != nil {
		return err
	}
	in := restore.ClusterInput{Way: restore.Clone, KeepAuth: c.Bool("keep-auth"), Selection: selection(c), Accept: c.StringSlice("accept"), Asked: time.Now()}
	if count(c.Bool("in-place"), c.String("host-list") != "", c.String("map") != "") != 1 || c.String("map") != "" && c.String("map") != "auto" {
		return usageError("give one of --in-place, --host-list FILE, --map auto")
	}
	if err := readMapping(c, &in); err != nil {
		return err
	}
	s, err := openContent(c)
	if err != nil {
		return err
	}
	defer s.close(&err)
	if in.Backup, err = snapshot.Find(c.Context, s.repo, name, c.String("cluster")); err != nil {
		return err
	}
	if err := s.rings(c, &in); err != nil {
		return err
	}
	plan, err := restore.PlanCluster(in)
	if err != nil {
		return tellRisks(c.App.ErrWriter, err)
	}
	if err := printJSON(c.App.ErrWriter, plan); err != nil {
		return err
	}
	return s.lend(c, in.Backup, plan)
}

// readMapping reads who takes whose place.
func readMapping(c *cli.Context, in *restore.ClusterInput) (err error) {
	if c.Bool("in-place") {
		in.Way = restore.InPlace
	}
	if err := in.Level.UnmarshalText([]byte(c.String("level"))); err != nil {
		return usageError("--level: %w", err)
	}
	if in.Renames, err = ring.ParseRenames(c.StringSlice("map-dc"), c.StringSlice("map-rack")); err != nil {
		return usage{err}
	}
	if file := c.String("host-list"); file != "" {
		f, err := os.Open(file)
		if err != nil {
			return usageError("--host-list: %w", err)
		}
		defer f.Close()
		if in.Hosts, err = ring.ReadHostList(f); err != nil {
			return usageError("--host-list %s: %w", file, err)
		}
	}
	return nil
}

// rings reads the ring of the backup and, where Cassandra answers here, the one of today. Of a cluster that is down its own
// ring is taken to be as it was.
func (s *session) rings(c *cli.Context, in *restore.ClusterInput) error {
	if err := s.sourceRing(c, in); err != nil {
		return err
	}
	n, err := s.node()
	if err != nil {
		return err
	}
	defer n.Close()
	switch {
	case n.Answers(c.Context):
		in.Target, err = n.Ring(c.Context)
	case in.Way == restore.InPlace:
		in.Target = in.Source
	}
	return err
}

// sourceRing reads the ring of the backup, from the first node that knew it.
func (s *session) sourceRing(c *cli.Context, in *restore.ClusterInput) error {
	for i := range in.Backup.Nodes {
		snap, err := snapshot.Open(c.Context, s.repo, &in.Backup.Nodes[i])
		if err != nil {
			return err
		}
		seen, err := snap.Ring(c.Context)
		if err := errors.Join(err, snap.Close()); err != nil {
			return err
		}
		if in.Source = *seen; seen.Absent == "" {
			break
		}
	}
	return nil
}

// lend prints the orders, each with what opens its part of the backup.
func (s *session) lend(c *cli.Context, b *snapshot.Backup, plan *restore.ClusterPlan) error {
	for i := range plan.Nodes {
		doc, err := s.orderWithLoan(c.Context, b, &plan.Nodes[i], c.Duration("loan-time"))
		if err != nil {
			return err
		}
		if err := printJSON(c.App.Writer, doc); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) orderWithLoan(ctx context.Context, b *snapshot.Backup, o *restore.NodeOrder, loan time.Duration) (*nodeOrderJSON, error) {
	i := slices.IndexFunc(b.Nodes, func(e snapshot.Entry) bool { return e.Root == o.Root })
	lent, err := snapshot.Lend(ctx, s.repo, time.Now().Add(loan), snapshot.Lent{Entry: &b.Nodes[i],
		Tables: func(t *snapshot.Table) bool { return o.Order.Takes(t.Keyspace, t.Name) }})
	return &nodeOrderJSON{Schema: "cbk.node-order/1", NodeOrder: *o, Loan: lent}, err
}
