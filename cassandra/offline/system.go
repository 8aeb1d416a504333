package offline

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/table"
)

// errNothing says that a system table has no row, which those that are asked for always have.
var errNothing = errors.New("no row in any SSTable")

// keys are the key columns of the system tables that are read (SystemKeyspace, SchemaKeyspace and AuthKeyspace; the same in
// 3.0 to 5.0).
var keys = map[string]table.Keys{
	"system.local":                    {Partition: []string{"key"}},
	"system.peers":                    {Partition: []string{"peer"}},
	"system.peers_v2":                 {Partition: []string{"peer"}, Clustering: []string{"peer_port"}},
	"system_schema.keyspaces":         {Partition: []string{"keyspace_name"}},
	"system_schema.tables":            {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name"}},
	"system_schema.columns":           {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name", "column_name"}},
	"system_schema.column_masks":      {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name", "column_name"}},
	"system_schema.dropped_columns":   {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name", "column_name"}},
	"system_schema.types":             {Partition: []string{"keyspace_name"}, Clustering: []string{"type_name"}},
	"system_schema.functions":         {Partition: []string{"keyspace_name"}, Clustering: []string{"function_name", "argument_types"}},
	"system_schema.aggregates":        {Partition: []string{"keyspace_name"}, Clustering: []string{"aggregate_name", "argument_types"}},
	"system_schema.views":             {Partition: []string{"keyspace_name"}, Clustering: []string{"view_name"}},
	"system_schema.indexes":           {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name", "index_name"}},
	"system_schema.triggers":          {Partition: []string{"keyspace_name"}, Clustering: []string{"table_name", "trigger_name"}},
	"system_auth.roles":               {Partition: []string{"role"}},
	"system_auth.role_members":        {Partition: []string{"role"}, Clustering: []string{"member"}},
	"system_auth.role_permissions":    {Partition: []string{"role"}, Clustering: []string{"resource"}},
	"system_auth.network_permissions": {Partition: []string{"role"}},
	"system_auth.identity_to_role":    {Partition: []string{"identity"}},
}

// systemID is the id of a system table: a UUID of version 3 of its two names (TableId.forSystemTable).
func systemID(keyspace, name string) string {
	id := md5.Sum([]byte(keyspace + name))
	id[6] = id[6]&0x0f | 0x30
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}

// read returns the rows of a system table, named as in keys. A table from before 2.1 has no id.
func read(dirs []node.TableDir, full string) ([]schema.Row, error) {
	all, err := readTable(dirs, full)
	if err != nil {
		return nil, fmt.Errorf("read %s from its files: %w", full, err)
	}
	return all, nil
}

func readTable(dirs []node.TableDir, full string) ([]schema.Row, error) {
	keyspace, name, _ := strings.Cut(full, ".")
	id := systemID(keyspace, name)
	var sstables []node.SSTable
	for _, d := range dirs {
		if d.Keyspace != keyspace || d.Table != name || d.ID != id && d.ID != "" {
			continue
		}
		all, err := d.SSTables()
		if err != nil {
			return nil, err
		}
		sstables = append(sstables, all...)
	}
	// All versions of 3.x begin with an m, and none of a later release.
	before4 := true
	for _, s := range sstables {
		before4 = before4 && strings.HasPrefix(s.Desc.Version, "m")
	}
	// What is read is what stands there when it is read: a row of these tables that expires does so by this clock.
	t := table.New(keys[full], time.Now(), before4)
	for _, s := range sstables {
		if s.Sub != "" {
			continue
		}
		if err := add(t, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Desc.Prefix(), err)
		}
	}
	found, err := t.Rows()
	var out []schema.Row
	for _, r := range found {
		out = append(out, schema.Row(r))
	}
	return out, err
}

// add reads one SSTable into its table.
func add(t *table.Table, s node.SSTable) error {
	files := make(map[string]string)
	for _, f := range s.Files {
		files[strings.TrimPrefix(f.Name, s.Desc.Prefix())] = f.Path
	}
	in := table.SSTable{Version: s.Desc.Version}
	var err error
	if in.Statistics, err = node.ReadBounded(files[sstable.Statistics], sstable.MaxStatistics); err != nil {
		return err
	}
	data, err := os.Open(files[sstable.Data])
	if err != nil {
		return err
	}
	defer data.Close()
	in.Data = data
	if path, compressed := files[sstable.CompressionInfo]; compressed {
		info, err := os.Open(path)
		if err != nil {
			return err
		}
		defer info.Close()
		in.CompressionInfo = info
	}
	return t.Add(in)
}
