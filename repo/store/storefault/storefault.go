package storefault

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cbk/repo/store"
)

// Mode is a way to fail.
type Mode int

// The ways to fail.
const (
	// Error fails without effect, permanently for store.Retry.
	Error Mode = iota
	// ErrorAfter takes effect and fails nevertheless: a lost answer.
	ErrorAfter
	// Crash fails without effect, and so does every later operation.
	Crash
	// CrashAfter takes effect, fails, and so does every later operation.
	CrashAfter
	// Twice fails without effect, as does the next operation of the same kind
	// on the same name; both are transient for store.Retry. Then it heals.
	Twice
)

// Modes are all ways to fail.
var Modes = []Mode{Error, ErrorAfter, Crash, CrashAfter, Twice}

// String names a mode for the names of subtests.
func (m Mode) String() string {
	names := []string{"error", "error after the effect", "crash", "crash after the effect", "fails twice then heals"}
	if m < 0 || int(m) >= len(names) {
		return fmt.Sprintf("mode %d", int(m))
	}
	return names[m]
}

// Fault makes operation number At, counted from 0 in the order of their
// starts, fail in a mode.
type Fault struct {
	At   int
	Mode Mode
}

// Errors that injected faults match.
var (
	ErrInjected = errors.New("injected fault")
	ErrCrashed  = errors.New("injected crash")
)

// Op is an operation that was started: create, get, read, stat, list, delete
// or copy, and its name or prefix.
type Op struct{ Kind, Name string }

// Store is a store.Store with faults. It is a store.Pager, each page of a
// listing being an operation, and a store.Copier.
type Store struct {
	s store.Store

	mu      sync.Mutex
	faults  map[int]Mode
	ops     []Op
	again   map[Op]bool // second failures that Twice still owes
	fired   int
	crashed bool
}

// New returns s with faults.
func New(s store.Store, faults ...Fault) *Store {
	f := &Store{s: s, faults: map[int]Mode{}, again: map[Op]bool{}}
	for _, fault := range faults {
		f.faults[fault.At] = fault.Mode
	}
	return f
}

// Arm adds faults whose operations are counted from the next one on: a test may let its preparations pass.
func (f *Store) Arm(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.faults[len(f.ops)+fault.At] = fault.Mode
	}
}

// Ops returns the operations started so far.
func (f *Store) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Op(nil), f.ops...)
}

// Fired returns how many faults struck; the failures after a crash and the
// second of Twice do not count.
func (f *Store) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// next records an operation and returns what shall happen to it: an error
// before the effect, or one after it.
func (f *Store) next(op Op) (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := len(f.ops)
	f.ops = append(f.ops, op)
	if f.crashed {
		return permanent(op, ErrCrashed), nil
	}
	if f.again[op] {
		delete(f.again, op)
		return transient(op), nil
	}
	mode, ok := f.faults[at]
	if !ok {
		return nil, nil
	}
	f.fired++
	switch mode {
	case Error:
		return permanent(op, ErrInjected), nil
	case ErrorAfter:
		return nil, permanent(op, ErrInjected)
	case Twice:
		f.again[op] = true
		return transient(op), nil
	}
	f.crashed = true
	if mode == Crash {
		return permanent(op, ErrCrashed), nil
	}
	return nil, permanent(op, ErrCrashed)
}

func permanent(op Op, err error) error {
	return &store.Error{Op: op.Kind, Name: op.Name, Kind: store.ErrDenied, Err: err}
}

func transient(op Op) error {
	return &store.Error{Op: op.Kind, Name: op.Name, Err: ErrInjected}
}

// do runs an operation with its fault.
func (f *Store) do(kind, name string, effect func() error) error {
	before, after := f.next(Op{kind, name})
	if before != nil {
		return before
	}
	err := effect()
	if after != nil {
		return after // whatever the answer, it is lost
	}
	return err
}

// Create implements store.Store.
func (f *Store) Create(ctx context.Context, name string, data []byte) error {
	return f.do("create", name, func() error { return f.s.Create(ctx, name, data) })
}

// Get implements store.Store.
func (f *Store) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	var data []byte
	err := f.do("get", name, func() (err error) {
		data, err = f.s.Get(ctx, name, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// ReadAt implements store.Store.
func (f *Store) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	return f.do("read", name, func() error { return f.s.ReadAt(ctx, name, off, p) })
}

// Stat implements store.Store.
func (f *Store) Stat(ctx context.Context, name string) (store.Info, error) {
	var info store.Info
	err := f.do("stat", name, func() (err error) {
		info, err = f.s.Stat(ctx, name)
		return err
	})
	if err != nil {
		return store.Info{}, err
	}
	return info, nil
}

// List implements store.Store.
func (f *Store) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return store.EachPage(ctx, f, prefix, fn)
}

// ListPage implements store.Pager.
func (f *Store) ListPage(ctx context.Context, prefix string, token []byte) ([]store.Info, []byte, error) {
	var page []store.Info
	var next []byte
	err := f.do("list", prefix, func() (err error) {
		page, next, err = store.ListPage(ctx, f.s, prefix, token)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return page, next, nil
}

// Delete implements store.Store.
func (f *Store) Delete(ctx context.Context, name string) error {
	return f.do("delete", name, func() error { return f.s.Delete(ctx, name) })
}

// Copy implements store.Copier; the operation bears the name of its target.
func (f *Store) Copy(ctx context.Context, dst, src string) error {
	return f.do("copy", dst, func() error { return store.Copy(ctx, f.s, dst, src) })
}

// Close implements store.Store; it is no operation and never fails by a fault.
func (f *Store) Close() error { return f.s.Close() }
