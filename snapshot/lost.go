package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"cbk/pack"
	"cbk/repo"
)

const (
	lostVersion = 1
	// maxLosses bounds the node snapshots that are marked, those found again too: 100 of 100 backups of a large cluster.
	maxLosses = 10_000
	// maxLostBody is where a record ends and the next begins: a node's part of one has at most some 8 MiB, and repo.MaxRecord
	// is 16.
	maxLostBody = 4 << 20
	// maxLostObjects bounds the damaged objects that a mark names.
	maxLostObjects = 1000
)

// Loss is somebody's decision that what damage took from a node snapshot is lost. It deletes nothing.
type Loss struct {
	LostNode
	Record string // object name
	Level  string // of the check that found it
	By     string
	Key    string // id of the key that signed it
	Since  time.Time
	Ended  bool // a later check found all of it sound, or a later record says it better

	id pack.ID
}

// LostNode is what a node snapshot has lost.
type LostNode struct {
	Root    string      `json:"root"` // object name
	Backup  string      `json:"backup"`
	Cluster string      `json:"cluster"`
	Node    string      `json:"node"`
	HostID  string      `json:"host_id"`
	Whole   bool        `json:"whole"` // of which nothing is to be trusted
	Texts   []string    `json:"texts"`
	Tables  []LostTable `json:"tables"`
	Objects []string    `json:"objects"` // damaged ones, at most 1000
}

// LostTable is a table that has lost SSTables, or components of some.
type LostTable struct {
	Keyspace   string   `json:"keyspace"`
	Table      string   `json:"table"`
	Whole      bool     `json:"whole"` // not all that it has lost is named
	Components []string `json:"components"`
}

// lostRecord is the body of a record in lost/: of losses, and of earlier ones that have ended.
type lostRecord struct {
	Version int        `json:"version"`
	Level   string     `json:"level"`
	By      string     `json:"by"`
	At      time.Time  `json:"at"`
	Lost    []LostNode `json:"lost"`
	Ends    []lossEnd  `json:"ends"`
}

// lossEnd names a loss.
type lossEnd struct {
	Record ID     `json:"record"`
	Root   string `json:"root"`
}

func (rec *lostRecord) check() error {
	switch {
	case rec.Version != lostVersion:
		return fmt.Errorf("losses of version %d: %w", rec.Version, pack.ErrNewer)
	case rec.Level != LevelStructure && rec.Level != LevelData:
		return fmt.Errorf("losses found by %q", rec.Level)
	case len(rec.By) > maxHoldText || strings.ContainsFunc(rec.By, unicode.IsControl):
		return errors.New("losses decided by somebody with an impossible name")
	}
	return nil
}

// covers reports whether what a damaged object hits is known to be lost. A key that opens no content does not see what is
// hit, and knows the objects.
func (l *Loss) covers(object string, at Hit, reads bool) bool {
	switch {
	case l.Whole, !reads && slices.Contains(l.Objects, object):
		return true
	case at.Table == "":
		return at.Component != "" && slices.Contains(l.Texts, at.Component)
	}
	return l.Lacks(at.Keyspace, at.Table, at.Component)
}

// Lacks reports whether a component of a table is lost; an empty one stands for the table as a whole.
func (l *Loss) Lacks(keyspace, table, component string) bool {
	if l.Whole {
		return true
	}
	return slices.ContainsFunc(l.Tables, func(t LostTable) bool {
		return t.Keyspace == keyspace && t.Table == table && (t.Whole || component != "" && slices.Contains(t.Components, component))
	})
}

