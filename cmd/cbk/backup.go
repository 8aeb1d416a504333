package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/offline"
	"cbk/repo/store"
	"cbk/snapshot"
)

func backupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "back up this Cassandra node", Flags: commonFlags(slices.Concat(backupFlags(), selectionFlags(), guestFlags(), []cli.Flag{metricsFlag(), staggerFlag()})...),
		Action: func(c *cli.Context) error {
			return measured(c, func(run *backupRun) error { return backup(c, run) })
		},
	}
}

func backupFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "`NAME` of the backup", DefaultText: "the UTC time"},
		&cli.StringFlag{Name: "node", Usage: "`LABEL` under which the node's content is kept", DefaultText: "that of the key file, else the host id"},
		&cli.StringFlag{Name: "mode", Usage: "`MODE` of the backup: differential, or full: with a copy of its own", DefaultText: "differential"},
		&cli.StringFlag{Name: "recipe", Usage: "`RECIPE` of files that are read: auto, the smallest that is proven, or blobs, their bytes", DefaultText: "auto"},
		&cli.StringFlag{Name: "use-snapshot", Usage: "back up the snapshot `TAG`, which stands already, and leave it"},
		&cli.BoolFlag{Name: "offline", Usage: "back up the files of a node that is stopped"},
		&cli.BoolFlag{Name: "allow-missing", Usage: "record the backup though tables are missing in the snapshot; exit code 3"},
		&cli.BoolFlag{Name: "md5", Usage: "also record the MD5 of each file"},
		&cli.BoolFlag{Name: "no-config", Usage: "leave out the node's configuration files"},
		annotateFlag("annotate", "keep `KEY=VALUE` with the backup; may be repeated"),
		&cli.BoolFlag{Name: "keep-snapshot", Usage: "leave Cassandra's snapshot on disk"},
	}
}

func staggerFlag() cli.Flag {
	return &cli.DurationFlag{Name: "stagger", Usage: "wait for this node's turn: those of the ring are spread over `TIME`, like 3h"}
}

// backup runs the command, and tells run what came of it.
func backup(c *cli.Context, run *backupRun) error {
	if err := stagger(c); err != nil {
		return err
	}
	return backUp(c, run, func(s *session, src snapshot.Source, opt *snapshot.Options) error {
		progress, end := newProgress(c.App.ErrWriter, s.log)
		opt.Progress = progress
		res, err := s.take(c, src, opt)
		end()
		return s.tell(c, run, res, err)
	})
}

// backUp opens what a backup needs and has do make it.
func backUp(c *cli.Context, run *backupRun, do func(*session, snapshot.Source, *snapshot.Options) error) (err error) {
	opt, err := backupOptions(c)
	if err != nil {
		return err
	}
	s, err := open(c, false)
	if err != nil {
		return err
	}
	defer s.close(&err)
	defer func() { run.Requests = requests(s.counts) }()
	limitMemory(backupMemoryLimit)
	if err := s.backupSettings(c, opt); err != nil {
		return err
	}
	src, closeSource, err := s.source(opt.Way)
	if err != nil {
		return err
	}
	defer closeSource()
	return do(s, src, opt)
}

// tell prints and records what came of a backup.
func (s *session) tell(c *cli.Context, run *backupRun, res *snapshot.Result, err error) error {
	if err != nil {
		s.audit(c, nil, err)
		return err
	}
	run.fill(res)
	head := s.audit(c, nil, flawed(res), res.Root)
	if res.ClearFailure != nil {
		s.log.Warn("the backup is done, but Cassandra's snapshot is still there: clear it with nodetool clearsnapshot", "tag", res.SnapshotLeft, "error", res.ClearFailure)
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, backupDocument(res, s.counts, head))
	} else {
		err = printBackup(c.App.Writer, res, s.counts)
	}
	return cmp.Or(err, flawed(res))
}

// backupOptions reads the flags that need no repository.
func backupOptions(c *cli.Context) (*snapshot.Options, error) {
	opt := &snapshot.Options{Name: c.String("name"), Way: snapshot.WaySnapshot, Tag: c.String("use-snapshot"),
		Selection:    selection(c),
		AllowMissing: c.Bool("allow-missing"), MD5: c.Bool("md5"), NoConfig: c.Bool("no-config"), KeepSnapshot: c.Bool("keep-snapshot"), Now: time.Now}
	err := none(c)
	if err == nil {
		opt.Annotations, err = annotations(c, "annotate")
	}
	if err == nil && c.IsSet("name") {
		err = snapshot.CheckName(opt.Name)
	}
	switch {
	case c.Bool("offline") && opt.Tag != "":
		err = cmp.Or(err, usageError("choose one of --offline, --use-snapshot"))
	case c.Bool("offline"):
		opt.Way = snapshot.WayOffline
	case opt.Tag != "":
		opt.Way = snapshot.WayExisting
	}
	if err = cmp.Or(err, opt.Selection.Check()); err != nil {
		return nil, usageError("%w", err)
	}
	return opt, nil
}

