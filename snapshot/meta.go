package snapshot

import (
	"context"
	"fmt"
	"io"
	"strings"

	"cbk/cassandra/node"
	"cbk/pack"
	"cbk/repo"
)

// describe stores what a node snapshot consists of beside its tables and returns its root.
func (b *backup) describe(ctx context.Context, taken *taken) (*repo.Root, error) {
	desc, err := b.node(ctx, taken)
	if err != nil {
		return nil, err
	}
	members, err := b.src.Ring(ctx)
	if err != nil {
		return nil, err
	}
	if b.cat.Members, err = membersOf(&members); err != nil {
		return nil, err
	}
	var total Cost
	for _, t := range b.tables {
		desc.Tables = append(desc.Tables, *t)
		total.add(t.Cost)
	}
	if err := b.texts(ctx, desc, taken, &total); err != nil {
		return nil, err
	}
	ringRef, added, err := b.putJSON(pack.Ring, members)
	if err != nil {
		return nil, fmt.Errorf("store ring: %w", err)
	}
	total.stored(added)
	descRef, added, err := b.putJSON(pack.Description, desc)
	if err != nil {
		return nil, fmt.Errorf("store description: %w", err)
	}
	total.stored(added)
	refs := refWriter{b: b, cost: &total}
	for _, text := range desc.texts() {
		for _, id := range text.Blobs {
			refs.group = append(refs.group, pack.ID(id))
		}
	}
	if err := refs.end(descRef.ID); err != nil {
		return nil, fmt.Errorf("store references: %w", err)
	}
	b.count(desc, &total)
	b.desc = desc
	return b.root(ringRef.ID, descRef.ID, refs.segments), nil
}

// node describes the node but for its tables and texts.
func (b *backup) node(ctx context.Context, taken *taken) (*Node, error) {
	id, err := b.src.Identity(ctx)
	if err != nil {
		return nil, err
	}
	desc := &Node{Version: id.Version, Partitioner: id.Partitioner, DC: id.DC, Rack: id.Rack, Address: id.Address,
		Tokens: id.Tokens, DataDirs: len(b.src.Layout().DataDirs), Way: b.opt.Way, Found: taken.found,
		SchemaAbsent: taken.schema.Absent}
	if b.opt.Way == WayExisting {
		desc.Tag = b.opt.Tag // a tag of our own differs from backup to backup and says nothing
	}
	if !b.opt.Selection.All() {
		desc.Selection = &b.opt.Selection
	}
	if s, ok := b.src.(stopped); ok {
		if desc.CommitLog, err = s.CommitLog(); err != nil {
			return nil, err
		}
	}
	return desc, nil
}

// stopped is a Source whose node does not run.
type stopped interface {
	// CommitLog returns how many bytes of mutations were not flushed when the node ended.
	CommitLog() (int64, error)
}

// texts stores schema, roles and configuration.
func (b *backup) texts(ctx context.Context, desc *Node, taken *taken, cost *Cost) error {
	for _, k := range taken.schema.Keyspaces {
		t, err := b.text(k.Name, strings.NewReader(k.CQL), cost)
		if err != nil {
			return fmt.Errorf("store schema of %s: %w", k.Name, err)
		}
		desc.Schema = append(desc.Schema, *t)
	}
	roles, err := b.src.Roles(ctx)
	if err != nil {
		return err
	}
	if desc.RolesAbsent = roles.Absent; roles.Absent == "" {
		if desc.Roles, err = b.text("roles", strings.NewReader(roles.CQL), cost); err != nil {
			return fmt.Errorf("store roles: %w", err)
		}
	}
	if b.opt.NoConfig {
		return nil
	}
	files, err := b.src.ConfigFiles()
	if err != nil {
		return err
	}
	for _, f := range files {
		t, err := b.configFile(f, cost)
		if err != nil {
			return fmt.Errorf("store %s: %w", f.Name, err)
		}
		desc.Config = append(desc.Config, *t)
	}
	return nil
}

func (b *backup) configFile(f node.ConfigFile, cost *Cost) (*Text, error) {
	t, err := b.text(f.Name, strings.NewReader(string(f.Text)), cost)
	if err == nil {
		t.Masked = f.Masked
	}
	return t, err
}

func (b *backup) text(name string, in io.Reader, cost *Cost) (*Text, error) {
	t := &Text{Name: name, Blobs: []ID{}}
	added, err := b.s.Stream(in, b.s.OtherSizes(), func(refs []repo.Ref) error {
		t.Blobs = append(t.Blobs, ids(refs)...)
		return nil
	})
	cost.stored(added)
	return t, err
}

// count puts what was done into the catalogue entry.
func (b *backup) count(desc *Node, total *Cost) {
	b.cat.Tables = len(desc.Tables)
	b.cat.SSTables, b.cat.Files, b.cat.Unchanged = total.SSTables, total.Files, total.Unchanged
	b.cat.BytesSource, b.cat.BytesNew = total.BytesSource, total.BytesNew
	b.cat.SelectionID = desc.Selection.ID()
	b.cat.Selected, b.cat.MissingTables, b.cat.DamagedSSTables = desc.Selection != nil, len(desc.Missing), b.damaged.total
}

func (b *backup) root(ring, description pack.ID, segments []pack.ID) *repo.Root {
	root := &repo.Root{Ring: ring, Descriptions: []pack.ID{description}, Full: b.cat.Mode == ModeFull}
	for _, t := range b.tables {
		for _, segments := range t.refs {
			root.Refs = append(root.Refs, segments...)
		}
	}
	root.Refs = append(root.Refs, segments...)
	return root
}

func (b *backup) putJSON(t pack.Type, v any) (repo.Ref, repo.Added, error) {
	doc, err := encodeJSON(v)
	if err != nil {
		return repo.Ref{}, repo.Added{}, err
	}
	return b.s.Put(t, doc)
}
