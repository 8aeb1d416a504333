package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
)

// bucketStore is a Store in a gocloud bucket: the innermost layer, where
// requests really go out and are counted.
type bucketStore struct {
	bucket *blob.Bucket
	prefix string // of every key: "" or ending in a slash
	stall  time.Duration
	page   int
	// put writes data under a free key in one request, reading it from body,
	// which watches and slows it. A taken key is an error of kind ErrExists.
	put func(ctx context.Context, key string, data []byte, body io.ReadSeeker) error
	// copy makes dst from src inside the store; nil where reading and writing
	// does it. A taken dst is an error of kind ErrExists.
	copy func(ctx context.Context, dst, src string) error
	// remove deletes a key.
	remove func(ctx context.Context, key string) error
	// locks is the provider's knowledge of versions and locks, nil without.
	locks versioned
	// first, where set, chooses the version of each object that is read.
	first *firstVersions
	// release frees what close of the bucket does not; may be nil.
	release func()
}

// newBucketStore serves b through gocloud's own writer.
func newBucketStore(b *blob.Bucket, o Options) *bucketStore {
	s := &bucketStore{bucket: b, stall: o.stall(), page: o.pageSize(), remove: b.Delete}
	s.put = func(ctx context.Context, key string, data []byte, body io.ReadSeeker) error {
		return writeObject(ctx, b, key, body, int64(len(data)), &blob.WriterOptions{})
	}
	return s
}

// begin refuses bad names and ended contexts, which local drivers would not
// notice.
func begin(ctx context.Context, op, name string) error {
	if err := checkName(name); err != nil {
		return wrap(op, "", err)
	}
	return wrap(op, name, ended(ctx))
}

// Create implements Store.
func (s *bucketStore) Create(ctx context.Context, name string, data []byte) error {
	if err := begin(ctx, "create", name); err != nil {
		return err
	}
	err := s.upload(ctx, name, data)
	switch kindOf(err) {
	case ErrExists:
		err = s.settle(ctx, name, data)
	case ErrDenied: // so Azure and GCS refuse a taken name to who may not overwrite
		if settled := s.settle(ctx, name, data); settled == nil || settled == ErrExists {
			err = settled
		}
	case ErrNotFound: // a write can miss nothing but its bucket
		err = fmt.Errorf("%w: %v", ErrNoStore, bare(err))
	}
	return wrap("create", name, err)
}

func (s *bucketStore) upload(ctx context.Context, name string, data []byte) error {
	count(ctx, func(c *Counts) { c.Puts.Add(1); c.BytesUp.Add(int64(len(data))) })
	ctx, dog := watch(ctx, s.stall)
	err := s.put(ctx, s.prefix+name, data, newBody(ctx, dog, data))
	return dog.end(err)
}

// body is a request body that reports its progress and keeps to its rate; it
// can be rewound, because clients repeat requests after a redirect.
type body struct {
	io.Reader
	io.Seeker
}

func newBody(ctx context.Context, dog *watchdog, data []byte) io.ReadSeeker {
	r := bytes.NewReader(data)
	return body{dog.reader(paced(ctx, r, upward)), r}
}

// settle decides what a taken name means: ours if the bytes are the same.
func (s *bucketStore) settle(ctx context.Context, name string, data []byte) error {
	same, err := s.holds(ctx, name, data)
	switch {
	case kindOf(err) == ErrNotFound:
		return fmt.Errorf("%q vanished while it was compared", name) // transient: the next try creates it
	case err != nil:
		return err
	case !same:
		return ErrExists
	}
	return nil
}

// holds reports whether the object has exactly these bytes, reading no more
// than their number and holding none.
func (s *bucketStore) holds(ctx context.Context, name string, data []byte) (bool, error) {
	same := false
	err := s.read(ctx, name, 0, -1, func(r io.Reader, size int64) error {
		if size != int64(len(data)) {
			return nil
		}
		buf := make([]byte, min(pieceSize, len(data)))
		for rest := data; len(rest) > 0; rest = rest[len(buf):] {
			buf = buf[:min(len(buf), len(rest))]
			if _, err := io.ReadFull(r, buf); err != nil {
				return cut(err)
			}
			if !bytes.Equal(buf, rest[:len(buf)]) {
				return nil
			}
		}
		same = true
		return nil
	})
	return same, err
}

