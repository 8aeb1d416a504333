package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

// versioned is a provider that keeps versions of objects and locks them.
type versioned interface {
	protection(ctx context.Context) (Protection, error)
	// versions returns a page of the versions of the objects below a prefix:
	// by key, and of each key the newest first. Delete markers are not in it.
	versions(ctx context.Context, prefix string, after marker, limit int) (versionPage, error)
	lockOf(ctx context.Context, key, version string) (Lock, error)
	setLock(ctx context.Context, key, version string, lock Lock) error
}

// version is one of those of an object.
type version struct {
	Key, ID string
	Size    int64
	ModTime time.Time
}

// marker is where a page of versions ended.
type marker struct{ Key, Version string }

type versionPage struct {
	versions []version
	next     *marker // nil after the last
	beyond   bool    // it has delete markers or versions of other keys than the first
}

// maxVersions bounds the ids of versions that are remembered, at some 200 bytes
// each 26 MiB: more than the roots of 180 nodes with 400 backups.
// Forgotten, an id is asked for once more.
const maxVersions = 1 << 17

// firstVersions reads the first version of each object, whatever was deleted or
// written over it since.
type firstVersions struct {
	from versioned
	page int

	mu  sync.Mutex
	ids map[string]string // by key
}

func (f *firstVersions) remember(v version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ids) >= maxVersions {
		clear(f.ids)
	}
	f.ids[v.Key] = v.ID
}

// id returns that of the first version of an object.
func (f *firstVersions) id(ctx context.Context, key string) (string, error) {
	f.mu.Lock()
	id, ok := f.ids[key]
	f.mu.Unlock()
	if ok {
		return id, nil
	}
	v, err := f.find(ctx, key)
	return v.ID, err
}

// find goes through the versions of one key; the names that begin with it come
// after all of them.
func (f *firstVersions) find(ctx context.Context, key string) (first version, err error) {
	for at := (&marker{}); at != nil; {
		page, err := f.versions(ctx, key, *at)
		if err != nil {
			return first, err
		}
		at = page.next
		for _, v := range page.versions {
			if v.Key == key {
				first = v
			}
		}
		if page.beyond {
			break
		}
	}
	if first.Key == "" {
		return first, ErrNotFound
	}
	f.remember(first)
	return first, nil
}

func (f *firstVersions) versions(ctx context.Context, prefix string, after marker) (versionPage, error) {
	count(ctx, func(c *Counts) { c.Lists.Add(1) })
	return f.from.versions(ctx, prefix, after, f.page)
}

// firstToken is where a listing of first versions goes on: Last was the oldest
// met of its key, and the next page may have an older one.
type firstToken struct {
	After marker
	Last  version
}

// list returns a page of first versions. A key is told when another follows or
// the listing ends, so that a page may be empty.
func (f *firstVersions) list(ctx context.Context, prefix string, token []byte) (found []version, next []byte, err error) {
	var at firstToken
	if token != nil {
		if err := json.Unmarshal(token, &at); err != nil {
			return nil, nil, fmt.Errorf("%w token of a listing: %v", ErrInvalid, err)
		}
	}
	page, err := f.versions(ctx, prefix, at.After)
	if err != nil {
		return nil, nil, err
	}
	last := at.Last
	for _, v := range page.versions {
		if v.Key != last.Key && last.Key != "" {
			found = append(found, last)
		}
		last = v
	}
	if page.next != nil {
		next, err = json.Marshal(firstToken{*page.next, last})
	} else if last.Key != "" {
		found = append(found, last)
	}
	for _, v := range found {
		f.remember(v)
	}
	return found, next, err
}

// byFirstVersion makes of a store one that reads first versions and changes
// none.
func byFirstVersion(s Store, o Options) (Store, error) {
	b, ok := s.(*bucketStore)
	if !ok || b.locks == nil {
		return nil, errors.Join(fmt.Errorf("%w: only of an S3 bucket with versions", ErrNoVersions), s.Close())
	}
	b.first = &firstVersions{from: b.locks, page: o.pageSize(), ids: make(map[string]string)}
	return firstOnly{readOnly{b}}, nil
}

