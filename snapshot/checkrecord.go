package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// Levels of a check, and what it showed of the bytes it read.
const (
	LevelStructure = "structure"
	LevelData      = "read-data"

	// Unaltered: what was read is what was written. Any key can compare packs with their names.
	Unaltered = "unaltered"
	// Readable: what was read was opened and decoded too.
	Readable = "readable"
)

const (
	checkVersion = 1
	// maxRecorded bounds the damaged objects that a record names; all are counted.
	maxRecorded = 100
	// maxRuns bounds the records that are held; older ones count as if they were not there: what only they have read was
	// never read. With one an hour that is some 6 weeks.
	maxRuns = 1000
	// maxRun bounds one record: 64 extents and 100 damaged objects have some 40 KiB.
	maxRun = 1 << 20
)

// CheckRun is the body of the record that a check leaves, in JSON.
type CheckRun struct {
	Version  int       `json:"version"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Level    string    `json:"level"`
	Kind     string    `json:"kind,omitempty"` // of what was read: unaltered or readable

	Backup  string `json:"backup,omitempty"` // empty: all
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"` // host id; empty: all nodes

	Extents []CheckExtent `json:"extents,omitempty"` // packs read, of all backups
	Sample  *Sample       `json:"sample,omitempty"`  // which of them, if not all

	Packs       int64            `json:"packs"`
	BytesRead   int64            `json:"bytes_read"`
	Objects     int              `json:"objects"`
	Blobs       int64            `json:"blobs"`
	Damage      []RecordedDamage `json:"damage,omitempty"`
	DamageTotal int              `json:"damage_total"`
}

// RecordedDamage is a damaged object in a record.
type RecordedDamage struct {
	Object string `json:"object"`
	What   string `json:"what"`
}

// CheckExtent is a repo.Extent in JSON: names by their first 16 hex digits, times in seconds since 1970 by the store's clock.
type CheckExtent struct {
	From   string `json:"from"`
	To     string `json:"to"`
	After  int64  `json:"after"`
	Stored int64  `json:"until"`
}

func extentJSON(e repo.Extent) CheckExtent {
	return CheckExtent{fmt.Sprintf("%016x", e.From), fmt.Sprintf("%016x", e.To), e.After, e.Until}
}

func (e *CheckExtent) extent() (out repo.Extent, err error) {
	from, err := strconv.ParseUint(e.From, 16, 64)
	to, wrong := strconv.ParseUint(e.To, 16, 64)
	return repo.Extent{From: from, To: to, After: e.After, Until: e.Stored}, errors.Join(err, wrong)
}

// Sample picks packs at random, the same for the same seed.
type Sample struct {
	Seed  uint64 `json:"seed"`
	Parts int    `json:"parts_per_million"`
}

// Million is the whole of a Sample's parts.
const Million = 1_000_000

func (s *Sample) picks(id pack.ID) bool {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, s.Seed), id[:]...))
	return binary.BigEndian.Uint64(sum[:8])%Million < uint64(s.Parts)
}

// Recorded is a run as it was recorded.
type Recorded struct {
	Record string
	Author string // key id
	CheckRun
	extents []repo.Extent
}

// history is what records say of earlier runs, oldest first.
type history struct {
	runs    []Recorded
	unread  int // records that cannot be read, that a revoked key signed or that a newer cbk wrote
	dropped int // beyond maxRuns
}

// readHistory reads the records of checks. A key that may not see them knows of none.
func readHistory(ctx context.Context, r *repo.Repo) (*history, error) {
	h := &history{}
	if r.MustRecord("see the records of checks") != nil {
		return h, nil
	}
	err := r.Records(ctx, repo.CheckRecord, func(rec repo.Record, err error) error {
		run, ok := decodeRun(&rec)
		if err != nil || !ok {
			h.unread++
			return nil
		}
		h.runs = append(h.runs, *run)
		if len(h.runs) >= 2*maxRuns {
			h.trim()
		}
		return nil
	})
	h.trim()
	return h, err
}

func (h *history) trim() {
	slices.SortFunc(h.runs, func(a, b Recorded) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Record, b.Record)) })
	if over := len(h.runs) - maxRuns; over > 0 {
		h.dropped += over
		h.runs = slices.Clone(h.runs[over:])
	}
}

func decodeRun(rec *repo.Record) (*Recorded, bool) {
	run := &Recorded{Record: rec.Name, Author: rec.Author.String()}
	if rec.Revoked || len(rec.Body) > maxRun || json.Unmarshal(rec.Body, &run.CheckRun) != nil || run.Version != checkVersion {
		return nil, false
	}
	if len(run.Extents) > maxExtents {
		return nil, false
	}
	for i := range run.Extents {
		e, err := run.Extents[i].extent()
		if err != nil {
			return nil, false
		}
		run.extents = append(run.extents, e)
	}
	return run, true
}

// coverage is what was read whole, at least as kind says; samples are told apart.
func (h *history) coverage(kind string) (c coverage, samples []Recorded) {
	c = newCoverage()
	for _, run := range h.runs {
		switch {
		case kind == Readable && run.Kind != Readable:
		case run.Sample != nil:
			samples = append(samples, run)
		default:
			for _, e := range run.extents {
				c = c.add(e, run.Started)
			}
		}
	}
	return c, samples
}

// Run is what a report's record says.
func (r *Report) Run() CheckRun {
	run := CheckRun{Version: checkVersion, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Level: r.Level, Kind: r.Kind, Backup: r.Backup,
		Cluster: r.Cluster, Node: r.Host, Sample: r.Packs.Sample, Packs: r.Packs.Read, BytesRead: r.BytesRead, Objects: r.Objects,
		Blobs: r.Blobs, DamageTotal: r.DamageTotal}
	for _, e := range r.Packs.Extents {
		run.Extents = append(run.Extents, extentJSON(e))
	}
	for _, d := range r.Damage[:min(len(r.Damage), maxRecorded)] {
		run.Damage = append(run.Damage, RecordedDamage{d.Object, d.What})
	}
	return run
}

// Leave adds the record of a check to the repository.
func Leave(ctx context.Context, r *repo.Repo, rep *Report) (repo.Record, error) {
	body, err := encodeJSON(rep.Run())
	if err != nil {
		return repo.Record{}, err
	}
	rec, err := r.AddRecord(ctx, repo.CheckRecord, bytes.Clone(body))
	if err != nil {
		return rec, fmt.Errorf("record of the check: %w", err)
	}
	return rec, nil
}
