package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo/store"
	"cbk/snapshot"
)

func backupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "back up this Cassandra node",
		Flags: commonFlags(
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the backup", DefaultText: "the UTC time"},
			&cli.StringFlag{Name: "node", Usage: "`LABEL` under which the node's content is kept", DefaultText: "that of the key file, else the host id"},
			&cli.StringFlag{Name: "mode", Usage: "`MODE` of the backup: differential, or full: with a copy of its own", DefaultText: "differential"},
			&cli.StringFlag{Name: "recipe", Usage: "`RECIPE` of files that are read: auto, the smallest that is proven, or blobs, their bytes", DefaultText: "auto"},
			&cli.BoolFlag{Name: "keep-snapshot", Usage: "leave Cassandra's snapshot on disk"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			if c.IsSet("name") {
				if err := snapshot.CheckName(c.String("name")); err != nil {
					return usageError("--name: %w", err)
				}
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			limitMemory(backupMemoryLimit)
			domain, err := s.domain(c)
			if err != nil {
				return err
			}
			mode := cmp.Or(c.String("mode"), s.cfg.Mode, snapshot.ModeDifferential)
			recipe := cmp.Or(c.String("recipe"), s.cfg.Recipe, snapshot.RecipeAuto)
			if err := errors.Join(snapshot.CheckMode(mode), snapshot.CheckRecipe(recipe)); err != nil {
				return usageError("%w", err)
			}
			n, err := s.node()
			if err != nil {
				return err
			}
			defer n.Close()
			progress, end := newProgress(c.App.ErrWriter, s.log)
			res, err := snapshot.Take(c.Context, s.repo, n, snapshot.Options{Name: c.String("name"), Domain: domain, Mode: mode, Recipe: recipe, KeepSnapshot: c.Bool("keep-snapshot"),
				Now: time.Now, Log: s.log, Progress: progress, Open: snapshot.OpenFile})
			end()
			if err != nil {
				return err
			}
			if res.ClearFailure != nil {
				s.log.Warn("the backup is done, but Cassandra's snapshot is still there: clear it with nodetool clearsnapshot", "tag", res.SnapshotLeft, "error", res.ClearFailure)
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, backupDocument(res, s.counts))
			}
			return printBackup(c.App.Writer, res, s.counts)
		},
	}
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
	Recipes      []snapshot.RecipeUse `json:"recipes"`
	Requests     requestsJSON         `json:"requests"`
	Overtaken    int                  `json:"overtaken,omitempty"`
	SnapshotLeft string               `json:"snapshot_left,omitempty"`
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

func backupDocument(r *snapshot.Result, c *store.Counts) backupJSON {
	return backupJSON{Schema: "cbk.backup/1", Backup: r.Backup, Mode: r.Mode, Node: nodeJSON{r.Node, r.HostID},
		Started: clock(r.Started), Finished: clock(r.Finished), Tables: r.Tables, SSTables: r.SSTables, Files: r.Files,
		Unchanged: r.Unchanged, BytesSource: r.BytesSource, BytesNew: r.BytesNew, BytesStored: r.BytesStored,
		PacksCopied: r.Copied.Packs, Repacked: r.Copied.Repacked, BytesCopied: r.Copied.Bytes,
		Recipes: r.Recipes, Requests: requests(c), Overtaken: r.Overtaken, SnapshotLeft: r.SnapshotLeft}
}

func printBackup(w io.Writer, r *snapshot.Result, c *store.Counts) error {
	q := requests(c)
	var own string
	if r.Mode == snapshot.ModeFull {
		own = fmt.Sprintf("  full copy: %s, %s copied whole, %s repacked, %d copy requests\n",
			size(r.Copied.Bytes), plural(r.Copied.Packs, "pack"), plural(r.Copied.Repacked, "blob"), q.Copy)
	}
	_, err := fmt.Fprintf(w, "backup %s of node %s (%s) done in %s\n"+
		"  %s, %s, %s: %s on the node\n"+
		"  reused: %s as at an earlier backup\n"+
		"  new: %s, stored as %s\n"+
		"%s%s"+
		"  requests: %d put, %d get, %d head, %d list\n",
		r.Backup, r.Node, r.HostID, r.Finished.Sub(r.Started).Round(100*time.Millisecond),
		plural(r.Tables, "table"), plural(r.SSTables, "SSTable"), plural(r.Files, "file"), size(r.BytesSource),
		plural(r.Unchanged, "file"), size(r.BytesNew), size(r.BytesStored), printRecipes(r.Recipes), own, q.Put, q.Get, q.Head, q.List)
	return err
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
