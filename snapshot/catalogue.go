package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cbk/cassandra/ring"
	"cbk/repo"
)

// ErrNotFound is matched when no backup has the name asked for.
var ErrNotFound = errors.New("no such backup")

// Entry is one node snapshot as the catalogue knows it.
type Entry struct {
	Catalogue
	Root   string // object name
	Domain string
	Stored time.Time // by the store's clock; zero where it does not say
	Losses []Loss    // that are known and stand; only of backups that List returned
	root   *repo.Root
	seen   *ring.Ring // by the node, or as much of it as matters to a listing; nil where it is not known
}

// Backup is the node snapshots of one cluster that share a name.
type Backup struct {
	Name    string
	Cluster string
	Nodes   []Entry       // by node name and host id
	Missing []ring.Member // ring members in state NORMAL that have no snapshot in this backup

	// Partial says that nodes are missing that the key could not see if they were there.
	Partial bool

	unsure     bool       // a ring is not known: more nodes may be missing
	level      ring.Level // of every keyspace
	levelKnown bool
}

// Restorable is the level at which the replicas of every range of every keyspace are in; false where that cannot be told,
// because the key sees not all nodes, a ring is not known or a replication is of no known kind, and of a backup of chosen
// tables.
func (b *Backup) Restorable() (ring.Level, bool) {
	return b.level, b.levelKnown && !b.Partial && !b.unsure && !b.Selected()
}

// Unsure reports whether a ring that one of the nodes saw is not known, so that nobody can say which nodes are missing.
func (b *Backup) Unsure() bool { return b.unsure }

// Selected reports whether a node's snapshot is of chosen tables only.
func (b *Backup) Selected() bool {
	for i := range b.Nodes {
		if b.Nodes[i].Catalogue.Selected {
			return true
		}
	}
	return false
}

// Flaws adds up the tables that snapshots lacked and the SSTables that were damaged at the source.
func (b *Backup) Flaws() (missingTables, damagedSSTables int) {
	for i := range b.Nodes {
		missingTables += b.Nodes[i].MissingTables
		damagedSSTables += b.Nodes[i].DamagedSSTables
	}
	return missingTables, damagedSSTables
}

// Complete reports whether every node that the ring expects is known to be in, with every table.
func (b *Backup) Complete() bool {
	lack, _ := b.Flaws()
	return len(b.Missing) == 0 && !b.unsure && !b.Partial && lack == 0
}

// Started is when the first node began, Finished when the last one ended.
func (b *Backup) Started() time.Time {
	first := b.Nodes[0].Started
	for i := range b.Nodes {
		first = earlier(b.Nodes[i].Started, first)
	}
	return first
}

// Finished is when the last node ended.
func (b *Backup) Finished() time.Time {
	last := b.Nodes[0].Finished
	for i := range b.Nodes {
		if b.Nodes[i].Finished.After(last) {
			last = b.Nodes[i].Finished
		}
	}
	return last
}

// Since is a time of which a backup surely holds all data: when the first node began by its own clock or, should that
// one be ahead, when its root came to the store.
func (b *Backup) Since() time.Time {
	since := b.Started()
	for _, n := range b.Nodes {
		if !n.Stored.IsZero() && n.Stored.Before(since) {
			since = n.Stored
		}
	}
	return since
}

// Annotations are those of all nodes together; where they differ, those of the last node in their order.
func (b *Backup) Annotations() map[string]string {
	all := make(map[string]string)
	for i := range b.Nodes {
		maps.Copy(all, b.Nodes[i].Annotations)
	}
	return all
}

// Total adds up what the nodes' snapshots hold and cost.
func (b *Backup) Total() (c Cost) {
	for i := range b.Nodes {
		c.add(b.Nodes[i].cost())
	}
	return c
}

func (c *Catalogue) cost() Cost {
	return Cost{SSTables: c.SSTables, Files: c.Files, Unchanged: c.Unchanged, BytesSource: c.BytesSource,
		BytesNew: c.BytesNew, BytesStored: c.BytesStored}
}

// entries reads the head of every root, in no order. Roots that cannot be read are given to damaged.
func entries(ctx context.Context, r *repo.Repo, damaged func(*repo.DamageError)) (all []*Entry, err error) {
	var mu sync.Mutex
	tell := func(d *repo.DamageError) {
		mu.Lock()
		defer mu.Unlock()
		damaged(d)
	}
	words := sync.Pool{New: func() any { return make(wordbook) }}
	err = r.Heads(ctx, tell, func(h *repo.Head) error {
		book := words.Get().(wordbook)
		e, err := newEntry(h.Object, h.Root, book)
		words.Put(book)
		var damage *repo.DamageError
		if errors.As(err, &damage) {
			tell(damage)
			return nil
		}
		if err != nil || e == nil {
			return err
		}
		e.Stored = h.Stored
		e.root.Catalogue = nil // decoded; it would keep all that was read in memory
		mu.Lock()
		defer mu.Unlock()
		all = append(all, e)
		return nil
	})
	return all, err
}

