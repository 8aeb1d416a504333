package repo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// RecordKind is the folder of records that say something about the repository as a whole.
type RecordKind string

// The kinds of records: holds that keep backups from being removed, results of checks, and what is known to be lost.
const (
	HoldRecord  RecordKind = "holds"
	CheckRecord RecordKind = "checks"
	LostRecord  RecordKind = "lost"
)

// MaxRecord bounds the body of a record: the result of a check that names 500,000 packs, 32 TB, by their hashes.
const MaxRecord = 16 << 20

// recordMemory bounds the records that are read side by side; one alone may be larger.
const recordMemory = 32 << 20

// Record is an object <kind>/<SHA-256 of its bytes>: sealed under the index key of the whole, with its kind as name, and
// signed by an owner, keeper or reader. Once there it is never altered, and garbage collection leaves it alone.
type Record struct {
	Name    string
	ID      pack.ID // SHA-256 of the object
	Author  roles.KeyID
	Revoked bool   // the author's key was revoked, before or after
	Body    []byte // the caller's
}

var recordKinds = []RecordKind{HoldRecord, CheckRecord, LostRecord}

var recorders = []roles.Role{roles.RoleOwner, roles.RoleKeeper, roles.RoleReader}

// AddRecord creates a record with a body of at most MaxRecord bytes. The error matches roles.ErrRole for a writer.
func (r *Repo) AddRecord(ctx context.Context, kind RecordKind, body []byte) (Record, error) {
	if err := r.must("add "+string(kind), recorders...); err != nil {
		return Record{}, err
	}
	if len(body) > MaxRecord {
		return Record{}, fmt.Errorf("record of %d bytes, at most %d", len(body), MaxRecord)
	}
	d, err := r.domain(roles.Whole)
	if err != nil {
		return Record{}, err
	}
	data := r.sealSigned(d, pack.ClassRecord, string(kind), body)
	id := pack.ID(sha256.Sum256(data))
	rec := Record{Name: string(kind) + "/" + id.String(), ID: id, Author: r.Key().KeyID(), Body: body}
	return rec, r.st.Create(ctx, rec.Name, data)
}

// Records calls fn for every record of a kind, in no order that means anything: with a *DamageError and the record's name
// alone where it is not as it was written. What fn returns ends it. The error matches roles.ErrRole for a writer.
func (r *Repo) Records(ctx context.Context, kind RecordKind, fn func(Record, error) error) error {
	if err := r.must("list "+string(kind), recorders...); err != nil {
		return err
	}
	return r.eachBatch(ctx, string(kind)+"/", func(names []string) error { return r.openRecords(ctx, names, fn) })
}

// eachBatch calls fn for the records below a prefix, as many at a time as fit in memory side by side.
func (r *Repo) eachBatch(ctx context.Context, prefix string, fn func(names []string) error) error {
	var names []string
	held := int64(0)
	err := r.st.List(ctx, prefix, func(i store.Info) error {
		if Classify(i.Name) != KindRecord {
			return nil
		}
		if len(names) == atOnce || len(names) > 0 && held+i.Size > recordMemory {
			if err := fn(names); err != nil {
				return err
			}
			names, held = nil, 0
		}
		names, held = append(names, i.Name), held+i.Size
		return nil
	})
	if err != nil {
		return err
	}
	return fn(names)
}

func (r *Repo) openRecords(ctx context.Context, names []string, fn func(Record, error) error) error {
	all, err := r.getAll(ctx, names, MaxRecord+maxFrame)
	if err != nil {
		return err
	}
	for _, o := range all {
		rec, err := Record{Name: o.name}, o.damage
		if err == nil {
			rec, err = r.openRecord(ctx, o.name, o.data)
		}
		if ignoreDamage(err) != nil {
			return err
		}
		if err := fn(rec, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) openRecord(ctx context.Context, name string, data []byte) (Record, error) {
	rec := Record{Name: name, ID: sha256.Sum256(data)}
	if path.Base(name) != rec.ID.String() {
		return Record{Name: name}, &DamageError{Object: name, What: "its bytes do not match its name"}
	}
	s, err := r.openSigned(ctx, pack.ClassRecord, roles.Whole, path.Dir(name), data, recorders...)
	if err != nil {
		return Record{Name: name}, asDamage(name, err)
	}
	rec.Author, rec.Revoked, rec.Body = s.author, s.revoked, s.body
	return rec, nil
}

// fetched is a small object that was read, or cannot be.
type fetched struct {
	name   string
	data   []byte
	damage error
}

// getAll reads objects side by side. The error is for what is no damage.
func (r *Repo) getAll(ctx context.Context, names []string, limit int64) ([]fetched, error) {
	all := make([]fetched, len(names))
	g, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		g.Go(func() error {
			data, err := r.st.Get(ctx, name, limit)
			all[i] = fetched{name, data, asDamage(name, err)}
			return ignoreDamage(all[i].damage)
		})
	}
	return all, g.Wait()
}
