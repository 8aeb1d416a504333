package store

import "context"

// telling is a decorator that adds something to the context of every
// operation, for the innermost layer to act on: counts and rates concern the
// bytes and requests that really go out, which only that layer sees.
type telling struct {
	Store
	tell func(context.Context) context.Context
}

// Create implements Store.
func (t *telling) Create(ctx context.Context, name string, data []byte) error {
	return t.Store.Create(t.tell(ctx), name, data)
}

// Get implements Store.
func (t *telling) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	return t.Store.Get(t.tell(ctx), name, limit)
}

// ReadAt implements Store.
func (t *telling) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	return t.Store.ReadAt(t.tell(ctx), name, off, p)
}

// Stat implements Store.
func (t *telling) Stat(ctx context.Context, name string) (Info, error) {
	return t.Store.Stat(t.tell(ctx), name)
}

// List implements Store.
func (t *telling) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return t.Store.List(t.tell(ctx), prefix, fn)
}

// ListPage implements Pager.
func (t *telling) ListPage(ctx context.Context, prefix string, token []byte) ([]Info, []byte, error) {
	return ListPage(t.tell(ctx), t.Store, prefix, token)
}

// Delete implements Store.
func (t *telling) Delete(ctx context.Context, name string) error {
	return t.Store.Delete(t.tell(ctx), name)
}

// Copy implements Copier.
func (t *telling) Copy(ctx context.Context, dst, src string) error {
	return Copy(t.tell(ctx), t.Store, dst, src)
}