// backupSettings adds what the configuration may say too.
func (s *session) backupSettings(c *cli.Context, opt *snapshot.Options) (err error) {
	if opt.Domain, err = s.domain(c); err != nil {
		return err
	}
	opt.Mode = cmp.Or(c.String("mode"), s.cfg.Mode, snapshot.ModeDifferential)
	opt.Recipe = cmp.Or(c.String("recipe"), s.cfg.Recipe, snapshot.RecipeAuto)
	opt.Streams, opt.Log = s.limits.streams, s.log
	if err := errors.Join(snapshot.CheckMode(opt.Mode), snapshot.CheckRecipe(opt.Recipe)); err != nil {
		return usageError("%w", err)
	}
	return nil
}

// source is the node, running or stopped.
func (s *session) source(way string) (src snapshot.Source, done func(), err error) {
	if way == snapshot.WayOffline {
		n, err := offline.New(s.cfg.node(), s.log)
		return n, func() {}, err
	}
	n, err := s.node()
	if err != nil {
		return nil, nil, err
	}
	return n, n.Close, nil
}

// take backs up as a guest on the node.
func (s *session) take(c *cli.Context, src snapshot.Source, opt *snapshot.Options) (*snapshot.Result, error) {
	ctx, leave, err := s.limits.begin(c.Context, src.Layout().DataDirs, s.log)
	if err != nil {
		return nil, err
	}
	opt.Open = s.limits.opener(ctx)
	res, err := snapshot.Take(ctx, s.repo, src, *opt)
	return res, leave(err)
}

// flawed is the error of a backup that is recorded and lacks something, or holds damage of the node's own files.
func flawed(r *snapshot.Result) error {
	switch {
	case r.DamagedSSTables > 0:
		return &sourceDamageError{r.DamagedSSTables}
	case len(r.Missing) > 0:
		return &incompleteError{r.Missing}
	}
	return nil
}

// sourceDamageError says that SSTables were not sound on the node.
type sourceDamageError struct{ n int }

// Error counts them.
func (e *sourceDamageError) Error() string {
	return fmt.Sprintf("the backup is recorded, but %s of this node are damaged, and in the backup as they are", plural(e.n, "SSTable"))
}

// incompleteError says that a backup was recorded without some tables.
type incompleteError struct{ tables []string }

// Error names the first.
func (e *incompleteError) Error() string {
	return fmt.Sprintf("the backup is recorded without %s: %s", plural(len(e.tables), "table"), strings.Join(e.tables[:min(5, len(e.tables))], ", "))
}

// backupJSON is cbk.backup/1.
type backupJSON struct {
	Schema       string               `json:"schema"`
	Backup       string               `json:"backup"`
	Mode         string               `json:"mode"`
	Node         nodeJSON             `json:"node"`
	Started      string               `json:"started"`
	Finished     string               `json:"finished"`
	Tables       int                  `json:"tables"`
	SSTables     int                  `json:"sstables"`
	Files        int                  `json:"files"`
	Unchanged    int                  `json:"files_unchanged"`
	BytesSource  int64                `json:"bytes_source"`
	BytesNew     int64                `json:"bytes_new"`
	BytesStored  int64                `json:"bytes_stored"`
	PacksCopied  int                  `json:"packs_copied"`
	Repacked     int                  `json:"blobs_repacked"`
	BytesCopied  int64                `json:"bytes_copied"`
	BytesInside  int64                `json:"bytes_copied_in_store"`
	BytesUp      int64                `json:"bytes_uploaded"`
	Recipes      []snapshot.RecipeUse `json:"recipes"`
	Requests     requestsJSON         `json:"requests"`
	Overtaken    int                  `json:"overtaken,omitempty"`
	PutBack      int                  `json:"blobs_put_back,omitempty"`
	SnapshotLeft string               `json:"snapshot_left,omitempty"`
	Selected     bool                 `json:"selected"`
	snapshot.Found
	Damaged      int                `json:"damaged_sstables"`
	DamagedNames []snapshot.Damaged `json:"damaged,omitempty"` // at most 1000
	CommitLog    int64              `json:"commit_log_bytes,omitempty"`
	AuditHead    string             `json:"audit_head,omitempty"`
}

type nodeJSON struct {
	Name   string `json:"name"`
	HostID string `json:"host_id"`
}

type requestsJSON struct {
	Put  int64 `json:"put"`
	Get  int64 `json:"get"`
	Head int64 `json:"head"`
	List int64 `json:"list"`
	Copy int64 `json:"copy"`
}

func requests(c *store.Counts) requestsJSON {
	return requestsJSON{Put: c.Puts.Load(), Get: c.Gets.Load(), Head: c.Heads.Load(), List: c.Lists.Load(), Copy: c.Copies.Load()}
}

