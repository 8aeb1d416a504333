package store

import "context"

// Limit lets at most n operations of s run at once; the others wait, or end
// with their context. Listings take a place for each page.
func Limit(s Store, n int) Store { return &limited{s, make(chan struct{}, n)} }

type limited struct {
	Store
	places chan struct{}
}

// do runs op in a place.
func (l *limited) do(ctx context.Context, op, name string, f func() error) error {
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
		return f()
	case <-ctx.Done():
		return wrap(op, name, context.Cause(ctx))
	}
}

// Create implements Store.
func (l *limited) Create(ctx context.Context, name string, data []byte) error {
	return l.do(ctx, "create", name, func() error { return l.Store.Create(ctx, name, data) })
}

// Get implements Store.
func (l *limited) Get(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = l.do(ctx, "get", name, func() error {
		data, err = l.Store.Get(ctx, name, limit)
		return err
	})
	return data, err
}

// ReadAt implements Store.
func (l *limited) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	return l.do(ctx, "read", name, func() error { return l.Store.ReadAt(ctx, name, off, p) })
}

// Stat implements Store.
func (l *limited) Stat(ctx context.Context, name string) (info Info, err error) {
	err = l.do(ctx, "stat", name, func() error {
		info, err = l.Store.Stat(ctx, name)
		return err
	})
	return info, err
}

// List runs its callback outside the places, so that it may use the store.
func (l *limited) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return EachPage(ctx, l, prefix, fn)
}

// ListPage implements Pager.
func (l *limited) ListPage(ctx context.Context, prefix string, token []byte) (page []Info, next []byte, err error) {
	err = l.do(ctx, "list", prefix, func() error {
		page, next, err = ListPage(ctx, l.Store, prefix, token)
		return err
	})
	return page, next, err
}

// Delete implements Store.
func (l *limited) Delete(ctx context.Context, name string) error {
	return l.do(ctx, "delete", name, func() error { return l.Store.Delete(ctx, name) })
}

// Copy implements Copier.
func (l *limited) Copy(ctx context.Context, dst, src string) error {
	return l.do(ctx, "copy", src, func() error { return Copy(ctx, l.Store, dst, src) })
}
