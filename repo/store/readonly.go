package store

import "context"

// ReadOnly refuses what changes s with ErrReadOnly, before a request is made.
func ReadOnly(s Store) Store { return readOnly{s} }

type readOnly struct{ Store }

// Create implements Store.
func (readOnly) Create(_ context.Context, name string, _ []byte) error {
	return &Error{Op: "create", Name: name, Kind: ErrReadOnly}
}

// Delete implements Store.
func (readOnly) Delete(_ context.Context, name string) error {
	return &Error{Op: "delete", Name: name, Kind: ErrReadOnly}
}

// Copy implements Copier.
func (readOnly) Copy(_ context.Context, dst, _ string) error {
	return &Error{Op: "copy", Name: dst, Kind: ErrReadOnly}
}

// ListPage implements Pager.
func (r readOnly) ListPage(ctx context.Context, prefix string, token []byte) ([]Info, []byte, error) {
	return ListPage(ctx, r.Store, prefix, token)
}
