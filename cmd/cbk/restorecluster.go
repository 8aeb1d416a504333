package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/cluster"
	"cbk/restore"
	"cbk/restore/whole"
	"cbk/snapshot"
)

func restoreClusterCommand() *cli.Command {
	own := []cli.Flag{
		&cli.StringFlag{Name: "seed-target", Usage: "onto the cluster of the node at `ADDRESS`: in place if it is that of the backup, else onto its nodes by their racks"},
		&cli.IntFlag{Name: "parallel", Usage: "fetch on `N` nodes at a time", DefaultText: "all"},
		&cli.BoolFlag{Name: "commit", Usage: "of a restore that is verified: remove the old files on all nodes"},
		&cli.BoolFlag{Name: "rollback", Usage: "put the old files back on all nodes"},
		dryRunFlag(), yesFlag(), clusterFlag(),
		&cli.StringFlag{Name: "verify", Usage: "when all are started: hashes, sample or counts, see cbk restore", DefaultText: "sample"},
		&cli.StringFlag{Name: "verify-level", Usage: "consistency `LEVEL` of the queries", DefaultText: "LOCAL_ONE"},
	}
	return &cli.Command{Name: "restore-cluster", Usage: "restore all nodes of a Cassandra cluster, by SSH", ArgsUsage: "BACKUP",
		Flags: commonFlags(slices.Concat(own, mappingFlags(), reachFlags(), selectionFlags())...), Action: restoreCluster}
}

// clusterRestore is one run of the command.
type clusterRestore struct {
	*session
	c     *cli.Context
	nodes *cluster.Cluster
	in    restore.ClusterInput
	ready func(context.Context, cluster.Host) error
	out   io.Writer // for people
}

func restoreCluster(c *cli.Context) (err error) {
	name, err := one(c, "backup name")
	if err != nil {
		return err
	}
	if count(c.Bool("in-place"), c.String("host-list") != "", c.String("seed-target") != "") != 1 {
		return usageError("give one of --in-place, --host-list FILE, --seed-target ADDRESS")
	}
	if c.Bool("commit") && c.Bool("rollback") || c.Int("parallel") < 0 || c.Int("tries") < 0 {
		return usageError("choose one of --commit, --rollback; numbers are not below 0")
	}
	if _, err := verification(c); err != nil {
		return err
	}
	r := &clusterRestore{c: c, out: c.App.Writer, in: restore.ClusterInput{Way: restore.Clone, KeepAuth: c.Bool("keep-auth"), Selection: selection(c),
		Accept: c.StringSlice("accept"), Asked: time.Now()}}
	if c.Bool("json") {
		r.out = c.App.ErrWriter
	}
	if err := readMapping(c, &r.in); err != nil {
		return err
	}
	if r.session, err = openContent(c); err != nil {
		return err
	}
	defer r.close(&err)
	if r.in.Backup, err = snapshot.Find(c.Context, r.repo, name, c.String("cluster")); err != nil {
		return err
	}
	if r.nodes, err = r.reach(c); err != nil {
		return err
	}
	defer r.nodes.Close()
	if r.ready, err = pushing(c, r.nodes, r.log); err != nil {
		return err
	}
	return r.run()
}

func (r *clusterRestore) run() error {
	if err := r.sourceRing(r.c, &r.in); err != nil {
		return err
	}
	if err := r.findTarget(); err != nil {
		return err
	}
	hosts := r.hosts()
	standing, err := whole.Standing(r.c.Context, r.nodes, hosts, cluster.Plan{Retry: r.retry(3), Log: r.log})
	if err != nil {
		return err
	}
	if r.c.Bool("commit") || r.c.Bool("rollback") {
		return r.end(hosts, standing)
	}
	begun, err := r.goesOn(hosts, standing)
	if err != nil {
		return err
	}
	plan, err := restore.PlanCluster(r.in)
	if err != nil {
		return tellRisks(r.out, err)
	}
	if err := agree(plan, begun); err != nil {
		return err
	}
	r.print(plan)
	if r.c.Bool("dry-run") {
		if r.c.Bool("json") {
			return printJSON(r.c.App.Writer, clusterPlanJSON{"cbk.restore-cluster-plan/1", plan})
		}
		return nil
	}
	if err := confirm(r.c, r.out, fmt.Sprintf("this replaces the data of %s", plural(len(plan.Nodes), "node"))); err != nil {
		return err
	}
	return r.carryOut(plan)
}

// retry is how often something is tried that takes no time.
func (r *clusterRestore) retry(tries int) cluster.Retry {
	return cluster.Retry{Tries: min(tries, cmp.Or(r.c.Int("tries"), tries))}
}

