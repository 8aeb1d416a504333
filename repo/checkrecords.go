package repo

// MustRecord refuses what needs the records of the repository as a whole, if the key does not see them. The error matches
// roles.ErrRole.
func (r *Repo) MustRecord(do string) error { return r.must(do, recorders...) }
