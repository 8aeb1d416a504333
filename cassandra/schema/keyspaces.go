package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Keyspace is one user keyspace as CQL that makes it again.
type Keyspace struct {
	Name       string
	CQL        string   // all statements, each on lines of its own
	Statements []string // one by one, in the order in which they must run, each with its semicolon
}

// system are the keyspaces that a release, or a distribution made of one, creates and fills by itself.
var system = map[string]bool{
	"system": true, "system_schema": true, "system_auth": true, "system_distributed": true, "system_traces": true,
	"system_views": true, "system_virtual_schema": true, "system_metrics": true, "system_cluster_metadata": true,
	"system_distributed_everywhere": true, "system_replicated_keys": true,
	"dse_system": true, "dse_system_local": true, "dse_security": true, "dse_perf": true, "dse_leases": true,
	"dse_analytics": true, "dse_insights": true, "dse_insights_local": true, "dsefs": true, "solr_admin": true,
	"OpsCenter": true, "HiveMetaStore": true,
}

// CQL writes the user keyspaces in the order of their names.
func (s *System) CQL() ([]Keyspace, error) {
	parts, err := s.byKeyspace()
	if err != nil {
		return nil, err
	}
	var all []Keyspace
	for _, row := range s.Keyspaces {
		f := &fields{table: "keyspaces", row: row}
		name := f.name("keyspace_name")
		if f.err != nil {
			return nil, f.err
		}
		if system[name] {
			continue
		}
		k := &keyspace{name: name}
		if parts[name] != nil {
			k.rows = *parts[name]
		}
		if err := k.write(f); err != nil {
			return nil, fmt.Errorf("write the schema of keyspace %s: %w", name, err)
		}
		all = append(all, Keyspace{Name: name, CQL: strings.Join(append(k.statements, ""), "\n"), Statements: k.statements})
	}
	slices.SortFunc(all, func(a, b Keyspace) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// byKeyspace parts the rows of all tables but keyspaces by keyspace.
func (s *System) byKeyspace() (map[string]*System, error) {
	parts := make(map[string]*System)
	for _, table := range systemTables {
		for _, row := range *table.rows(s) {
			f := &fields{table: table.name, row: row}
			name := need[string](f, "keyspace_name")
			if f.err != nil {
				return nil, f.err
			}
			if parts[name] == nil {
				parts[name] = new(System)
			}
			rows := table.rows(parts[name])
			*rows = append(*rows, row)
		}
	}
	return parts, nil
}

// systemTables are the tables of system_schema other than keyspaces.
var systemTables = []struct {
	name string
	rows func(*System) *[]Row
}{
	{"tables", func(s *System) *[]Row { return &s.Tables }},
	{"columns", func(s *System) *[]Row { return &s.Columns }},
	{"dropped_columns", func(s *System) *[]Row { return &s.DroppedColumns }},
	{"types", func(s *System) *[]Row { return &s.Types }},
	{"functions", func(s *System) *[]Row { return &s.Functions }},
	{"aggregates", func(s *System) *[]Row { return &s.Aggregates }},
	{"views", func(s *System) *[]Row { return &s.Views }},
	{"indexes", func(s *System) *[]Row { return &s.Indexes }},
	{"triggers", func(s *System) *[]Row { return &s.Triggers }},
	{"column_masks", func(s *System) *[]Row { return &s.ColumnMasks }},
}

// keyspace writes one keyspace.
type keyspace struct {
	name       string
	rows       System
	statements []string
	typeNames  map[string]bool // see userTypes

	columns, dropped, masks, indexes, triggers map[string][]Row // by table
}

func (k *keyspace) add(statement ...string) {
	k.statements = append(k.statements, strings.Join(statement, ""))
}

// qualified is a name with that of the keyspace.
func (k *keyspace) qualified(name string) string { return quoteName(k.name) + "." + quoteName(name) }

// write writes what others depend on first: types, then functions, aggregates of functions, and tables with what hangs
// on each.
func (k *keyspace) write(f *fields) error {
	replication, durable := need[map[string]string](f, "replication"), true
	if f.row["durable_writes"] != nil {
		durable = value[bool](f, "durable_writes")
	}
	if f.err != nil {
		return f.err
	}
	k.add("CREATE KEYSPACE ", quoteName(k.name), " WITH replication = ", quoteMap(shortClass(replication)),
		"  AND durable_writes = ", fmt.Sprint(durable), ";")
	for _, write := range []func() error{k.writeTypes, k.writeFunctions, k.writeAggregates, k.writeTables} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// shortClass leaves the package of Cassandra's own strategies out, as DESCRIBE does.
func shortClass(replication map[string]string) map[string]string {
	short := make(map[string]string, len(replication))
	for k, v := range replication {
		if k == "class" {
			v = strings.TrimPrefix(v, "org.apache.cassandra.locator.")
		}
		short[k] = v
	}
	return short
}

// element is something with a name that is written by its row.
type element struct {
	*fields
	name string
	more string // tells elements of one name apart
}

// elements reads the names of rows and sorts them as DESCRIBE does, which is blind to case.
func elements(table string, rows []Row, nameColumn, moreColumn string) ([]element, error) {
	all := make([]element, 0, len(rows))
	for _, row := range rows {
		e := element{fields: &fields{table: table, row: row}}
		if e.name = e.fields.name(nameColumn); moreColumn != "" {
			e.more = strings.Join(value[[]string](e.fields, moreColumn), ", ")
		}
		if e.err != nil {
			return nil, e.err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b element) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), cmp.Compare(a.name, b.name), cmp.Compare(a.more, b.more))
	})
	return all, nil
}
