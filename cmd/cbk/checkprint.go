package main

import (
	"fmt"
	"io"
	"strings"

	"cbk/snapshot"
)

// checkJSON is cbk.check/1.
type checkJSON struct {
	Schema     string                `json:"schema"`
	OK         bool                  `json:"ok"`
	Objects    int                   `json:"objects"`
	Blobs      int64                 `json:"blobs"`
	BytesRead  int64                 `json:"bytes_read"`
	Readable   bool                  `json:"readable"`
	Unseen     int                   `json:"objects_unseen"`
	Void       []string              `json:"void"`
	Damage     []snapshot.Damage     `json:"damage"`
	Total      int                   `json:"damage_total"`
	Known      []snapshot.Damage     `json:"damage_known"` // whose every hit is known to be lost
	Found      []foundJSON           `json:"found_again"`
	Mended     []snapshot.Damage     `json:"damage_mended"`
	Wanted     []snapshot.WantedBack `json:"wanted"`
	Hurt       []snapshot.HurtBackup `json:"backups_hit"`
	Untouched  int                   `json:"node_snapshots_untouched"`
	Level      string                `json:"level"`
	Kind       string                `json:"kind"`
	Backup     string                `json:"backup"` // empty: all
	Packs      checkPacksJSON        `json:"packs"`
	Inside     snapshot.Inside       `json:"inside"`
	NotChecked []string              `json:"not_checked"`
	Record     string                `json:"record"`    // empty where none was left
	NoRecord   string                `json:"no_record"` // why
	First      bool                  `json:"first_version"`
	Next       string                `json:"next"` // what may help against damage; empty for nothing
}

// checkPacksJSON counts packs: those of the repository, and those that were read whole.
type checkPacksJSON struct {
	Listed      int64                  `json:"listed"`
	ListedBytes int64                  `json:"listed_bytes"`
	Read        int64                  `json:"read"`
	ReadBytes   int64                  `json:"read_bytes"`
	Sample      *snapshot.Sample       `json:"sample,omitempty"`
	Ended       bool                   `json:"budget_spent,omitempty"`
	Extents     []snapshot.CheckExtent `json:"extents,omitempty"`
}

func checkDocument(r *checked) checkJSON {
	p := r.Packs
	return checkJSON{Schema: "cbk.check/1", OK: r.OK(), Level: r.Level, Kind: r.Kind, Backup: r.Backup, Objects: r.Objects, Blobs: r.Blobs,
		BytesRead: r.BytesRead, Readable: r.Readable, Unseen: r.Unseen, Void: list(r.Void), Inside: r.Inside,
		Packs: checkPacksJSON{Listed: p.Listed, ListedBytes: p.ListedBytes, Read: p.Read, ReadBytes: p.ReadBytes, Sample: p.Sample,
			Ended: p.Ended, Extents: r.Run().Extents},
		NotChecked: list(r.NotChecked()), Damage: list(r.Damage), Known: list(r.Known), Found: foundAgain(r.Found), Mended: list(r.Mended), Wanted: list(r.Wanted), Total: r.DamageTotal, Hurt: list(r.Hurt), Untouched: r.Untouched,
		Record: r.record.Name, NoRecord: r.why, First: r.first, Next: r.next}
}

