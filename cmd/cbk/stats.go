package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func statsCommand() *cli.Command {
	return &cli.Command{
		Name: "stats", Usage: "tell what the backups hold and take, how they grow, and what deleting BACKUPs together would free", ArgsUsage: "[BACKUP...]",
		Flags: commonFlags(clusterFlag(),
			&cli.IntFlag{Name: "days", Value: 30, Usage: "growth of the last `N` days"},
			&cli.BoolFlag{Name: "tables", Usage: "read the descriptions too: by keyspace, table and recipe"},
			&cli.DurationFlag{Name: "grace", Value: 24 * time.Hour, Usage: "as gc will be given it"},
			&cli.DurationFlag{Name: "min-age", Value: 7 * 24 * time.Hour, Usage: "as gc will be given it"}),
		Action: func(c *cli.Context) (err error) {
			if days := c.Int("days"); days < 1 || days > 3660 {
				return usageError("--days %d: 1 to 3660", days)
			}
			s, err := open(c, true)
			if err != nil {
				return err
			}
			defer s.close(&err)
			if c.Bool("tables") {
				if err := s.repo.MustRead("show tables"); err != nil {
					return err
				}
			}
			var damaged []error
			doc, err := statsDocument(c, s, func(d *repo.DamageError) { damaged = append(damaged, d) })
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, doc)
			} else {
				err = doc.print(c.App.Writer)
			}
			if err == nil && len(damaged) > 0 {
				return fmt.Errorf("not all is counted: %w", damaged[0])
			}
			return err
		},
	}
}

// statsJSON is cbk.stats/1. What is of the whole repository is null where backups were named, and freed where none were;
// the last three are null without --tables.
type statsJSON struct {
	Schema      string                 `json:"schema"`
	Nodes       []string               `json:"nodes"` // that the key sees; null: all
	Backups     int                    `json:"backups"`
	Snapshots   int                    `json:"node_snapshots"`
	BytesSource int64                  `json:"bytes_source"`
	Unique      *uniqueJSON            `json:"unique"`
	Stored      *storedJSON            `json:"stored"`
	Growth      *growthJSON            `json:"growth"`
	Freed       *freedJSON             `json:"freed"`
	Keyspaces   []snapshot.KeyspaceUse `json:"keyspaces"`
	Tables      []snapshot.TableUse    `json:"tables"`
	Recipes     []snapshot.RecipeSum   `json:"recipes"`
}

// uniqueJSON counts blobs, each once, in plain bytes.
type uniqueJSON struct {
	Blobs int            `json:"blobs"`
	Bytes int64          `json:"bytes"`
	Types []repo.BlobUse `json:"types"`
}

// storedJSON counts the objects of the store.
type storedJSON struct {
	repo.Objects
	Kinds  []repo.KindUse `json:"kinds"`
	Unseen int            `json:"objects_unseen"`
}

type growthJSON struct {
	Days   []snapshot.Day `json:"days"`
	New    int64          `json:"bytes_new_per_day"`
	Stored int64          `json:"bytes_stored_per_day"`
}

// freedJSON is what deleting the named backups would free.
type freedJSON struct {
	Blobs    int          `json:"blobs"`
	Bytes    int64        `json:"bytes"`
	Later    int64        `json:"bytes_in_packs_that_stay"`
	Whole    repo.Objects `json:"packs_whole"`
	Repacked repo.Objects `json:"packs_repacked"`
	Copied   int64        `json:"bytes_copied"`
	Young    repo.Objects `json:"packs_young"`
	Copies   repo.Objects `json:"full_copies"`
	Garbage  repo.Objects `json:"garbage"` // that gc deletes in any case
	// Deleted is when gc deletes the packs that the next run condemns, were it to run at once; All is when those that are
	// too young for that have gone as well.
	Deleted string `json:"packs_deleted_from"`
	All     string `json:"all_deleted_from"`
}

func statsDocument(c *cli.Context, s *session, damaged func(*repo.DamageError)) (*statsJSON, error) {
	all, err := chosenBackups(c, s, damaged)
	if err != nil {
		return nil, err
	}
	doc := &statsJSON{Schema: "cbk.stats/1", Backups: len(all), Nodes: s.repo.Key().Domains()}
	var nodes []snapshot.Entry
	for _, b := range all {
		nodes = append(nodes, b.Nodes...)
		doc.BytesSource += b.Total().BytesSource
	}
	doc.Snapshots = len(nodes)
	now := time.Now()
	if c.NArg() > 0 {
		err = doc.freed(c, s, all, now)
	} else {
		err = doc.whole(c, s, all, now, damaged)
	}
	if err == nil && c.Bool("tables") {
		var b *snapshot.Breakdown
		if b, err = snapshot.Break(c.Context, s.repo, nodes); err == nil {
			doc.Keyspaces, doc.Tables, doc.Recipes = b.Keyspaces, b.Tables, b.Recipes
		}
	}
	return doc, err
}

// chosenBackups are those that are named, each once, or all.
func chosenBackups(c *cli.Context, s *session, damaged func(*repo.DamageError)) (all []snapshot.Backup, err error) {
	if c.NArg() == 0 {
		all, err = snapshot.List(c.Context, s.repo, damaged)
		return slices.DeleteFunc(all, func(b snapshot.Backup) bool { return c.String("cluster") != "" && b.Cluster != c.String("cluster") }), err
	}
	for _, name := range c.Args().Slice() {
		b, err := snapshot.Find(c.Context, s.repo, name, c.String("cluster"))
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(o snapshot.Backup) bool { return o.Name == b.Name && o.Cluster == b.Cluster }) {
			all = append(all, *b)
		}
	}
	return all, nil
}

