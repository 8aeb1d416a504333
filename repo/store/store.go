package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Info describes one object.
type Info struct {
	Name    string
	Size    int64     // bytes
	ModTime time.Time // the store's clock, not ours
}

// Store is a flat object store. All methods may be called concurrently, and
// all may be repeated: an operation whose effect stands already succeeds.
//
// Errors name the operation and the object and match one of the errors of this
// package where a caller may decide by them; any other error means that the
// outcome is unknown.
type Store interface {
	// Create writes data under name if nothing is there; it never overwrites.
	// Where something is there it is read and compared: the same bytes are
	// success, so that a repeated Create settles a lost answer; other bytes are
	// an error matching ErrExists.
	Create(ctx context.Context, name string, data []byte) error

	// Get reads a whole object. One larger than limit bytes is refused with
	// ErrTooLarge before it is held; a missing one matches ErrNotFound.
	Get(ctx context.Context, name string, limit int64) ([]byte, error)

	// ReadAt fills p with the bytes at off. An object that ends before
	// off+len(p) is an error matching io.ErrUnexpectedEOF.
	ReadAt(ctx context.Context, name string, off int64, p []byte) error

	// Stat returns size and time of an object, ErrNotFound if it is absent.
	Stat(ctx context.Context, name string) (Info, error)

	// List calls fn for every object whose name starts with prefix, in lexical
	// order, with one page in memory at a time. An error of fn ends the listing
	// and is returned as it is.
	List(ctx context.Context, prefix string, fn func(Info) error) error

	// Delete removes an object; an absent one is no error.
	Delete(ctx context.Context, name string) error

	// Close releases connections and handles.
	Close() error
}

// Pager is a Store that lists page by page, so that a decorator can repeat one
// page instead of a whole listing. Every Store made by this package is one.
type Pager interface {
	// ListPage returns one page of the objects below prefix in lexical order
	// and the token of the next page, nil after the last. The first token is
	// nil.
	ListPage(ctx context.Context, prefix string, token []byte) (page []Info, next []byte, err error)
}

// Copier is a Store that can copy without moving the bytes through the caller.
type Copier interface {
	// Copy makes dst an object with the bytes of src, with the rules of Create:
	// the same bytes there already are success, other bytes match ErrExists.
	Copy(ctx context.Context, dst, src string) error
}

// Errors that callers decide by; test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	// ErrNoStore means that the bucket or directory itself is missing.
	ErrNoStore = errors.New("no such bucket or directory")
	// ErrExists means that other bytes stand under the name.
	ErrExists   = errors.New("exists with other content")
	ErrTooLarge = errors.New("larger than allowed")
	ErrReadOnly = errors.New("store is open read-only")
	// ErrDenied means that the credentials are missing, wrong or not enough.
	ErrDenied = errors.New("permission denied")
	// ErrInvalid means a name, URL or request that can never succeed.
	ErrInvalid = errors.New("invalid")
	// ErrFull means that a disk or quota is full.
	ErrFull = errors.New("store is full")
	// ErrUnsupported means that the store lacks something this needs.
	ErrUnsupported = errors.New("not supported by this store")
	// ErrNoVersions means that the store keeps no versions of objects, or none
	// that can be read here.
	ErrNoVersions = errors.New("first versions of objects cannot be read here")
	// ErrStalled means that no byte moved for Options.Stall.
	ErrStalled = errors.New("no data moved")
)

// Error is what every method of a Store returns: it names the operation and
// the object. Kind is one of the errors of this package, or nil.
type Error struct {
	Op, Name string
	Kind     error
	Err      error // what the store said; may be nil
}

// Error returns one line: operation, object, kind and the store's own words
// where the kind does not say it all.
func (e *Error) Error() string {
	words := []string{strings.TrimSpace(e.Op + " " + e.Name)}
	detail := ""
	if e.Err != nil {
		detail = strings.Join(strings.Fields(e.Err.Error()), " ")
	}
	if e.Kind == ErrNotFound || e.Kind == ErrExists {
		detail = ""
	}
	if e.Kind != nil && !strings.Contains(detail, e.Kind.Error()) {
		words = append(words, e.Kind.Error())
	}
	if detail != "" {
		words = append(words, detail)
	}
	return strings.Join(words, ": ")
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// maxName is what is left of S3's and GCS's 1024 bytes for an object name after
// the path of a repository inside its bucket.
const maxName = 512

// checkName holds names to what every store keeps as it is: S3, GCS, Azure and
// file systems each treat some other bytes, empty parts or dots in their own
// way.
func checkName(name string) error {
	if name == "" || len(name) > maxName || !plain(name) {
		return fmt.Errorf("object name %q: %w", name, ErrInvalid)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || len(part) > 255 {
			return fmt.Errorf("object name %q: %w", name, ErrInvalid)
		}
	}
	return nil
}

// checkPrefix allows the beginnings of names, also in the middle of a part.
func checkPrefix(prefix string) error {
	if len(prefix) > maxName || !plain(prefix) || strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") {
		return fmt.Errorf("prefix %q: %w", prefix, ErrInvalid)
	}
	return nil
}

func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && !('0' <= c && c <= '9') && !strings.ContainsRune("/._-+=@", rune(c)) {
			return false
		}
	}
	return true
}

// ListPage asks s for one page; a Store that is no Pager gives all in one.
func ListPage(ctx context.Context, s Store, prefix string, token []byte) ([]Info, []byte, error) {
	if p, ok := s.(Pager); ok {
		return p.ListPage(ctx, prefix, token)
	}
	var page []Info
	err := s.List(ctx, prefix, func(i Info) error { page = append(page, i); return nil })
	return page, nil, err
}

// EachPage lists by pages: it is the List of a Store that is a Pager.
func EachPage(ctx context.Context, p Pager, prefix string, fn func(Info) error) error {
	var token []byte
	for {
		page, next, err := p.ListPage(ctx, prefix, token)
		if err != nil {
			return err
		}
		for _, info := range page {
			if err := fn(info); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		token = next
	}
}

// Copy asks s to copy src to dst by the rules of Copier; a Store that is none
// cannot: ErrUnsupported.
func Copy(ctx context.Context, s Store, dst, src string) error {
	if c, ok := s.(Copier); ok {
		return c.Copy(ctx, dst, src)
	}
	return &Error{Op: "copy", Name: src, Kind: ErrUnsupported}
}
