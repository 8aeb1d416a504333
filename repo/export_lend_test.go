package repo

import "context"

// Put creates an object in the store as whoever opened the repository has it.
func (r *Repo) Put(ctx context.Context, name string, data []byte) error {
	return r.st.Create(ctx, name, data)
}
