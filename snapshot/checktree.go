package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"cbk/pack"
	"cbk/repo"
)

const (
	// maxHits bounds the hits listed for one damaged object; all are counted.
	maxHits = 1000
	// maxObjects bounds the damaged objects that are listed, with maxHitsHeld the hits: some 50 MiB where everything is lost.
	maxObjects  = 10_000
	maxHitsHeld = 200_000
	// maxRoots bounds the roots whose hashes a report lists. All of them are in the hash of hashes.
	maxRoots = 10_000
)

// Hit is what a damaged object takes with it. Parts that do not apply are empty: a damaged description hits a whole
// table or node.
type Hit struct {
	Backup    string `json:"backup"`
	Node      string `json:"node"`
	Keyspace  string `json:"keyspace"`
	Table     string `json:"table"`
	Component string `json:"component"`
}

// Damage is one damaged object and what it hits.
type Damage struct {
	Object    string `json:"object"`
	What      string `json:"what"`
	Hits      []Hit  `json:"hits"`
	HitsTotal int    `json:"hits_total"`
}

// HurtBackup is a backup that damage hits. Of the nodes that are not named everything can be restored.
type HurtBackup struct {
	Backup    string     `json:"backup"`
	Cluster   string     `json:"cluster"`
	Nodes     []HurtNode `json:"nodes"`
	Untouched int        `json:"nodes_untouched"`
}

// HurtNode is a node's part of a backup. Of the tables that are not named everything can be restored, unless Whole.
type HurtNode struct {
	Node      string      `json:"node"`
	HostID    string      `json:"host_id"`
	Whole     bool        `json:"whole"`           // what is hit belongs to all tables, or the key does not see to which
	Texts     []string    `json:"texts,omitempty"` // schema, roles or configuration files
	Tables    []HurtTable `json:"tables"`
	Untouched *int        `json:"tables_untouched"` // nil: not known
	Known     bool        `json:"known"`            // all of it is known to be lost
	total     int
	key       hurtKey
	root      string
	objects   []string // that hit it, at most maxLostObjects
	marks     []Loss
}

// HurtTable is a table in which something is lost.
type HurtTable struct {
	Keyspace   string   `json:"keyspace"`
	Table      string   `json:"table"`
	Whole      bool     `json:"whole"` // some of its SSTables are not even known
	Components []string `json:"components"`
	Total      int      `json:"components_total"`
}

// RootsSeen names what was checked: the hash over all roots, and each while they are not too many.
type RootsSeen struct {
	Total  int      `json:"total"`
	SHA256 string   `json:"sha256"` // of "<sha256 of the root>  <name>\n" for each, in the order of a listing
	Roots  []string `json:"roots"`  // these lines
}

type hurtKey struct{ cluster, backup string }

// hurts collects what damage hits, by backup.
type hurts struct {
	nodes []*HurtNode
	now   *HurtNode // the node snapshot that is looked at, nil where it is not known which
	held  int       // hits listed in all objects and nodes

	met   map[hurtKey]int // node snapshots looked at, by backup
	roots hash.Hash
	lines []string
	total int
}

// enter begins a node snapshot, or nothing that is known.
func (h *hurts) enter(e *Entry) {
	h.now = nil
	if e == nil {
		return
	}
	if h.met == nil {
		h.met, h.roots = make(map[hurtKey]int), sha256.New()
	}
	key := hurtKey{e.Cluster, e.Backup}
	h.now = &HurtNode{Node: e.Catalogue.Node, HostID: e.HostID, Tables: []HurtTable{}, Known: true, total: e.Tables, key: key, root: e.Root}
	h.met[key]++
	h.total++
	line := fmt.Sprintf("%s  %s", pack.ID(e.root.Hash), e.Root)
	h.roots.Write([]byte(line + "\n"))
	if len(h.lines) < maxRoots {
		h.lines = append(h.lines, line)
	}
}

func (h *hurts) note(at Hit) {
	n := h.now
	if n == nil {
		return
	}
	if len(h.nodes) == 0 || h.nodes[len(h.nodes)-1] != n {
		h.nodes = append(h.nodes, n)
	}
	switch {
	case at.Table == "" && at.Component == "":
		n.Whole = true
	case at.Table == "":
		n.Texts = append(n.Texts, at.Component)
	default:
		h.table(n, at)
	}
}

func (h *hurts) table(n *HurtNode, at Hit) {
	i := len(n.Tables) - 1 // tables come one after another
	if i < 0 || n.Tables[i].Table != at.Table || n.Tables[i].Keyspace != at.Keyspace {
		n.Tables, i = append(n.Tables, HurtTable{Keyspace: at.Keyspace, Table: at.Table, Components: []string{}}), i+1
	}
	t := &n.Tables[i]
	if at.Component == "" {
		t.Whole = true
		return
	}
	if slices.Contains(t.Components, at.Component) {
		return
	}
	t.Total++
	if h.held < maxHitsHeld && len(t.Components) < maxHits {
		h.held++
		t.Components = append(t.Components, at.Component)
	}
}

// tell returns the backups that are hit, how many node snapshots are not, how many were looked at, and their roots.
func (h *hurts) tell() (out []HurtBackup, untouched, all int, roots RootsSeen) {
	for _, n := range h.nodes {
		if !n.Whole {
			left := n.total - len(n.Tables)
			n.Untouched = &left
		}
		i := slices.IndexFunc(out, func(b HurtBackup) bool { return b.Backup == n.key.backup && b.Cluster == n.key.cluster })
		if i < 0 {
			i = len(out)
			out = append(out, HurtBackup{Backup: n.key.backup, Cluster: n.key.cluster, Untouched: h.met[n.key]})
		}
		out[i].Nodes = append(out[i].Nodes, *n)
		out[i].Untouched--
	}
	slices.SortFunc(out, func(a, b HurtBackup) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Backup, b.Backup))
	})
	roots = RootsSeen{Total: h.total, Roots: h.lines}
	if h.roots != nil {
		roots.SHA256 = hex.EncodeToString(h.roots.Sum(nil))
	}
	return out, h.total - len(h.nodes), h.total, roots
}

// forget makes ready for following the backups once more.
func (c *check) forget() {
	c.hurts = hurts{}
	c.othersOf = nil
	clear(c.known)
	c.rep.Void = nil
	for _, d := range c.by {
		d.Hits, d.HitsTotal = []Hit{}, 0
	}
}

// entry returns that of a damaged object, nil where too many are listed.
func (c *check) entry(object, what string) *Damage {
	if d := c.by[object]; d != nil {
		return d
	}
	c.rep.DamageTotal++
	if len(c.by) >= maxObjects {
		return nil
	}
	c.by[object] = &Damage{Object: object, What: what, Hits: []Hit{}}
	return c.by[object]
}

// hit records that a damaged object takes h with it. Errors that are not damage are returned.
func (c *check) hit(err error, h Hit) error {
	var damage *repo.DamageError
	if err == nil || !errors.As(err, &damage) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults++
	c.hurts.note(h)
	known := c.recognize(damage.Object, h)
	d := c.entry(damage.Object, damage.What)
	if d == nil {
		return nil
	}
	d.HitsTotal++
	if known {
		c.known[d.Object]++
	}
	if len(d.Hits) < maxHits && c.hurts.held < maxHitsHeld {
		c.hurts.held++
		d.Hits = append(d.Hits, h)
	}
	return nil
}