// goesOn finds the restore that is under way on the nodes, and takes its id if it is this one; nil where none is.
func (r *clusterRestore) goesOn(hosts []cluster.Host, standing []whole.Found) (begun *whole.Found, err error) {
	for i := range standing {
		f := &standing[i]
		switch {
		case !f.Unfinished():
		case begun != nil:
			return nil, usageError("two restores are under way, %s and %s: roll one back on its nodes with cbk node rollback", begun.ID, f.ID)
		case f.Backup != r.in.Backup.Name || f.Way != r.in.Way:
			return nil, usageError("restore %s of backup %s is under way: go on with it, or give its command with --rollback", f.ID, f.Backup)
		default:
			begun = f
			r.in.ID, r.in.Proven = f.ID, len(f.At) == len(hosts)
			fmt.Fprintf(r.out, "going on with restore %s\n", f.ID)
		}
	}
	return begun, nil
}

// agree proves that a restore is gone on with as it was begun: a list may have been changed meanwhile.
func agree(p *restore.ClusterPlan, begun *whole.Found) error {
	if begun == nil {
		return nil
	}
	for i := range p.Nodes {
		o := &p.Nodes[i]
		if gets, has := begun.Gets[o.Target]; has && gets != o.Order.HostID {
			return usageError("restore %s has %s take the place of node %s, and this command that of %s: give it as it was, or roll the restore back",
				begun.ID, o.Target, gets, o.Order.HostID)
		}
	}
	return nil
}

func (r *clusterRestore) options(id string, parts []whole.Part, b board) whole.Options {
	retry := retry(r.c)
	return whole.Options{ID: id, Parts: parts, Verify: forward(r.c, "verify", "verify-level"), Parallel: r.c.Int("parallel"), Retry: retry, Ready: r.ready, Log: r.log,
		Show: func(n whole.Node) { b.show(restoreStanding(&n)) }}
}

// carryOut restores.
func (r *clusterRestore) carryOut(plan *restore.ClusterPlan) error {
	board := newBoard(r.c.App.ErrWriter)
	opt := r.options(plan.ID, nil, board)
	opt.Statements = plan.Statements
	for i := range plan.Nodes {
		o := &plan.Nodes[i]
		opt.Parts = append(opt.Parts, whole.Part{Host: r.host(o.Target), Seed: o.Seed, Order: func(ctx context.Context) ([]byte, error) {
			doc, err := r.orderWithLoan(ctx, r.in.Backup, o, r.c.Duration("loan-time"))
			if err != nil {
				return nil, err
			}
			b, err := json.Marshal(doc)
			return append(b, '\n'), err
		}})
	}
	var nodes []whole.Node
	err := r.whileHeld(r.c, r.in.Backup, func() (err error) {
		nodes, err = whole.Restore(r.c.Context, r.nodes, opt)
		return err
	})
	board.end()
	if nodes == nil {
		return err // nothing was begun
	}
	head := r.auditIfAllowed(r.c, err)
	return cmp.Or(r.tell(plan.ID, nodes, head, err), err)
}

// end commits or rolls back the newest restore of the backup that stands on the nodes.
func (r *clusterRestore) end(hosts []cluster.Host, standing []whole.Found) error {
	rollback := r.c.Bool("rollback")
	var found *whole.Found
	for i := range standing {
		f := &standing[i]
		if f.Backup == r.in.Backup.Name && f.Way == r.in.Way && !(rollback && f.All(restore.PhaseUndone)) {
			found = f
			break
		}
	}
	if found == nil {
		return usageError("no restore of backup %s stands on the nodes", r.in.Backup.Name)
	}
	fmt.Fprintf(r.out, "restore %s of backup %s, begun by this or another machine:\n", found.ID, found.Backup)
	var parts []whole.Part
	for _, h := range hosts {
		phase, has := found.At[h.Address]
		if !has {
			continue
		}
		if !rollback && phase != restore.PhaseDone && phase != restore.PhaseUndone {
			return usageError("%s is in phase %s: go on with the restore, or roll it back", h.Address, phase)
		}
		parts = append(parts, whole.Part{Host: h})
		fmt.Fprintf(r.out, "%s  %s\n", h.Address, phase)
	}
	what := "this removes the files that were kept on " + plural(len(parts), "node")
	if rollback {
		what = "this takes the restored data of " + plural(len(parts), "node") + " away again, and what was written since"
	}
	if r.c.Bool("dry-run") {
		return nil
	}
	if err := confirm(r.c, r.out, what); err != nil {
		return err
	}
	board := newBoard(r.c.App.ErrWriter)
	nodes, err := whole.End(r.c.Context, r.nodes, r.options(found.ID, parts, board), rollback)
	board.end()
	return cmp.Or(r.tell(found.ID, nodes, "", err), err)
}

