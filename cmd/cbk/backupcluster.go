package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
	"cbk/snapshot"
	"cbk/snapshot/fleet"
)

func backupClusterCommand() *cli.Command {
	own := []cli.Flag{
		&cli.StringFlag{Name: "require", Usage: "`LEVEL` that the nodes which are up have to reach: all, quorum, one or none", Value: "one"},
		&cli.IntFlag{Name: "parallel-snapshots", Usage: "take snapshots on `N` nodes at a time", DefaultText: "all"},
		&cli.IntFlag{Name: "parallel-uploads", Usage: "upload from `N` nodes at a time", DefaultText: "all"},
		&cli.IntFlag{Name: "per-dc", Usage: "and from `N` of a data centre", DefaultText: "all"},
		&cli.IntFlag{Name: "per-rack", Usage: "and from `N` of a rack", DefaultText: "all"},
		&cli.StringFlag{Name: "bandwidth", Usage: "`RATE` in bytes a second that all uploads together may take, like 1GiB", DefaultText: "no limit"},
	}
	forwarded := slices.DeleteFunc(slices.Concat(backupFlags(), selectionFlags(), guestFlags()), func(f cli.Flag) bool {
		return slices.Contains([]string{"node", "use-snapshot", "offline", "keep-snapshot"}, f.Names()[0])
	})
	return &cli.Command{Name: "backup-cluster", Usage: "back up all nodes of a Cassandra cluster, by SSH",
		Flags: commonFlags(slices.Concat(own, reachFlags(), nodeFilterFlags(), forwarded)...), Action: backupCluster}
}

func backupCluster(c *cli.Context) (err error) {
	s, opt, err := clusterBackup(c)
	if err != nil {
		return err
	}
	nodes, err := s.reach(c)
	if err != nil {
		return err
	}
	defer nodes.Close()
	if opt.Ready, err = pushing(c, nodes, s.log); err != nil {
		return err
	}
	board := newBoard(c.App.ErrWriter)
	opt.Show = func(n fleet.Node) { board.show(backupStanding(&n)) }
	rep, err := fleet.Backup(c.Context, nodes, *opt)
	board.end()
	if rep == nil {
		return err
	}
	print := printClusterBackup
	if c.Bool("json") {
		print = printClusterBackupJSON
	}
	return cmp.Or(err, print(c.App.Writer, rep, err))
}

// clusterBackup reads configuration and flags.
func clusterBackup(c *cli.Context) (*session, *fleet.Options, error) {
	if _, err := backupOptions(c); err != nil {
		return nil, nil, err
	}
	s, err := openLocal(c)
	if err != nil {
		return nil, nil, err
	}
	opt := &fleet.Options{Name: cmp.Or(c.String("name"), snapshot.DefaultName(time.Now())), Filter: nodeFilter(c), Retry: retry(c), Log: s.log,
		Snapshots: cluster.Limits{Total: c.Int("parallel-snapshots")},
		Uploads:   cluster.Limits{Total: c.Int("parallel-uploads"), PerDC: c.Int("per-dc"), PerRack: c.Int("per-rack")}}
	if opt.Seeds, err = s.cfg.seeds(c); err != nil {
		return nil, nil, err
	}
	if level := c.String("require"); level != "none" {
		if err := opt.Require.UnmarshalText([]byte(level)); err != nil {
			return nil, nil, usageError("--require: %w; or none", err)
		}
	}
	for _, n := range []int{opt.Snapshots.Total, opt.Uploads.Total, opt.Uploads.PerDC, opt.Uploads.PerRack, opt.Retry.Tries} {
		if n < 0 {
			return nil, nil, usageError("a number of nodes or tries is not below 0")
		}
	}
	opt.Prepare = forward(c, "keyspace", "table", "exclude", "min-free")
	opt.Upload = forward(c, "mode", "recipe", "allow-missing", "md5", "no-config", "annotate", "limit-upload", "limit-read", "concurrency", "priority", "min-free")
	budget, err := parseRate(c.String("bandwidth"))
	if err != nil {
		return nil, nil, usageError("--bandwidth: %w", err)
	}
	if budget > 0 {
		if c.IsSet("limit-upload") {
			return nil, nil, usageError("choose one of --bandwidth, for all nodes together, and --limit-upload, for each")
		}
		opt.Share = func(uploads int) []string {
			return []string{"--limit-upload", strconv.FormatInt(max(budget/int64(uploads), minRate), 10)}
		}
	}
	return s, opt, nil
}

