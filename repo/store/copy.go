package store

import (
	"bytes"
	"context"
	"io"

	"gocloud.dev/blob"
)

// Copy implements Copier: inside the store where it can, else by streaming.
func (s *bucketStore) Copy(ctx context.Context, dst, src string) error {
	for _, name := range []string{dst, src} {
		if err := begin(ctx, "copy", name); err != nil {
			return err
		}
	}
	err := s.duplicate(ctx, dst, src)
	if kindOf(err) == ErrExists {
		err = s.settleCopy(ctx, dst, src)
	}
	return wrap("copy", src+" to "+dst, err)
}

// duplicate copies to a free name. Servers exist that ignore the condition of
// a copy and overwrite, so the destination is looked at first; the race that
// remains on those can only be entered by a copy of the same content, because
// the names that are copied to name their content.
func (s *bucketStore) duplicate(ctx context.Context, dst, src string) error {
	if s.copy == nil {
		count(ctx, func(c *Counts) { c.Copies.Add(1) })
		return s.stream(ctx, dst, src)
	}
	switch _, err := s.Stat(ctx, dst); {
	case err == nil:
		return ErrExists
	case kindOf(err) != ErrNotFound:
		return err
	}
	count(ctx, func(c *Counts) { c.Copies.Add(1) })
	ctx, dog := watch(ctx, s.stall)
	return dog.end(s.copy(ctx, s.prefix+dst, s.prefix+src))
}

// stream copies through this process, one piece in memory.
func (s *bucketStore) stream(ctx context.Context, dst, src string) error {
	ctx, dog := watch(ctx, s.stall)
	r, err := s.bucket.NewReader(ctx, s.prefix+src, nil)
	if err != nil {
		return dog.end(err)
	}
	defer r.Close()
	return dog.end(writeObject(ctx, s.bucket, s.prefix+dst, dog.reader(paced(ctx, r, downward)), r.Size(), &blob.WriterOptions{}))
}

// settleCopy decides what a taken destination means, as settle does.
func (s *bucketStore) settleCopy(ctx context.Context, dst, src string) error {
	return s.read(ctx, src, 0, -1, func(a io.Reader, size int64) error {
		return s.read(ctx, dst, 0, -1, func(b io.Reader, other int64) error {
			if size != other {
				return ErrExists
			}
			return sameStream(a, b, size)
		})
	})
}

// sameStream returns ErrExists unless the next n bytes of a and b are equal.
func sameStream(a, b io.Reader, n int64) error {
	bufA, bufB := make([]byte, pieceSize), make([]byte, pieceSize)
	for n > 0 {
		m := min(n, pieceSize)
		if _, err := io.ReadFull(a, bufA[:m]); err != nil {
			return cut(err)
		}
		if _, err := io.ReadFull(b, bufB[:m]); err != nil {
			return cut(err)
		}
		if !bytes.Equal(bufA[:m], bufB[:m]) {
			return ErrExists
		}
		n -= m
	}
	return nil
}
