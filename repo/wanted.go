package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/store"
)

// A record of what is wanted back, wanted/<domain>/<SHA-256 of its bytes>, names packs, or blobs in packs, that a check could
// not read. It is a claim and no fact: for a writer these blobs are unknown, so that it stores them again if it meets them;
// a keeper prefers their other holders, and deletes none of them before it has looked itself. Body (class ClassRecord, the
// domain's index key, name wanted/<domain>), signed by an owner, keeper or reader:
//
//	count, packs       in the order of their names, at least one
//	  pack             32 bytes
//	  count, blobs     32 bytes each, in order; none: all that the pack holds
const (
	// maxWantedIDs bounds the names, of packs and blobs, in a record: 2 MiB.
	maxWantedIDs = 1 << 16
	maxWanted    = maxWantedIDs*34 + 16
	// maxWantedRecords bounds the records of a domain that are read: a check adds few, and those that have done their work go.
	maxWantedRecords = 1 << 10
	// maxWantedHeld bounds the names that are held: 60 MiB. A check tells no more bad blobs one by one.
	maxWantedHeld = maxBadBlobs
)

// Unsound is a pack that cannot be read, or some of its blobs.
type Unsound struct {
	Pack  pack.ID
	Blobs []pack.ID // none: all of the pack's
}

// lacking is what a pack does not hold as written: some blobs or, where nil, all.
type lacking map[pack.ID]bool

func (l lacking) has(id pack.ID) bool { return l == nil || l[id] }

// wants is what the records of a domain name.
type wants struct {
	packs map[pack.ID]lacking
	held  int
	over  bool // there is more than may be held

	dropped map[pack.ID]bool // blobs that sound has left out, as many as may be held
}

func newWants() *wants {
	return &wants{packs: make(map[pack.ID]lacking), dropped: make(map[pack.ID]bool)}
}

// names reports whether a record says that a pack does not hold a blob.
func (w *wants) names(holder, blob pack.ID) bool {
	blobs, ok := w.packs[holder]
	return ok && blobs.has(blob)
}

// add notes what a record says.
func (w *wants) add(list []Unsound) {
	for i := range list {
		u := &list[i]
		if w.held += 1 + len(u.Blobs); w.held > maxWantedHeld {
			w.over = true
			return
		}
		blobs, ok := w.packs[u.Pack]
		switch {
		case len(u.Blobs) == 0 || ok && blobs == nil:
			w.packs[u.Pack] = nil
			continue
		case !ok:
			blobs = make(lacking, len(u.Blobs))
			w.packs[u.Pack] = blobs
		}
		for _, id := range u.Blobs {
			blobs[id] = true
		}
	}
}

// without returns what w does not say yet, in the order of names.
func (w *wants) without(list []Unsound) (fresh []Unsound) {
	for _, u := range list {
		blobs, ok := w.packs[u.Pack]
		whole := len(u.Blobs) == 0
		if ok {
			u.Blobs = slices.DeleteFunc(slices.Clone(u.Blobs), blobs.has)
		}
		if ok && (blobs == nil || !whole && len(u.Blobs) == 0) {
			continue
		}
		slices.SortFunc(u.Blobs, compareIDs)
		fresh = append(fresh, u)
	}
	slices.SortFunc(fresh, func(a, b Unsound) int { return compareIDs(a.Pack, b.Pack) })
	return fresh
}

func compareIDs(a, b pack.ID) int { return bytes.Compare(a[:], b[:]) }

// wantedRecord is one as it was read.
type wantedRecord struct {
	name    string
	list    []Unsound
	revoked bool // its author's key was
}