// forward writes flags as they were given, for the nodes.
func forward(c *cli.Context, names ...string) (args []string) {
	for _, name := range names {
		if !c.IsSet(name) {
			continue
		}
		switch v := c.Value(name).(type) {
		case bool:
			args = append(args, fmt.Sprintf("--%s=%t", name, v))
		case cli.StringSlice:
			for _, one := range v.Value() {
				args = append(args, "--"+name+"="+one)
			}
		default:
			args = append(args, fmt.Sprintf("--%s=%v", name, v))
		}
	}
	return args
}

// clusterBackupJSON is cbk.backup-cluster/1.
type clusterBackupJSON struct {
	Schema     string            `json:"schema"`
	Backup     string            `json:"backup"`
	Cluster    string            `json:"cluster"`
	Complete   bool              `json:"complete"`
	Done       int               `json:"done"`
	Total      int               `json:"total"`
	Restorable ring.Level        `json:"restorable"`
	Spread     float64           `json:"spread_seconds"`
	Nodes      []clusterNodeJSON `json:"nodes"`
}

type clusterNodeJSON struct {
	nodeJSONHead
	Tries    int    `json:"tries"`
	Started  string `json:"started,omitempty"`
	Ready    string `json:"ready,omitempty"`
	Finished string `json:"finished,omitempty"`
	Files    int    `json:"files"`
	Source   int64  `json:"bytes_source"`
	New      int64  `json:"bytes_new"`
	Stored   int64  `json:"bytes_stored"`
	Missing  int    `json:"missing_tables"`
	Damaged  int    `json:"damaged_sstables"`
	Left     string `json:"snapshot_left,omitempty"`
	Error    string `json:"error,omitempty"`
}

func printClusterBackupJSON(w io.Writer, r *fleet.Report, err error) error {
	doc := clusterBackupJSON{Schema: "cbk.backup-cluster/1", Backup: r.Name, Cluster: r.Cluster, Complete: err == nil, Done: r.Done, Total: len(r.Nodes),
		Restorable: r.Level, Spread: r.Spread.Seconds()}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		node := clusterNodeJSON{nodeJSONHead: backupStanding(n).nodeJSONHead, Tries: n.Tries, Started: n.Prepared.Started, Ready: n.Prepared.Ready, Finished: n.Stored.Finished,
			Files: n.Stored.Files, Source: n.Stored.BytesSource, New: n.Stored.BytesNew, Stored: n.Stored.BytesStored,
			Missing: n.Stored.Missing, Damaged: n.Stored.Damaged, Left: n.Stored.Left}
		if n.Err != nil {
			node.Error = flat(n.Err)
		}
		doc.Nodes = append(doc.Nodes, node)
	}
	return printJSON(w, doc)
}

func printClusterBackup(w io.Writer, r *fleet.Report, err error) error {
	t := newTable(w, 4, "node", "dc", "rack", "state", "files", "new", "stored", "finished")
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.State != fleet.Done || n.Stored.Finished == "" {
			t.AppendRow([]any{n.Address, n.DC, n.Rack, n.State, "", "", "", ""})
			continue
		}
		t.AppendRow([]any{n.Address, n.DC, n.Rack, n.State, n.Stored.Files, size(n.Stored.BytesNew), size(n.Stored.BytesStored), n.Stored.Finished})
	}
	t.Render()
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Err != nil {
			fmt.Fprintf(w, "%s: %s\n", n.Address, flat(n.Err))
		}
		if n.Stored.Left != "" {
			fmt.Fprintf(w, "%s: Cassandra's snapshot %s is still there: clear it with nodetool clearsnapshot\n", n.Address, n.Stored.Left)
		}
	}
	if r.Spread > 0 {
		fmt.Fprintf(w, "all snapshots were taken within %s\n", r.Spread.Round(time.Millisecond))
	}
	if err == nil {
		_, err := fmt.Fprintf(w, "backup %s of %s is complete: %s\n", r.Name, r.Cluster, plural(len(r.Nodes), "node"))
		return err
	}
	return nil
}

func backupStanding(n *fleet.Node) standing {
	return standing{nodeJSONHead: nodeJSONHead{n.HostID, n.Address, n.DC, n.Rack, n.State}, Progress: n.Progress, Err: n.Err,
		atWork: n.State == fleet.Upload || n.State == fleet.Snapshot, over: n.In() || n.State == fleet.Failed || n.State == fleet.Cleared}
}

// unfinished tells a backup of a cluster that has some nodes, or none.
func unfinished(some bool) func(error) bool {
	return func(err error) bool {
		var e *fleet.UnfinishedError
		return errors.As(err, &e) && (e.Done > 0) == some
	}
}
