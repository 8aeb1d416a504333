package snapshot

import (
	"context"
	"slices"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// ages are the bounds of coverage age.
var ages = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour, 365 * 24 * time.Hour}

// maxShownRuns and maxShownBackups bound what a status lists, the newest of them.
const (
	maxShownRuns    = 20
	maxShownBackups = 1000
)

// Age is how much was read back no longer ago than Within; the last of them has no bound.
type Age struct {
	Within time.Duration
	Packs  int64
	Bytes  int64
}

// Coverage is how long ago what is stored was read back.
type Coverage struct {
	Ages       []Age // each with what the one before has
	NeverPacks int64
	NeverBytes int64
	Oldest     time.Time // of what was read; zero where nothing was
}

// BackupRead is when the data of a backup was last read by name.
type BackupRead struct {
	Backup, Cluster, Node string
	Kind                  string
	At                    time.Time
	Damage                int
}

// CheckStatus is what records of checks say of the repository as it is.
type CheckStatus struct {
	Now       time.Time
	Packs     int64
	Bytes     int64
	Unaltered Coverage // compared with their names, or better
	Readable  Coverage // opened and decoded
	Runs      []Recorded
	RunsTotal int
	Unread    int          // records that do not count: damaged, of a revoked key or of a newer cbk
	Backups   []BackupRead // whole runs apart
}

// Status tells how much of the repository was read back when. It lists the repository and reads the records of checks.
func Status(ctx context.Context, r *repo.Repo, now time.Time) (*CheckStatus, error) {
	if err := r.MustRecord("see the records of checks"); err != nil {
		return nil, err
	}
	inv, err := r.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	h, err := readHistory(ctx, r)
	if err != nil {
		return nil, err
	}
	st := &CheckStatus{Now: now, Unread: h.unread, RunsTotal: len(h.runs) + h.dropped, Backups: h.backups()}
	compared, ofCompared := h.coverage(Unaltered)
	opened, ofOpened := h.coverage(Readable)
	st.Unaltered, st.Readable = newAges(), newAges()
	inv.EachPack(func(id pack.ID, size, stored int64) {
		st.Packs, st.Bytes = st.Packs+1, st.Bytes+size
		st.Unaltered.add(now, lastRead(compared, ofCompared, id, stored), size)
		st.Readable.add(now, lastRead(opened, ofOpened, id, stored), size)
	})
	st.Runs = slices.Clone(h.runs[max(len(h.runs)-maxShownRuns, 0):])
	slices.Reverse(st.Runs)
	return st, nil
}

// lastRead is when a pack was last read, as part of a range or of a sample.
func lastRead(c coverage, samples []Recorded, id pack.ID, stored int64) time.Time {
	name := nameOf(id)
	at := c.last(name, stored)
	for _, run := range slices.Backward(samples) {
		if !run.Started.After(at) {
			break // the samples are in order
		}
		if slices.ContainsFunc(run.extents, func(e repo.Extent) bool { return holds(&e, name, stored) }) && run.Sample.picks(id) {
			return run.Started
		}
	}
	return at
}

func newAges() (c Coverage) {
	for _, a := range ages {
		c.Ages = append(c.Ages, Age{Within: a})
	}
	c.Ages = append(c.Ages, Age{})
	return c
}

func (c *Coverage) add(now, at time.Time, size int64) {
	if at.IsZero() {
		c.NeverPacks, c.NeverBytes = c.NeverPacks+1, c.NeverBytes+size
		return
	}
	if c.Oldest.IsZero() || at.Before(c.Oldest) {
		c.Oldest = at
	}
	for i := range c.Ages {
		if a := &c.Ages[i]; a.Within == 0 || now.Sub(at) <= a.Within {
			a.Packs, a.Bytes = a.Packs+1, a.Bytes+size
		}
	}
}

// backups are the newest reads of single backups, the newest first.
func (h *history) backups() (out []BackupRead) {
	for _, run := range slices.Backward(h.runs) {
		one := BackupRead{Backup: run.Backup, Cluster: run.Cluster, Node: run.Node, Kind: run.Kind, At: run.Started, Damage: run.DamageTotal}
		same := func(o BackupRead) bool {
			return o.Backup == one.Backup && o.Cluster == one.Cluster && o.Node == one.Node && o.Kind == one.Kind
		}
		if run.Backup == "" || run.Level != LevelData || len(out) >= maxShownBackups || slices.ContainsFunc(out, same) {
			continue
		}
		out = append(out, one)
	}
	return out
}
