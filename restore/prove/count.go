package prove

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/rows"
	"cbk/cassandra/sstable/table"
)

// maxMerged is the most SSTables that are merged to be counted. Each has four open files, a window of 128 KiB and a chunk.
const maxMerged = 200

// FileCount is how many rows the files of a table have.
type FileCount struct {
	Partitions int64  `json:"partitions"` // with rows
	Least      int64  `json:"least"`      // rows that do not expire within the horizon
	Most       int64  `json:"most"`       // rows that were there when the files were read
	Undecided  string `json:"undecided"`  // why the files were not counted, if they were not
}

// CountFiles reads a whole table from its files, all SSTables side by side, and counts the rows that are there.
func CountFiles(ctx context.Context, dirs []string, t Table, o Options) (n FileCount, err error) {
	if o.Now.IsZero() {
		return n, errNoTime
	}
	sources, err := list(dirs, t)
	if err != nil {
		return n, err
	}
	if len(sources) > maxMerged {
		n.Undecided = fmt.Sprintf("%d SSTables, of which %d are merged at the most", len(sources), maxMerged)
		return n, nil
	}
	err = countSources(ctx, sources, t, o.withDefaults(), &n)
	if err != nil && isBeyond(err) {
		return FileCount{Undecided: err.Error()}, nil
	}
	if err != nil {
		return n, fmt.Errorf("count %s.%s: %w", t.Keyspace, t.Name, err)
	}
	return n, nil
}

// stream is an SSTable that is read from end to end.
type stream struct {
	from  *source
	s     *lookup.SSTable
	r     *rows.Reader
	token int64
	key   []byte
}

// next goes to the next partition.
func (s *stream) next() bool {
	if !s.r.Next() {
		return false
	}
	s.key = s.r.Partition().Key
	s.token = sstable.Token(s.key)
	return true
}

func countSources(ctx context.Context, sources []source, t Table, o Options, n *FileCount) (err error) {
	all, err := streams(sources)
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.s.Close())
		}
	}()
	if err != nil {
		return err
	}
	open, err := forward(slices.Clone(all), all)
	how := presence(t, o, sources)
	for err == nil && len(open) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		at := first(open)
		if err := n.add(at, how); err != nil {
			return fmt.Errorf("partition %x: %w", at[0].key, err)
		}
		open, err = forward(open, at)
	}
	return err
}

// streams opens all SSTables. Those it returns are open, after an error too.
func streams(sources []source) (all []*stream, err error) {
	for i := range sources {
		s := &stream{from: &sources[i]}
		if s.s, err = lookup.Open(s.from.dir, s.from.desc); err != nil {
			return all, err
		}
		all = append(all, s)
		if s.r, err = s.s.All(); err != nil {
			return all, s.from.named(err)
		}
	}
	return all, nil
}

// add counts the rows of the partition that some stand at.
func (n *FileCount) add(at []*stream, how table.PresenceOptions) error {
	var parts []part
	for _, s := range at {
		parts = append(parts, part{s.r, s.s.Header()})
	}
	c, err := count(parts, how)
	if err != nil {
		return err
	}
	if c.Cut {
		return rows.ErrTooLarge
	}
	n.Least += int64(c.Lasting)
	n.Most += int64(c.Now)
	if c.Now > 0 {
		n.Partitions++
	}
	return nil
}

// first returns those that stand at the first partition of all.
func first(open []*stream) (at []*stream) {
	for _, s := range open {
		switch {
		case len(at) == 0 || s.compare(at[0]) < 0:
			at = append(at[:0], s)
		case s.compare(at[0]) == 0:
			at = append(at, s)
		}
	}
	return at
}

// compare is lookup.Compare with tokens that are known.
func (s *stream) compare(other *stream) int {
	return cmp.Or(cmp.Compare(s.token, other.token), bytes.Compare(s.key, other.key))
}

// forward moves some of those that are open on, and returns those that have not ended.
func forward(open, move []*stream) (left []*stream, err error) {
	for _, s := range open {
		if slices.Contains(move, s) && !s.next() {
			if err := s.r.Err(); err != nil {
				return nil, s.from.named(err)
			}
			continue
		}
		left = append(left, s)
	}
	return left, nil
}