// foundJSON is a node snapshot that was known to have lost something and is sound.
type foundJSON struct {
	Backup  string `json:"backup"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Since   string `json:"lost_since"`
}

func foundAgain(all []snapshot.Loss) []foundJSON {
	out := []foundJSON{}
	for _, l := range all {
		out = append(out, foundJSON{l.Backup, l.Cluster, l.Node, clock(l.Since)})
	}
	return out
}

// list is an empty list for none.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// shownHits is how many of a list a person is shown; --json and --report have more.
const shownHits = 10

func printCheck(w io.Writer, r *checked) error {
	fmt.Fprintf(w, "checked %s%d objects, %d blobs, %s (%s)\n", scopeOf(r), r.Objects, r.Blobs, plural(r.Backups, "node snapshot"), depthOf(r))
	if r.first {
		fmt.Fprintln(w, "of every object the first version was read, whatever was deleted or written over it since")
	}
	if s := r.Packs.Sample; s != nil {
		fmt.Fprintf(w, "sample of %g%%, seed %d: %d of %d packs\n", float64(s.Parts)*100/snapshot.Million, s.Seed, r.Packs.Read, r.Packs.Listed)
	}
	if r.Packs.Ended {
		fmt.Fprintf(w, "budget spent: %d of %d packs were read, the next run goes on\n", r.Packs.Read, r.Packs.Listed)
	}
	if r.Strangers > 0 {
		fmt.Fprintf(w, "%s not of this repository: left alone\n", plural(r.Strangers, "object"))
	}
	for _, name := range r.Void {
		fmt.Fprintf(w, "no backup: %s was signed by a revoked key, after its last backup that counts\n", name)
	}
	printInside(w, &r.Inside)
	for _, what := range r.NotChecked() {
		fmt.Fprintf(w, "NOT checked: %s\n", what)
	}
	printDamage(w, r)
	printWanted(w, r.Report)
	if r.next != "" {
		fmt.Fprintln(w, r.next)
	}
	if r.record.Name != "" {
		_, err := fmt.Fprintf(w, "recorded as %s\n", r.record.Name)
		return err
	}
	_, err := fmt.Fprintf(w, "no record was left: %s\n", r.why)
	return err
}

func scopeOf(r *checked) string {
	switch {
	case r.Host != "":
		return fmt.Sprintf("backup %s of node %s: ", r.Backup, r.Host)
	case r.Backup != "":
		return fmt.Sprintf("backup %s: ", r.Backup)
	}
	return ""
}

func depthOf(r *checked) string {
	switch {
	case r.Level == snapshot.LevelStructure:
		return "structure only; --read-data reads every byte"
	case r.Kind == snapshot.Readable:
		return size(r.BytesRead) + " read and authenticated"
	}
	return size(r.BytesRead) + " compared with their names: unaltered; only a reader's key shows that they are readable"
}

func printInside(w io.Writer, in *snapshot.Inside) {
	if in.SSTables > 0 {
		fmt.Fprintf(w, "looked into %s: %d partitions\n", plural(in.SSTables, "SSTable"), in.Partitions)
	}
	for _, s := range in.Source[:min(shownHits, len(in.Source))] {
		state := "FOUND in the backup as it came from the node"
		if s.Marked {
			state = "damaged at the source, as its backup says"
		}
		fmt.Fprintf(w, "%s: backup %s, node %s, table %s.%s, %s: %s\n", state, s.Backup, s.Node, s.Keyspace, s.Table, s.SSTable, strings.Join(s.What, "; "))
	}
	if more := in.SourceTotal - min(shownHits, len(in.Source)); more > 0 {
		fmt.Fprintf(w, "and %d more SSTables damaged at the source\n", more)
	}
}

// printDamage tells damage by object, and then by backup with what is left.
func printDamage(w io.Writer, r *checked) {
	if r.DamageTotal+len(r.Known) == 0 {
		if r.OK() {
			fmt.Fprintln(w, "no damage found")
		}
		return
	}
	printKnown(w, r.Report)
	for _, d := range r.Damage {
		fmt.Fprintf(w, "DAMAGED %s: %s\n", d.Object, d.What)
		for _, h := range d.Hits[:min(shownHits, len(d.Hits))] {
			fmt.Fprintf(w, "  hits %s\n", hitLine(&h))
		}
		if d.HitsTotal > shownHits {
			fmt.Fprintf(w, "  and %d more\n", d.HitsTotal-shownHits)
		}
		if d.HitsTotal == 0 {
			fmt.Fprintln(w, "  hits no component of any backup")
		}
	}
	if more := r.DamageTotal - len(r.Damage); more > 0 {
		fmt.Fprintf(w, "and %d more objects\n", more)
	}
	if r.DamageTotal == 0 {
		fmt.Fprintln(w, "no damage found that was not known")
	}
	for i := range r.Hurt {
		printHurt(w, &r.Hurt[i])
	}
	fmt.Fprintf(w, "%s in all have no damage\n", plural(r.Untouched, "node snapshot"))
}

func printKnown(w io.Writer, r *snapshot.Report) {
	for _, d := range r.Known[:min(shownHits, len(r.Known))] {
		fmt.Fprintf(w, "known: %s: %s; what that takes is marked as lost\n", d.Object, d.What)
	}
	if more := len(r.Known) - shownHits; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

// printWanted says what has come back, what may, and how.
func printWanted(w io.Writer, r *snapshot.Report) {
	for _, l := range r.Found[:min(shownHits, len(r.Found))] {
		fmt.Fprintf(w, "sound again: backup %s, node %s: the mark of %s has no effect any more\n", l.Backup, l.Node, clock(l.Since))
	}
	if more := len(r.Found) - shownHits; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	for _, d := range r.Mended[:min(shownHits, len(r.Mended))] {
		fmt.Fprintf(w, "mended: %s: %s, and no backup that can be followed needs what it has lost\n", d.Object, d.What)
	}
	if more := len(r.Mended) - shownHits; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	for _, b := range r.Wanted {
		state := "not asked for by this check"
		if len(b.Records) > 0 {
			state = "asked for"
		}
		fmt.Fprintf(w, "wanted back from %s (%s): what %s and %s of others held: %s\n", b.Domain, strings.Join(b.Nodes, ", "),
			plural(b.Packs, "damaged pack"), plural(b.Blobs, "blob"), state)
	}
	if len(r.Wanted) > 0 {
		fmt.Fprintln(w, "the next cbk backup there puts back what the node still has")
	}
}

func printHurt(w io.Writer, b *snapshot.HurtBackup) {
	fmt.Fprintf(w, "backup %s of cluster %s: %s hit, %d untouched\n", b.Backup, b.Cluster, plural(len(b.Nodes), "node"), b.Untouched)
	for i := range b.Nodes {
		n, known := &b.Nodes[i], ""
		if n.Known {
			known = "; known"
		}
		switch {
		case n.Whole:
			fmt.Fprintf(w, "  node %s: what is hit belongs to all of it, or this key does not see to which tables%s\n", n.Node, known)
		default:
			fmt.Fprintf(w, "  node %s: %s hit, %d can be restored whole%s\n", n.Node, plural(len(n.Tables), "table"), *n.Untouched, known)
		}
		if len(n.Texts) > 0 {
			fmt.Fprintf(w, "    texts: %s\n", strings.Join(n.Texts, ", "))
		}
		for _, t := range n.Tables[:min(shownHits, len(n.Tables))] {
			fmt.Fprintf(w, "    table %s.%s: %s\n", t.Keyspace, t.Table, lossOf(&t))
		}
		if more := len(n.Tables) - shownHits; more > 0 {
			fmt.Fprintf(w, "    and %d more\n", more)
		}
	}
}

func lossOf(t *snapshot.HurtTable) string {
	if t.Whole {
		return "not all of its SSTables are known"
	}
	return plural(t.Total, "component") + " lost"
}

func hitLine(h *snapshot.Hit) string {
	switch {
	case h.Backup == "":
		return "a backup whose name is lost with it"
	case h.Table == "" && h.Component != "":
		return fmt.Sprintf("backup %s, node %s: %s", h.Backup, h.Node, h.Component)
	case h.Table == "":
		return fmt.Sprintf("backup %s, node %s: all of it", h.Backup, h.Node)
	case h.Component == "":
		return fmt.Sprintf("backup %s, node %s, table %s.%s: all of it", h.Backup, h.Node, h.Keyspace, h.Table)
	}
	return fmt.Sprintf("backup %s, node %s, table %s.%s: %s", h.Backup, h.Node, h.Keyspace, h.Table, h.Component)
}
