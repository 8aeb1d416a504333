package repo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// maxAuditChain bounds the records of a repository that are looked at, 8 bytes each in memory: 180 nodes that back up
// every hour for ten years.
const maxAuditChain = 1 << 24

// AuditOptions choose what Audit reads; the zero value is all there is.
type AuditOptions struct {
	Key     roles.KeyID // of the one chain that is read; zeros: all
	Last    int         // newest records of each chain that are read; 0: all
	Against []AuditHead // records that are known to have been there
}

// Audit calls fn for every record that this key can see, chain by chain, the oldest first. Where a record is not as its
// key wrote it, is missing, or does not follow the one before it, and where one of o.Against or one that this machine has
// seen before is gone or another, fn gets a *DamageError and where the record would be. What fn returns ends it. The error
// matches roles.ErrRole where a chain of o.Against cannot be seen.
func (r *Repo) Audit(ctx context.Context, o AuditOptions, fn func(AuditRecord, error) error) error {
	// What is known is read first: another process may add to a chain after it was listed, and remember that.
	known, err := r.knownHeads(o)
	if err != nil {
		return err
	}
	chains, err := r.auditChains(ctx, o)
	if err != nil {
		return err
	}
	for key := range known {
		if _, there := chains[key]; !there {
			chains[key] = nil // nothing is left of it
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(chains), func(a, b roles.KeyID) int { return bytes.Compare(a[:], b[:]) }) {
		numbers := chains[key]
		slices.Sort(numbers)
		w := &auditWalk{repo: r, key: key, known: known[key], fn: fn, free: 1}
		if skip := len(numbers) - o.Last; o.Last > 0 && skip > 0 {
			numbers, w.midway = numbers[skip:], true
		}
		if err := w.walk(ctx, numbers); err != nil {
			return err
		}
	}
	return nil
}

// auditChains lists the numbers of the records of each chain that is to be read.
func (r *Repo) auditChains(ctx context.Context, o AuditOptions) (map[roles.KeyID][]uint64, error) {
	prefix := auditPrefix
	if o.Key != (roles.KeyID{}) {
		prefix += o.Key.String() + "/"
	}
	chains, n := make(map[roles.KeyID][]uint64), 0
	err := r.st.List(ctx, prefix, func(i store.Info) error {
		if Classify(i.Name) != KindAudit {
			return nil
		}
		key, seq := auditOf(i.Name)
		chains[key] = append(chains[key], seq)
		n++
		return tooMany(n)
	})
	if err != nil {
		return nil, err
	}
	// A key that is not known may be younger than this process.
	for key := range chains {
		if _, ok := r.auditLabel(key); !ok {
			err = r.refresh(ctx)
			break
		}
	}
	maps.DeleteFunc(chains, func(key roles.KeyID, _ []uint64) bool { return !r.seesChain(key) })
	return chains, err
}

func tooMany(n int) error {
	if n > maxAuditChain {
		return &DamageError{Object: auditPrefix, What: fmt.Sprintf("more than %d records", maxAuditChain)}
	}
	return nil
}

// knownHeads returns by chain the records that must be there.
func (r *Repo) knownHeads(o AuditOptions) (map[roles.KeyID][]AuditHead, error) {
	pins, err := r.auditPins()
	known := make(map[roles.KeyID][]AuditHead)
	for _, h := range pins {
		if (o.Key == h.Key || o.Key == roles.KeyID{}) && r.seesChain(h.Key) {
			known[h.Key] = append(known[h.Key], h)
		}
	}
	for _, h := range o.Against {
		if !r.seesChain(h.Key) {
			return nil, fmt.Errorf("the chain of key %s is not for a key of this role: %w", h.Key, roles.ErrRole)
		}
		if !slices.Contains(known[h.Key], h) {
			known[h.Key] = append(known[h.Key], h)
		}
	}
	return known, err
}

// auditWalk goes along one chain.
type auditWalk struct {
	repo   *Repo
	key    roles.KeyID
	known  []AuditHead // records that must be there
	fn     func(AuditRecord, error) error
	midway bool // what comes first has others before it that are not looked at

	last    AuditHead // newest record that is as written
	free    uint64    // lowest number after it where nothing stands
	damaged uint64    // objects after it that are no records
	found   bool      // something is wrong
}

func (w *auditWalk) walk(ctx context.Context, numbers []uint64) error {
	if _, ok := w.repo.auditLabel(w.key); !ok && len(numbers) > 0 {
		return w.wrong(numbers[0], fmt.Sprintf("no key of this repository has this chain, of %d records", len(numbers)))
	}
	for part := range slices.Chunk(numbers, atOnce) {
		if err := w.batch(ctx, part); err != nil {
			return err
		}
	}
	for _, h := range w.known {
		if h.Seq > w.last.Seq && h.Seq >= w.free {
			if err := w.wrong(h.Seq, "it stood there before and is gone, with all after it"); err != nil {
				return err
			}
		}
	}
	if w.found || w.last.Seq == 0 {
		return nil
	}
	return w.repo.pinAudit(w.last)
}

func (w *auditWalk) batch(ctx context.Context, numbers []uint64) error {
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = auditName(w.key, n)
	}
	all, err := w.repo.getAll(ctx, names, maxAuditEntry+maxFrame)
	if err != nil {
		return err
	}
	for i, o := range all {
		rec, err := AuditRecord{AuditHead: AuditHead{Key: w.key, Seq: numbers[i]}}, o.damage
		if err == nil {
			rec, err = w.repo.openAudit(ctx, w.key, numbers[i], o.data)
		}
		switch {
		case ignoreDamage(err) != nil:
			return err
		case err != nil:
			err = w.skip(rec, err)
		default:
			err = w.step(rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skip passes what is no record.
func (w *auditWalk) skip(rec AuditRecord, damage error) error {
	w.found = true
	w.damaged++
	if rec.Seq == w.free {
		w.free++
	}
	return w.fn(rec, damage)
}

// step passes a record: all numbers before it must be taken, it must name the record before it unless that cannot be
// told for something that stands between, and be what is known of it.
func (w *auditWalk) step(rec AuditRecord) error {
	if w.midway {
		w.midway, w.free = false, rec.Seq
		w.last = AuditHead{Key: w.key, Seq: rec.Seq - 1, Hash: rec.Previous}
		w.damaged = 0
	}
	var err error
	switch missing := rec.Seq - w.last.Seq - 1 - w.damaged; {
	case missing > 0:
		err = w.wrong(w.free, fmt.Sprintf("%d records from here on are missing, record %d is there", missing, rec.Seq))
	case w.damaged == 0 && rec.Previous != w.last.Hash:
		err = w.wrong(rec.Seq, fmt.Sprintf("it does not follow record %d as that is", w.last.Seq))
	}
	for _, h := range w.known {
		if err == nil && h.Seq == rec.Seq && h.Hash != rec.Hash {
			err = w.wrong(rec.Seq, "another record stood there before")
		}
	}
	if err != nil {
		return err
	}
	w.last, w.free, w.damaged = rec.AuditHead, rec.Seq+1, 0
	return w.fn(rec, nil)
}

func (w *auditWalk) wrong(seq uint64, what string) error {
	w.found = true
	return w.fn(AuditRecord{AuditHead: AuditHead{Key: w.key, Seq: seq}}, &DamageError{Object: auditName(w.key, seq), What: what})
}