// Losses returns every loss that was ever decided, in no order that means anything. A record that cannot be read is a
// *repo.DamageError; what revoked keys signed says nothing. A key that may not see records sees none.
func Losses(ctx context.Context, r *repo.Repo) (all []Loss, err error) {
	if r.MustRecord("see what is lost") != nil {
		return nil, nil
	}
	ended := make(map[lossEnd]bool)
	err = r.Records(ctx, repo.LostRecord, func(rec repo.Record, err error) error {
		if err != nil || rec.Revoked {
			return err
		}
		var body lostRecord
		if err := json.Unmarshal(rec.Body, &body); err != nil {
			return &repo.DamageError{Object: rec.Name, What: fmt.Sprintf("losses: %v", err)}
		}
		if err := body.check(); err != nil {
			return &repo.DamageError{Object: rec.Name, What: err.Error(), Newer: errors.Is(err, pack.ErrNewer)}
		}
		for _, e := range body.Ends {
			ended[e] = true
		}
		for _, n := range body.Lost {
			all = append(all, Loss{LostNode: n, Record: rec.Name, Level: body.Level, By: body.By, Key: rec.Author.String(), Since: body.At, id: rec.ID})
		}
		if len(all) > maxLosses {
			return fmt.Errorf("more than %d node snapshots are marked", maxLosses)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read losses: %w", err)
	}
	for i := range all {
		all[i].Ended = ended[all[i].end()]
	}
	return all, nil
}

func (l *Loss) end() lossEnd { return lossEnd{ID(l.id), l.Root} }

// standing returns the losses that have not ended, by root.
func standing(all []Loss) map[string][]Loss {
	by := make(map[string][]Loss)
	for _, l := range all {
		if !l.Ended {
			by[l.Root] = append(by[l.Root], l)
		}
	}
	return by
}

// Lost counts what is known to be lost of a backup: whole node snapshots, and tables and components of others. Of a table
// whose loss is not known in full no component is counted.
func (b *Backup) Lost() (nodes, tables, components int) {
	for i := range b.Nodes {
		for _, l := range b.Nodes[i].Losses {
			if l.Whole {
				nodes++
			}
			tables += len(l.Tables)
			components += len(l.Texts)
			for _, t := range l.Tables {
				components += len(t.Components)
			}
		}
	}
	return nodes, tables, components
}

// Intact reports whether nothing of a backup is known to be lost.
func (b *Backup) Intact() bool {
	return !slices.ContainsFunc(b.Nodes, func(e Entry) bool { return len(e.Losses) > 0 })
}

// Drop is what marking damage would do.
type Drop struct {
	Lost []LostNode
	// Left is damage that no mark can stand for: what hits no node snapshot that can be named.
	Left []Damage

	ends  []lossEnd // earlier marks of the same node snapshots
	level string
}

// Drop plans to mark the damage that a check found and that is not known yet.
func (r *Report) Drop() *Drop {
	d := &Drop{level: r.Level, Lost: []LostNode{}, Left: []Damage{}}
	for i := range r.Hurt {
		b := &r.Hurt[i]
		for j := range b.Nodes {
			if n := &b.Nodes[j]; !n.Known {
				d.Lost = append(d.Lost, n.lost(b))
				for k := range n.marks {
					d.ends = append(d.ends, n.marks[k].end())
				}
			}
		}
	}
	for _, o := range r.Damage {
		if o.HitsTotal == 0 || slices.ContainsFunc(o.Hits, func(h Hit) bool { return h.Backup == "" }) {
			d.Left = append(d.Left, o)
		}
	}
	return d
}

func (n *HurtNode) lost(b *HurtBackup) LostNode {
	out := LostNode{Root: n.root, Backup: b.Backup, Cluster: b.Cluster, Node: n.Node, HostID: n.HostID, Whole: n.Whole,
		Texts: append([]string{}, n.Texts...), Tables: []LostTable{}, Objects: append([]string{}, n.objects...)}
	for _, t := range n.Tables {
		out.Tables = append(out.Tables, LostTable{t.Keyspace, t.Table, t.Whole || t.Total > len(t.Components), t.Components})
	}
	return out
}

// Mark records a plan: from here on what it names is known to be lost. It returns the names of the records.
func Mark(ctx context.Context, r *repo.Repo, d *Drop, by string, now time.Time) (names []string, err error) {
	rec := lostRecord{Version: lostVersion, Level: d.level, By: by, At: now.UTC(), Ends: d.ends}
	size := 0
	for i := range d.Lost {
		one, err := json.Marshal(d.Lost[i])
		if err != nil {
			return names, fmt.Errorf("losses: %w", err)
		}
		if size += len(one); size > maxLostBody && len(rec.Lost) > 0 {
			if names, err = rec.put(ctx, r, names); err != nil {
				return names, err
			}
			rec.Lost, rec.Ends, size = nil, nil, len(one)
		}
		rec.Lost = append(rec.Lost, d.Lost[i])
	}
	if len(rec.Lost) == 0 {
		return names, nil
	}
	return rec.put(ctx, r, names)
}

func (rec *lostRecord) put(ctx context.Context, r *repo.Repo, names []string) ([]string, error) {
	body, err := json.Marshal(rec)
	if err = errors.Join(err, rec.check()); err != nil {
		return names, fmt.Errorf("losses: %w", err)
	}
	made, err := r.AddRecord(ctx, repo.LostRecord, body)
	if err != nil {
		return names, fmt.Errorf("losses: %w", err)
	}
	return append(names, made.Name), nil
}

// EndLosses records that a check found sound again what was marked as lost.
func EndLosses(ctx context.Context, r *repo.Repo, rep *Report, by string) error {
	if len(rep.Found) == 0 {
		return nil
	}
	rec := lostRecord{Version: lostVersion, Level: rep.Level, By: by, At: rep.Finished.UTC()}
	for i := range rep.Found {
		rec.Ends = append(rec.Ends, rep.Found[i].end())
	}
	_, err := rec.put(ctx, r, nil)
	return err
}