func backupDocument(r *snapshot.Result, c *store.Counts, head string) backupJSON {
	return backupJSON{Schema: "cbk.backup/1", Backup: r.Backup, Mode: r.Mode, Node: nodeJSON{r.Node, r.HostID},
		Started: clock(r.Started), Finished: clock(r.Finished), Tables: r.Tables, SSTables: r.SSTables, Files: r.Files,
		Unchanged: r.Unchanged, BytesSource: r.BytesSource, BytesNew: r.BytesNew, BytesStored: r.BytesStored,
		PacksCopied: r.Copied.Packs, Repacked: r.Copied.Repacked, BytesCopied: r.Copied.Bytes, BytesInside: r.Copied.Inside, BytesUp: c.BytesUp.Load(),
		Recipes: r.Recipes, Requests: requests(c), Overtaken: r.Overtaken, PutBack: r.PutBack, SnapshotLeft: r.SnapshotLeft,
		Selected: r.Selected, Found: r.Found, Damaged: r.DamagedSSTables, DamagedNames: r.DamagedNames, CommitLog: r.CommitLog, AuditHead: head}
}

// fill notes the numbers of a recorded backup.
func (run *backupRun) fill(r *snapshot.Result) {
	run.Recorded, run.Cluster, run.Node = true, r.Cluster, r.Node
	run.BytesSource, run.BytesNew, run.BytesStored, run.BytesCopied = r.BytesSource, r.BytesNew, r.BytesStored, r.Copied.Bytes
	run.Tables, run.SSTables, run.Files, run.Unchanged = r.Tables, r.SSTables, r.Files, r.Unchanged
	run.Damaged, run.Missing = r.DamagedSSTables, len(r.Missing)
}

func printPutBack(r *snapshot.Result) string {
	if r.PutBack == 0 {
		return ""
	}
	return fmt.Sprintf("  put back: %s that a check could not read; cbk check tells whether more is lost\n", plural(r.PutBack, "blob"))
}

func printBackup(w io.Writer, r *snapshot.Result, c *store.Counts) error {
	q := requests(c)
	var own string
	if r.Mode == snapshot.ModeFull {
		own = fmt.Sprintf("  full copy: %s, of which %s copied inside the store: %s whole, %s repacked, %d copy requests; %s uploaded in all\n",
			size(r.Copied.Bytes), size(r.Copied.Inside), plural(r.Copied.Packs, "pack"), plural(r.Copied.Repacked, "blob"), q.Copy, size(c.BytesUp.Load()))
	}
	_, err := fmt.Fprintf(w, "backup %s of node %s (%s) done in %s\n"+
		"  %s, %s, %s: %s on the node\n"+
		"  reused: %s as at an earlier backup\n"+
		"  new: %s, stored as %s\n"+
		"%s%s%s"+
		"  requests: %d put, %d get, %d head, %d list\n",
		r.Backup, r.Node, r.HostID, r.Finished.Sub(r.Started).Round(100*time.Millisecond),
		plural(r.Tables, "table"), plural(r.SSTables, "SSTable"), plural(r.Files, "file"), size(r.BytesSource),
		plural(r.Unchanged, "file"), size(r.BytesNew), size(r.BytesStored), printPutBack(r), printRecipes(r.Recipes)+printFlaws(r), own, q.Put, q.Get, q.Head, q.List)
	return err
}

// printFlaws says what is not as it should be, or not in.
func printFlaws(r *snapshot.Result) string {
	var b strings.Builder
	if r.Selected {
		fmt.Fprintln(&b, "  of chosen tables only")
	}
	for _, t := range r.Missing {
		fmt.Fprintf(&b, "  MISSING %s\n", t)
	}
	if r.CommitLog > 0 {
		fmt.Fprintf(&b, "  NOT in it: up to %s of commit log that was never flushed\n", size(r.CommitLog))
	}
	for _, d := range r.DamagedNames {
		fmt.Fprintf(&b, "  DAMAGED on the node: %s: %s\n", d.SSTable, strings.Join(d.What, "; "))
	}
	return b.String()
}

// printRecipes says what files are stored as, and why not better.
func printRecipes(uses []snapshot.RecipeUse) string {
	var b strings.Builder
	for _, u := range uses {
		why := ""
		if u.Reason != "" {
			why = " (" + u.Reason + ")"
		}
		fmt.Fprintf(&b, "  recipe %s%s: %s, %s\n", u.Recipe, why, plural(u.Files, "file"), size(u.BytesSource))
		if u.ChunksStored > 0 {
			fmt.Fprintf(&b, "    %d of %d chunks kept as they are, %d of them damaged on the node\n", u.ChunksStored, u.Chunks, u.ChunksBroken)
		}
	}
	return b.String()
}
