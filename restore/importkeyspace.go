package restore

import (
	"slices"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/snapshot"
)

// importedKeyspace is a keyspace of which tables are imported: what makes it in the backup and on the node, each nil where
// there is nothing.
type importedKeyspace struct {
	*importing
	name         string // in the backup
	backup, live *definitions
	tables       []*snapshot.Table
	base         []string // names of those that are tables and no views
}

// resolve says what must be made, and refuses what does not fit.
func (k *importedKeyspace) resolve() error {
	if err := k.known(); err != nil {
		return err
	}
	if k.backup == nil {
		return nil
	}
	if k.live == nil {
		for _, s := range k.backup.of(schema.KindKeyspace) {
			k.statement(&k.Online.Schema, s)
		}
	}
	if err := k.types(); err != nil {
		return err
	}
	k.functions()
	for _, name := range k.base {
		if err := k.table(name); err != nil {
			return err
		}
	}
	return k.resolveViews()
}

// known demands that every table is in the schema of the backup or at least of the node, and says which are no views.
func (k *importedKeyspace) known() error {
	to := k.into(k.name)
	for _, t := range k.tables {
		at := slices.IndexFunc(k.now.Tables, func(l node.Table) bool { return l.Keyspace == to && l.Name == t.Name })
		isView := k.backup.get(schema.KindView, t.Name) != nil
		isTable := k.backup.get(schema.KindTable, t.Name) != nil
		if at >= 0 && (isView || isTable) && k.now.Tables[at].View != isView {
			return refuse("%s.%s is a view in one of backup and node, and a table in the other: drop it, or restore with --as-keyspace", to, t.Name)
		}
		if !isView && !isTable {
			if at < 0 {
				return refuse("%s.%s is in the schema neither of the backup nor of this node: make it first", k.name, t.Name)
			}
			isView = k.now.Tables[at].View
		}
		if !isView {
			k.base = append(k.base, t.Name)
		}
		k.Online.Beside = k.Online.Beside || at >= 0 && !k.TruncateFirst
		if at >= 0 && !isView && k.TruncateFirst {
			k.Online.Truncate = append(k.Online.Truncate, to+"."+t.Name)
		}
	}
	return nil
}

func (k *importedKeyspace) chosen(name string) bool {
	return slices.ContainsFunc(k.tables, func(t *snapshot.Table) bool { return t.Name == name })
}

// types makes the types that the tables use and the node lacks.
func (k *importedKeyspace) types() error {
	used := k.backup.types(k.base)
	for _, s := range k.backup.of(schema.KindType) {
		if !used[s.Name] {
			continue
		}
		has := k.live.get(schema.KindType, s.Name)
		if has == nil {
			k.statement(&k.Online.Schema, s)
			continue
		}
		if err := checkType(s, has); err != nil {
			return refuse("%s: %v: alter it, or restore with --as-keyspace", k.into(k.name), err)
		}
	}
	return nil
}

// functions makes functions and aggregates where the whole keyspace comes back.
func (k *importedKeyspace) functions() {
	for _, s := range k.backup.of(schema.KindTable, schema.KindView) {
		if !k.chosen(s.Name) {
			return
		}
	}
	for _, s := range k.backup.of(schema.KindFunction, schema.KindAggregate) {
		if !k.live.has(s) {
			k.statement(&k.Online.Schema, s)
		}
	}
	for _, s := range k.backup.of("") {
		k.Online.NotRun = append(k.Online.NotRun, s.CQL)
	}
}

// table makes a table with its dropped columns and its indexes, or compares its columns with those of the node's.
func (k *importedKeyspace) table(name string) error {
	s := k.backup.get(schema.KindTable, name)
	switch {
	case s == nil:
		return nil
	case k.live.get(schema.KindTable, name) != nil:
		if err := k.backup.checkColumns(name, k.live); err != nil {
			return refuse("%s.%s on this node is another table than in the backup: %v; alter it, drop it, or restore with --as-keyspace", k.into(k.name), name, err)
		}
		return nil
	}
	k.statement(&k.Online.Schema, s)
	for _, s := range k.backup.of(schema.KindDrop, schema.KindAdd, schema.KindIndex) {
		if s.On == name {
			k.statement(&k.Online.Schema, s)
		}
	}
	for _, s := range k.backup.of(schema.KindTrigger) {
		if s.On == name {
			k.Online.Triggers = append(k.Online.Triggers, k.into(k.name)+"."+name+": "+s.Name)
		}
	}
	return nil
}

// resolveViews: a view that is made after its base table was imported is built by Cassandra. One that is there does not see
// what is imported into its base table and is imported with it; where only one of both is chosen, that is a risk.
func (k *importedKeyspace) resolveViews() error {
	to := k.into(k.name)
	for _, v := range k.backup.of(schema.KindView) {
		if !k.chosen(v.Name) {
			continue
		}
		has, based := k.live.get(schema.KindView, v.Name), slices.Contains(k.base, v.On)
		switch {
		case has != nil && (has.On != v.On || has.Query != v.Query):
			return refuse("%s.%s on this node is another view than in the backup: drop it, and it is made as it was", to, v.Name)
		case has != nil:
			continue
		case !based && k.live.get(schema.KindTable, v.On) == nil:
			return refuse("%s.%s is a view of %s, which is neither chosen nor on this node: choose it too", to, v.Name, v.On)
		}
		k.statement(&k.Online.Views, v)
		k.Online.Built = append(k.Online.Built, to+"."+v.Name)
		k.views[[2]string{k.name, v.Name}] = true
	}
	return nil
}