// mustKeep refuses a bucket of which it is known that it keeps no versions: its
// objects are the only ones there are, and reading them thus would prove
// nothing.
func mustKeep(ctx context.Context, s Store) error {
	p, err := Protected(ctx, s)
	switch {
	case kindOf(err) == ErrDenied, kindOf(err) == ErrUnsupported:
		return nil // the listing of versions will tell
	case err == nil && !p.Versions && !p.Suspended:
		err = &Error{Op: "open store", Kind: ErrNoVersions, Err: errors.New("the bucket keeps no versions")}
	}
	return err
}

// firstOnly lets locks be extended, which takes nothing from anybody.
type firstOnly struct{ readOnly }

// SetLock implements Locker.
func (f firstOnly) SetLock(ctx context.Context, name string, lock Lock) error {
	return SetLock(ctx, f.Store, name, lock)
}

// chosen is the id of a version, "" the newest.
type chosen string

// options makes a read one of the version.
func (c chosen) options() *blob.ReaderOptions {
	if c == "" {
		return nil
	}
	return &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if !as(&in) {
			return fmt.Errorf("%w: read of a version", ErrUnsupported)
		}
		in.VersionId = aws.String(string(c))
		return nil
	}}
}

// version chooses that of an object which this store reads.
func (s *bucketStore) version(ctx context.Context, name string) (chosen, error) {
	if s.first == nil {
		return "", nil
	}
	id, err := s.first.id(ctx, s.prefix+name)
	return chosen(id), err
}

func (s *bucketStore) statFirst(ctx context.Context, name string) (Info, error) {
	ctx, dog := watch(ctx, s.stall)
	v, err := s.first.find(ctx, s.prefix+name)
	if err := dog.end(err); err != nil {
		return Info{}, wrap("stat", name, err)
	}
	return Info{Name: name, Size: v.Size, ModTime: v.ModTime}, nil
}

func (s *bucketStore) listFirst(ctx context.Context, prefix string, token []byte) ([]Info, []byte, error) {
	ctx, dog := watch(ctx, s.stall)
	found, next, err := s.first.list(ctx, s.prefix+prefix, token)
	if err := dog.end(err); err != nil {
		return nil, nil, wrap("list", prefix, err)
	}
	page := make([]Info, len(found))
	for i, v := range found {
		page[i] = Info{Name: v.Key[len(s.prefix):], Size: v.Size, ModTime: v.ModTime}
	}
	return page, next, nil
}

// Protection implements Locker.
func (s *bucketStore) Protection(ctx context.Context) (p Protection, err error) {
	err = s.locking(ctx, "ask for versions and locks", "", func(ctx context.Context, _ chosen) error {
		p, err = s.locks.protection(ctx)
		return err
	})
	return p, err
}

// LockOf implements Locker.
func (s *bucketStore) LockOf(ctx context.Context, name string) (lock Lock, err error) {
	err = s.locking(ctx, "ask for the lock of", name, func(ctx context.Context, v chosen) error {
		lock, err = s.locks.lockOf(ctx, s.prefix+name, string(v))
		return err
	})
	return lock, err
}

// SetLock implements Locker.
func (s *bucketStore) SetLock(ctx context.Context, name string, lock Lock) error {
	return s.locking(ctx, "lock", name, func(ctx context.Context, v chosen) error {
		return s.locks.setLock(ctx, s.prefix+name, string(v), lock)
	})
}

// locking runs a request about locks, of an object where it has a name.
func (s *bucketStore) locking(ctx context.Context, op, name string, do func(context.Context, chosen) error) error {
	if s.locks == nil {
		return &Error{Op: op, Name: name, Kind: ErrUnsupported}
	}
	ctx, dog := watch(ctx, s.stall)
	var of chosen
	var err error
	if name != "" {
		if err = checkName(name); err == nil {
			of, err = s.version(ctx, name)
		}
	}
	if err == nil {
		count(ctx, func(c *Counts) { c.Heads.Add(1) })
		err = do(ctx, of)
	}
	return wrap(op, name, dog.end(err))
}