// Want publishes that packs or blobs of a domain are wanted back, as far as no record says so yet, and returns the names of
// the records that were made. The error matches roles.ErrRole for a writer.
func (r *Repo) Want(ctx context.Context, domain string, list []Unsound) (names []string, err error) {
	if err := r.must("ask for blobs", recorders...); err != nil {
		return nil, err
	}
	known, err := r.wanted(ctx, domain)
	if err != nil {
		return nil, err
	}
	d, err := r.domain(domain)
	if err != nil {
		return nil, err
	}
	for _, body := range encodeWanted(known.without(list)) {
		data := r.sealSigned(d, pack.ClassRecord, wantedPrefix+domain, body)
		name := wantedName(domain, data)
		if err := r.st.Create(ctx, name, data); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

func wantedName(domain string, data []byte) string {
	return fmt.Sprintf("%s%s/%x", wantedPrefix, domain, sha256.Sum256(data))
}

// encodeWanted makes bodies of records, each of as much as it may hold.
func encodeWanted(list []Unsound) (bodies [][]byte) {
	var batch []Unsound
	n := 0
	flush := func() {
		if len(batch) == 0 {
			return
		}
		var e wire.Encoder
		e.Count(len(batch))
		for i := range batch {
			e.Fixed(batch[i].Pack[:])
			encodeIDs(&e, batch[i].Blobs)
		}
		bodies, batch, n = append(bodies, e.Out()), nil, 0
	}
	for _, u := range list {
		for first := true; first || len(u.Blobs) > 0; first = false {
			if n > maxWantedIDs-2 {
				flush()
			}
			part := Unsound{u.Pack, u.Blobs[:min(len(u.Blobs), maxWantedIDs-n-1)]}
			u.Blobs = u.Blobs[len(part.Blobs):]
			batch, n = append(batch, part), n+1+len(part.Blobs)
		}
	}
	flush()
	return bodies
}

func decodeWanted(body []byte) ([]Unsound, error) {
	d := wire.NewDecoder(body)
	list := make([]Unsound, d.Count(maxWantedIDs, 33))
	left := maxWantedIDs
	for i := range list {
		d.Array(list[i].Pack[:])
		list[i].Blobs = decodeIDs(d, max(left-1, 0))
		left -= 1 + len(list[i].Blobs)
	}
	if d.Err() == nil && len(list) == 0 {
		d.Invalid("no pack")
	}
	return list, d.Done()
}

// eachWanted calls fn for the records of a domain, at most maxWantedRecords of them: with a *DamageError and the name alone
// where one is not as it was written. Bytes that match their name and that no key of the repository made are not told: they
// never were a record.
func (r *Repo) eachWanted(ctx context.Context, domain string, fn func(*wantedRecord, error) error) error {
	names, err := r.names(ctx, wantedPrefix+domain+"/", KindWanted)
	if err != nil {
		return fmt.Errorf("list what is wanted: %w", err)
	}
	for _, name := range names[:min(len(names), maxWantedRecords)] {
		rec, err := r.readWanted(ctx, name)
		if vanished(err) || rec == nil && err == nil {
			continue
		}
		if ignoreDamage(err) != nil {
			return err
		}
		if rec == nil {
			rec = &wantedRecord{name: name}
		}
		if err := fn(rec, err); err != nil {
			return err
		}
	}
	return nil
}

// readWanted opens a record; it is nil where there is none behind the name.
func (r *Repo) readWanted(ctx context.Context, name string) (*wantedRecord, error) {
	data, err := r.st.Get(ctx, name, maxWanted+maxFrame)
	if errors.Is(err, store.ErrTooLarge) {
		return nil, nil
	}
	if err != nil {
		return nil, asDamage(name, err)
	}
	if pack.ID(sha256.Sum256(data)).String() != path.Base(name) {
		return nil, &DamageError{Object: name, What: "its bytes do not match its name"}
	}
	s, err := r.openSigned(ctx, pack.ClassRecord, domainOf(name), wantedPrefix+domainOf(name), data, recorders...)
	if err == nil {
		rec := &wantedRecord{name: name, revoked: s.revoked}
		rec.list, err = decodeWanted(s.body)
		if err == nil {
			return rec, nil
		}
	}
	if err = asDamage(name, err); errors.Is(err, pack.ErrNewer) || !isDamage(err) {
		return nil, err
	}
	return nil, nil
}

// wanted returns what a writer takes for unknown in a domain. What cannot be read says nothing, nor what revoked keys say.
func (r *Repo) wanted(ctx context.Context, domain string) (*wants, error) {
	w := newWants()
	return w, r.eachWanted(ctx, domain, func(rec *wantedRecord, err error) error {
		if err == nil && !rec.revoked {
			w.add(rec.list)
		}
		return ignoreDamage(err)
	})
}

// Wanted returns what tells of a pack, by its object name, whether a record of a domain says that it cannot be read, or not
// all of it.
func (r *Repo) Wanted(ctx context.Context, domain string) (func(object string) bool, error) {
	w, err := r.wanted(ctx, domain)
	return func(object string) bool {
		id, wrong := pack.ParseID(path.Base(object))
		_, named := w.packs[id]
		return wrong == nil && named && object == PackName(id)
	}, err
}

// sound leaves out of a shard's packs what is wanted back, so that an index does not prefer a holder that cannot be read.
func (w *wants) sound(packs []pack.Info) []pack.Info {
	if w == nil {
		return packs
	}
	for i := range packs {
		p := &packs[i]
		if blobs, named := w.packs[p.Name]; named {
			p.Entries = slices.DeleteFunc(p.Entries, func(e pack.Entry) bool {
				if blobs.has(e.ID) && len(w.dropped) < maxWantedHeld {
					w.dropped[e.ID] = true
				}
				return blobs.has(e.ID)
			})
		}
	}
	return packs
}