// readEntry reads a whole root; nil for a part of one, which is no backup by itself.
func readEntry(ctx context.Context, r *repo.Repo, name string) (*Entry, error) {
	root, err := r.ReadRoot(ctx, name)
	if err != nil {
		return nil, err
	}
	e, err := newEntry(name, root, make(wordbook))
	if err == nil && e != nil && len(root.Descriptions) != 1 {
		return nil, &repo.DamageError{Object: name, What: fmt.Sprintf("a snapshot with %d descriptions", len(root.Descriptions))}
	}
	return e, err
}

// whole reads the rest of a root of which a listing knows the head.
func (e *Entry) whole(ctx context.Context, r *repo.Repo) (*Entry, error) {
	full, err := readEntry(ctx, r, e.Root)
	if err == nil && full == nil {
		err = &repo.DamageError{Object: e.Root, What: "became a part of another root"}
	}
	if err == nil {
		full.Stored, full.Losses = e.Stored, e.Losses
	}
	return full, err
}

// newEntry makes the entry of a root; nil for a part of one, which is no backup by itself.
func newEntry(name string, root *repo.Root, words wordbook) (*Entry, error) {
	if root.Main != nil {
		return nil, nil
	}
	e := &Entry{Root: name, Domain: root.At.Domain, root: root}
	if err := e.Catalogue.decode(root.Catalogue, words); err != nil {
		return nil, &repo.DamageError{Object: name, What: fmt.Sprintf("catalogue entry: %v", err)}
	}
	if e.Kind != KindSSTables {
		return nil, &repo.DamageError{Object: name, What: fmt.Sprintf("a snapshot of kind %q", e.Kind)}
	}
	if root.Full != (e.Mode == ModeFull) {
		return nil, &repo.DamageError{Object: name, What: fmt.Sprintf("mode %q is not the root's", e.Mode)}
	}
	return e, nil
}

// List returns the backups of a repository, oldest first. Roots and rings that cannot be read are given to damaged.
func List(ctx context.Context, r *repo.Repo, damaged func(*repo.DamageError)) ([]Backup, error) {
	all, err := entries(ctx, r, damaged)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	losses, err := Losses(ctx, r)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		damaged(damage)
	} else if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	lost := standing(losses)
	groups := make(map[groupKey][]*Entry)
	for _, e := range all {
		e.Losses = lost[e.Root]
		k := groupKey{e.Cluster, e.Backup}
		groups[k] = append(groups[k], e)
	}
	rings := newRingReader(r)
	var out []Backup
	for k, nodes := range groups {
		delete(groups, k) // what is copied out of it can go
		b := Backup{Name: k.backup, Cluster: k.cluster, Nodes: inOrder(nodes), Partial: len(r.Key().Domains()) > 0}
		if err := rings.judge(ctx, &b, damaged); err != nil {
			return nil, err
		}
		b.Partial = b.Partial && len(b.Missing) > 0
		out = append(out, b)
	}
	oldestFirst(out)
	return out, nil
}

// groupKey is what the node snapshots of a backup share.
type groupKey struct{ cluster, backup string }

// inOrder returns the nodes of a backup in their order.
func inOrder(nodes []*Entry) []Entry {
	slices.SortFunc(nodes, func(x, y *Entry) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.HostID, y.HostID), cmp.Compare(x.Root, y.Root))
	})
	out := make([]Entry, len(nodes))
	for i, e := range nodes {
		out[i] = *e
	}
	return out
}

func oldestFirst(all []Backup) {
	started := make(map[groupKey]time.Time, len(all))
	for i := range all {
		started[groupKey{all[i].Cluster, all[i].Name}] = all[i].Started()
	}
	slices.SortFunc(all, func(x, y Backup) int {
		return cmp.Or(started[groupKey{x.Cluster, x.Name}].Compare(started[groupKey{y.Cluster, y.Name}]),
			cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.Name, y.Name))
	})
}

// Pick returns the entry of a node, by host id, name or address label; an empty node means the only one.
func (b *Backup) Pick(node string) (*Entry, error) {
	var labels []string
	for i := range b.Nodes {
		e := &b.Nodes[i]
		if node != "" && e.is(node) || node == "" && len(b.Nodes) == 1 {
			return e, nil
		}
		labels = append(labels, e.Node)
	}
	if node == "" {
		return nil, fmt.Errorf("backup %q has %d nodes: choose one with --node", b.Name, len(b.Nodes))
	}
	return nil, fmt.Errorf("%w: node %q in backup %q; it has %s", ErrNotFound, node, b.Name, strings.Join(labels, ", "))
}
