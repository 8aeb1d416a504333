package repo

import "context"

// HasRoot reports whether an object of this name is there, readable or not.
func (r *Repo) HasRoot(ctx context.Context, name string) (bool, error) { return r.exists(ctx, name) }