// whole is what there is to say of the repository.
func (doc *statsJSON) whole(c *cli.Context, s *session, all []snapshot.Backup, now time.Time, damaged func(*repo.DamageError)) error {
	u, err := s.repo.Usage(c.Context, damaged)
	if err != nil {
		return err
	}
	doc.Unique = &uniqueJSON{Types: u.Blobs}
	doc.Unique.Blobs, doc.Unique.Bytes = u.Unique()
	doc.Stored = &storedJSON{Objects: u.Stored(), Kinds: u.Kinds, Unseen: u.Unseen}
	doc.Growth = &growthJSON{Days: snapshot.Growth(all, c.Int("days"), now)}
	doc.Growth.New, doc.Growth.Stored = snapshot.PerDay(doc.Growth.Days, now)
	return nil
}

// freed predicts what a deletion brings.
func (doc *statsJSON) freed(c *cli.Context, s *session, all []snapshot.Backup, now time.Time) error {
	grace, minAge := c.Duration("grace"), c.Duration("min-age")
	f, err := snapshot.Freed(c.Context, s.repo, all, repo.GCOptions{Grace: grace, MinAge: minAge, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	doc.Freed = &freedJSON{Blobs: f.Blobs, Bytes: f.Bytes, Later: f.Later, Whole: f.Whole, Repacked: f.Repacked, Copied: f.Copied,
		Young: f.Young, Copies: f.Copies, Garbage: f.Garbage, Deleted: clock(now.Add(grace)), All: clock(now.Add(grace))}
	if f.Young.Objects > 0 {
		doc.Freed.All = clock(f.Newest.Add(minAge + grace))
	}
	return nil
}

func (doc *statsJSON) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s, %s: %s of files\n", plural(doc.Backups, "backup"), plural(doc.Snapshots, "node snapshot"), size(doc.BytesSource))
	if len(doc.Nodes) > 0 {
		fmt.Fprintf(w, "only what this key sees: %s\n", strings.Join(doc.Nodes, ", "))
	}
	if doc.Stored != nil {
		doc.printWhole(w)
	}
	if doc.Freed != nil {
		err = errors.Join(err, doc.Freed.print(w))
	}
	if doc.Tables != nil {
		doc.printTables(w)
	}
	return err
}

func (doc *statsJSON) printWhole(w io.Writer) {
	fmt.Fprintf(w, "unique: %s in %s\nstored: %s in %s\n", size(doc.Unique.Bytes), plural(doc.Unique.Blobs, "blob"),
		size(doc.Stored.Bytes), plural(doc.Stored.Objects.Objects, "object"))
	if doc.Stored.Unseen > 0 {
		fmt.Fprintf(w, "not counted: %s of other nodes, and their packs\n", plural(doc.Stored.Unseen, "object"))
	}
	t := newTable(w, 2, "kind", "objects", "bytes")
	for _, k := range doc.Stored.Kinds {
		if k.Objects.Objects > 0 {
			t.AppendRow([]any{k.Kind, k.Objects.Objects, size(k.Bytes)})
		}
	}
	t.Render()
	t = newTable(w, 2, "day", "node snapshots", "source", "new", "stored")
	for _, d := range doc.Growth.Days {
		t.AppendRow([]any{d.Day, d.Nodes, size(d.BytesSource), size(d.BytesNew), size(d.BytesStored)})
	}
	t.Render()
	fmt.Fprintf(w, "per day: %s new, %s stored\n", size(doc.Growth.New), size(doc.Growth.Stored))
}

func (f *freedJSON) print(w io.Writer) error {
	packs := f.Whole.Objects + f.Repacked.Objects
	fmt.Fprintf(w, "deleting frees %s in %s that nothing else needs\n", size(f.Bytes), plural(f.Blobs, "blob"))
	if f.Copies.Objects > 0 {
		fmt.Fprintf(w, "  at once: %s of full copies\n", size(f.Copies.Bytes))
	}
	fmt.Fprintf(w, "  by gc: %s of %s", size(f.Whole.Bytes+f.Repacked.Bytes), plural(packs, "pack"))
	if f.Copied > 0 {
		fmt.Fprintf(w, ", out of which %s are copied first", size(f.Copied))
	}
	fmt.Fprintf(w, "; condemned by the next run, deleted by one after %s\n", f.Deleted)
	if f.Young.Objects > 0 {
		fmt.Fprintf(w, "  of these are too young yet: %s of %s, all deleted after %s\n", size(f.Young.Bytes), plural(f.Young.Objects, "pack"), f.All)
	}
	if f.Later > 0 {
		fmt.Fprintf(w, "  later: %s in packs that stay until less of them is needed\n", size(f.Later))
	}
	var err error
	if f.Garbage.Objects > 0 {
		_, err = fmt.Fprintf(w, "gc frees %s of %s in any case\n", size(f.Garbage.Bytes), plural(f.Garbage.Objects, "pack"))
	}
	return err
}

func (doc *statsJSON) printTables(w io.Writer) {
	t := newTable(w, 2, "table", "SSTables", "source", "new", "stored")
	for _, k := range doc.Keyspaces {
		t.AppendRow([]any{k.Keyspace, k.SSTables, size(k.BytesSource), size(k.BytesNew), size(k.BytesStored)})
		for _, one := range doc.Tables {
			if one.Keyspace == k.Keyspace {
				t.AppendRow([]any{"  " + one.Table, one.SSTables, size(one.BytesSource), size(one.BytesNew), size(one.BytesStored)})
			}
		}
	}
	t.Render()
	t = newTable(w, 2, "recipe", "files", "source")
	for _, r := range doc.Recipes {
		t.AppendRow([]any{r.Recipe, r.Files, size(r.Bytes)})
	}
	t.Render()
}
