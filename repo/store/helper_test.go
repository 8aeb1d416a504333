package store

import (
	"context"
	"errors"
	"io"
)

// scripted answers each operation with the next of its errors, then succeeds.
type scripted struct {
	errs  []error
	calls int
}

func (s *scripted) next() error {
	s.calls++
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func (s *scripted) Create(context.Context, string, []byte) error { return s.next() }
func (s *scripted) Get(context.Context, string, int64) ([]byte, error) {
	return []byte("x"), s.next()
}
func (s *scripted) ReadAt(context.Context, string, int64, []byte) error { return s.next() }
func (s *scripted) Stat(context.Context, string) (Info, error)          { return Info{Size: 1}, s.next() }
func (s *scripted) Delete(context.Context, string) error                { return s.next() }
func (s *scripted) Copy(context.Context, string, string) error          { return s.next() }
func (s *scripted) Close() error                                        { return nil }

func (s *scripted) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return EachPage(ctx, s, prefix, fn)
}

// ListPage has three pages of one object each.
func (s *scripted) ListPage(_ context.Context, _ string, token []byte) ([]Info, []byte, error) {
	if err := s.next(); err != nil {
		return nil, nil, err
	}
	n := byte('a')
	if token != nil {
		n = token[0]
	}
	next := []byte{n + 1}
	if n == 'c' {
		next = nil
	}
	return []Info{{Name: string(n)}}, next, nil
}

var errFlaky = &Error{Op: "op", Name: "x", Err: errors.New("connection reset by peer")}

// everyOperation calls each method of a Store once.
var everyOperation = map[string]func(context.Context, Store) error{
	"create": func(ctx context.Context, s Store) error { return s.Create(ctx, "x", []byte("x")) },
	"get":    func(ctx context.Context, s Store) error { _, err := s.Get(ctx, "x", 10); return err },
	"read":   func(ctx context.Context, s Store) error { return s.ReadAt(ctx, "x", 0, make([]byte, 1)) },
	"stat":   func(ctx context.Context, s Store) error { _, err := s.Stat(ctx, "x"); return err },
	"list": func(ctx context.Context, s Store) error {
		return s.List(ctx, "", func(Info) error { return nil })
	},
	"delete": func(ctx context.Context, s Store) error { return s.Delete(ctx, "x") },
	"copy":   func(ctx context.Context, s Store) error { return Copy(ctx, s, "y", "x") },
}

// broken is a body that fails after some bytes.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}