func (r *clusterRestore) print(p *restore.ClusterPlan) {
	fmt.Fprintf(r.out, "Restore %s of backup %s of cluster %s, %s: %s, %s\n", p.ID, p.Backup, p.Cluster, p.Way, plural(len(p.Nodes), "node"), size(p.Bytes))
	t := newTable(r.out, 4, "node", "gets", "seed", "files", "bytes")
	for i := range p.Nodes {
		o := &p.Nodes[i]
		t.AppendRow([]any{o.Target, o.Order.Node, o.Seed, o.Files, size(o.Bytes)})
	}
	t.Render()
	if len(p.Missing) > 0 {
		fmt.Fprintf(r.out, "  !  not in the backup: %s\n", strings.Join(p.Missing, ", "))
	}
	for _, risk := range p.Risks {
		fmt.Fprintf(r.out, "  !  %s\n", risk)
	}
	for _, stmt := range p.Statements {
		fmt.Fprintf(r.out, "  when all are up: %s\n", stmt)
	}
	if p.Way == restore.InPlace {
		fmt.Fprintln(r.out, "  all nodes fetch while they run; then all are stopped")
	}
}

// clusterPlanJSON is cbk.restore-cluster-plan/1.
type clusterPlanJSON struct {
	Schema string `json:"schema"`
	*restore.ClusterPlan
}

// clusterRestoreJSON is cbk.restore-cluster/1.
type clusterRestoreJSON struct {
	Schema    string             `json:"schema"`
	ID        string             `json:"id"`
	Backup    string             `json:"backup"`
	OK        bool               `json:"ok"`
	Nodes     []restoredNodeJSON `json:"nodes"`
	AuditHead string             `json:"audit_head,omitempty"`
}

type restoredNodeJSON struct {
	Address  string        `json:"address"`
	Phase    restore.Phase `json:"phase"` // empty where the node did not say
	Sampled  int           `json:"sampled"`
	Found    int           `json:"found"`
	Failures int           `json:"failures"`
	Keeps    []string      `json:"keeps"`
	Error    string        `json:"error,omitempty"`
}

// tell prints where the nodes are.
func (r *clusterRestore) tell(id string, nodes []whole.Node, head string, failed error) error {
	doc := clusterRestoreJSON{Schema: "cbk.restore-cluster/1", ID: id, Backup: r.in.Backup.Name, OK: failed == nil, Nodes: []restoredNodeJSON{}, AuditHead: head}
	t := newTable(r.out, 3, "node", "phase", "verified", "keeps")
	kept := false
	for i := range nodes {
		n := &nodes[i]
		line := restoredNodeJSON{Address: n.Address, Phase: n.Phase, Keeps: list(n.Keeps)}
		verified := ""
		if n.Verified != nil {
			for _, table := range n.Verified.Tables {
				line.Sampled, line.Found = line.Sampled+table.Sampled, line.Found+table.Found
			}
			line.Failures = n.Verified.Failures
			verified = fmt.Sprintf("%d of %d partitions", line.Found, line.Sampled)
		}
		if n.Err != nil {
			line.Error = flat(n.Err)
		}
		kept = kept || len(n.Keeps) > 0 && n.Phase == restore.PhaseDone
		t.AppendRow([]any{n.Address, cmp.Or(string(n.Phase), "unknown"), verified, strings.Join(n.Keeps, " ")})
		doc.Nodes = append(doc.Nodes, line)
	}
	if r.c.Bool("json") {
		return printJSON(r.c.App.Writer, doc)
	}
	t.Render()
	for _, n := range doc.Nodes {
		if n.Error != "" {
			fmt.Fprintf(r.out, "%s: %s\n", n.Address, n.Error)
		}
	}
	if failed == nil && kept {
		fmt.Fprintln(r.out, "the old files are kept: the same command with --commit removes them, with --rollback puts them back")
	}
	return nil
}

func restoreStanding(n *whole.Node) standing {
	return standing{nodeJSONHead: nodeJSONHead{"", n.Address, n.DC, n.Rack, cmp.Or(n.Doing, string(n.Phase))}, Progress: n.Progress, Err: n.Err,
		atWork: n.Doing != "", over: n.Phase.Over() || n.Err != nil}
}
