package fit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"cbk/cassandra/sstable"
	"cbk/repo"
	"cbk/snapshot"
)

// maxStatistics bounds the Statistics.db that is held, one at a time. One of a table of a thousand columns has 100 KiB.
const maxStatistics = 16 << 20

// Read judges the tables of a node snapshot. Of each SSTable only Statistics.db is read. One that the repository cannot give
// back is told as unread; a description that cannot be read is a *repo.DamageError.
func Read(ctx context.Context, s *snapshot.Snapshot, tables []*snapshot.Table, in Input) (*Result, error) {
	f := New(in)
	for _, t := range tables {
		f.Table(t.Keyspace, t.Name)
	}
	err := s.Pages(ctx, tables, func(pages []snapshot.Page) error { return f.pages(ctx, s, pages) })
	if err != nil {
		return nil, err
	}
	return f.Result(), nil
}

// pages judges the SSTables of pages: those without a Statistics.db to read at once, the others as it comes.
func (f *Fit) pages(ctx context.Context, s *snapshot.Snapshot, pages []snapshot.Page) error {
	read := make([]snapshot.Page, len(pages))
	for i, p := range pages {
		if p.Err != nil {
			return p.Err
		}
		read[i].Table = p.Table
		for j := range p.SSTables {
			if t := &p.SSTables[j]; legible(t) {
				read[i].SSTables = append(read[i].SSTables, *t)
			} else {
				f.SSTable(p.Table.Keyspace, p.Table.Name, t, nil)
			}
		}
	}
	var held bytes.Buffer
	want := func(c snapshot.File) bool { return c.Component.Name == sstable.Statistics }
	create := func(snapshot.File) (io.Writer, error) {
		held.Reset()
		return &held, nil
	}
	return s.ContentOf(ctx, read, want, create, func(c snapshot.File, err error) error {
		if damage := (*repo.DamageError)(nil); err != nil && !errors.As(err, &damage) {
			return err
		}
		f.SSTable(c.Table.Keyspace, c.Table.Name, c.SSTable, parse(c, held.Bytes(), err))
		return nil
	})
}

// legible tells whether an SSTable has a Statistics.db that says something of rows. An index says nothing.
func legible(t *snapshot.SSTable) bool {
	return t.Sub == "" && slices.ContainsFunc(t.Components, func(c snapshot.Component) bool {
		return c.Name == sstable.Statistics && c.Size <= maxStatistics
	})
}

// parse is nil for what cannot be read.
func parse(c snapshot.File, b []byte, err error) *sstable.Metadata {
	d, _, bad := sstable.ParseName(c.SSTable.Prefix + sstable.Data)
	if err != nil || bad != nil {
		return nil
	}
	m, err := sstable.ParseStatistics(b, d.Version)
	if err != nil {
		return nil
	}
	return m
}