// read opens a range and hands its reader and the object's size to fn; length
// < 0 reads to the end.
func (s *bucketStore) read(ctx context.Context, name string, off, length int64, fn func(r io.Reader, size int64) error) error {
	ctx, dog := watch(ctx, s.stall)
	of, err := s.version(ctx, name)
	if err != nil {
		return dog.end(err)
	}
	count(ctx, func(c *Counts) { c.Gets.Add(1) })
	r, err := s.bucket.NewRangeReader(ctx, s.prefix+name, off, length, of.options())
	if err != nil {
		return dog.end(err)
	}
	dog.moved()
	got := &meter{r: dog.reader(paced(ctx, r, downward))}
	err = fn(got, r.Size())
	r.Close() // what was wanted has been read
	count(ctx, func(c *Counts) { c.BytesDown.Add(got.n) })
	return dog.end(err)
}

// meter counts the bytes read through it.
type meter struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	return n, err
}

// Get implements Store.
func (s *bucketStore) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := begin(ctx, "get", name); err != nil {
		return nil, err
	}
	var data []byte
	err := s.read(ctx, name, 0, -1, func(r io.Reader, size int64) error {
		if size < 0 || size > limit {
			return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, size, limit)
		}
		data = make([]byte, size)
		_, err := io.ReadFull(r, data)
		return cut(err)
	})
	if err != nil {
		return nil, wrap("get", name, err)
	}
	return data, nil
}

// ReadAt implements Store.
func (s *bucketStore) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	if err := begin(ctx, "read", name); err != nil {
		return err
	}
	if off < 0 {
		return wrap("read", name, fmt.Errorf("%w: negative offset %d", ErrInvalid, off))
	}
	if len(p) == 0 {
		return nil
	}
	err := s.read(ctx, name, off, int64(len(p)), func(r io.Reader, size int64) error {
		if size < off+int64(len(p)) {
			return fmt.Errorf("%w: %d bytes, wanted %d at %d", errShort, size, len(p), off)
		}
		_, err := io.ReadFull(r, p)
		return cut(err)
	})
	if err != nil && badRange(err) {
		err = fmt.Errorf("%w: it ends before %d", errShort, off)
	}
	return wrap("read", name, err)
}

// Stat implements Store.
func (s *bucketStore) Stat(ctx context.Context, name string) (Info, error) {
	if err := begin(ctx, "stat", name); err != nil {
		return Info{}, err
	}
	if s.first != nil {
		return s.statFirst(ctx, name)
	}
	count(ctx, func(c *Counts) { c.Heads.Add(1) })
	ctx, dog := watch(ctx, s.stall)
	attrs, err := s.bucket.Attributes(ctx, s.prefix+name)
	if err := dog.end(err); err != nil {
		return Info{}, wrap("stat", name, err)
	}
	return Info{Name: name, Size: attrs.Size, ModTime: attrs.ModTime}, nil
}

// List implements Store.
func (s *bucketStore) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return EachPage(ctx, s, prefix, fn)
}

// ListPage implements Pager.
func (s *bucketStore) ListPage(ctx context.Context, prefix string, token []byte) ([]Info, []byte, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, nil, wrap("list", "", err)
	}
	if err := ended(ctx); err != nil {
		return nil, nil, wrap("list", prefix, err)
	}
	if s.first != nil {
		return s.listFirst(ctx, prefix, token)
	}
	if token == nil {
		token = blob.FirstPageToken
	}
	count(ctx, func(c *Counts) { c.Lists.Add(1) })
	ctx, dog := watch(ctx, s.stall)
	objects, next, err := s.bucket.ListPage(ctx, token, s.page, &blob.ListOptions{Prefix: s.prefix + prefix})
	if err := dog.end(err); err != nil {
		return nil, nil, wrap("list", prefix, err)
	}
	page := make([]Info, len(objects))
	for i, o := range objects {
		page[i] = Info{Name: o.Key[len(s.prefix):], Size: o.Size, ModTime: o.ModTime}
	}
	if len(next) == 0 {
		next = nil
	}
	return page, next, nil
}

// Delete implements Store.
func (s *bucketStore) Delete(ctx context.Context, name string) error {
	if err := begin(ctx, "delete", name); err != nil {
		return err
	}
	count(ctx, func(c *Counts) { c.Deletes.Add(1) })
	ctx, dog := watch(ctx, s.stall)
	err := dog.end(s.remove(ctx, s.prefix+name))
	if kindOf(err) == ErrNotFound {
		return nil
	}
	return wrap("delete", name, err)
}

// Close implements Store.
func (s *bucketStore) Close() error {
	err := s.bucket.Close()
	if s.release != nil {
		s.release()
	}
	return err
}
