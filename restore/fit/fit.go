package fit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"cbk/cassandra/sstable"
	"cbk/snapshot"
)

// Way is how the SSTables come to the target.
type Way string

// Ways of a restore.
const (
	InPlace Way = "in-place" // files are exchanged on the node that they were taken from, while it is stopped
	Import  Way = "import"   // a running node takes them in
	Clone   Way = "clone"    // they are put on the nodes of another cluster
)

// Input is the target, and what is to become of it.
type Input struct {
	Now, Backup time.Time // Backup is when it was taken
	Way         Way
	// Partial: data stays beside what is restored, as on other replicas, or in a table that is not truncated.
	Partial bool
	Release string // of the target, as "5.0.6"
	Mode    string // its storage_compatibility_mode, since 5.0; empty where it is not known
	// Creates: tables that the target lacks come with the restore, from the schema of the backup or with its system tables.
	Creates bool
	Schema  []Table // of the target, see FromRows
	Drops   []Drop  // of the backup, see Drops; nil where its schema is not known
}

// Fit judges SSTables one by one.
type Fit struct {
	in     Input
	schema map[[2]string]*Table
	drops  map[[2]string]map[string]Drop
	tables map[[2]string]*tableFit
}

// New begins a judgement.
func New(in Input) *Fit {
	f := &Fit{in: in, schema: make(map[[2]string]*Table), drops: make(map[[2]string]map[string]Drop), tables: make(map[[2]string]*tableFit)}
	for i := range in.Schema {
		f.schema[[2]string{in.Schema[i].Keyspace, in.Schema[i].Name}] = &in.Schema[i]
	}
	for _, d := range in.Drops {
		k := [2]string{d.Keyspace, d.Table}
		if f.drops[k] == nil {
			f.drops[k] = make(map[string]Drop)
		}
		f.drops[k][d.Column] = d
	}
	return f
}

// tableFit is a table under way.
type tableFit struct {
	TableFit
	target   *Table          // nil where the target has none
	drops    map[string]Drop // of the backup, by column
	headers  map[[32]byte][]*ColumnFit
	problems []*ColumnFit
	more     bool // problems were left out
	versions map[[2]string]int
	indexed  map[string]int // SSTables that have files of an index, by its name
	damaged  int
	counter  bool // by its headers
	legacy   bool // it has counter shards of before 2.1
	moved    bool // it has SSTables of transient replicas
	newest   int64
}

// Table says that a table is restored, whether or not it has SSTables.
func (f *Fit) Table(keyspace, table string) { f.table(keyspace, table) }

func (f *Fit) table(keyspace, table string) *tableFit {
	k := [2]string{keyspace, table}
	t := f.tables[k]
	if t == nil {
		t = &tableFit{TableFit: TableFit{Keyspace: keyspace, Table: table}, target: f.schema[k], drops: f.drops[k],
			headers: make(map[[32]byte][]*ColumnFit), versions: make(map[[2]string]int), indexed: make(map[string]int), newest: -1 << 63}
		f.tables[k] = t
	}
	return t
}

// SSTable judges an SSTable of a table that is restored. m is what its Statistics.db says, nil where that cannot be read or
// is not wanted: then its columns are not judged.
func (f *Fit) SSTable(keyspace, table string, s *snapshot.SSTable, m *sstable.Metadata) {
	t := f.table(keyspace, table)
	if len(s.Damage) > 0 {
		t.damaged++
	}
	d, _, err := sstable.ParseName(s.Prefix + sstable.Data)
	if err == nil {
		t.versions[[2]string{d.Version, cmp.Or(d.Format, "big")}]++
	}
	if s.Sub != "" {
		t.indexed[strings.TrimPrefix(s.Sub, ".")]++
		return
	}
	t.SSTables++
	t.ownIndexes(s)
	if s.Stats != nil {
		t.times(&f.in, s.Stats, m)
	}
	if m == nil {
		t.Unread++
		return
	}
	t.facts(m)
	if t.target != nil && err == nil {
		t.header(&m.Header, d.Version)
	}
}

// facts keeps what only Statistics.db says.
func (t *tableFit) facts(m *sstable.Metadata) {
	t.moved = t.moved || m.Stats.IsTransient
	t.legacy = t.legacy || m.Stats.HasLegacyCounterShards
	for _, list := range [][]sstable.Column{m.Header.Static, m.Header.Regular} {
		for _, c := range list {
			t.counter = t.counter || strings.Contains(c.Type, "CounterColumnType")
		}
	}
}

// ownIndexes counts the indexes whose files stand among the SSTable's own: SAI+version+name+part.db and SI_name.db.
func (t *tableFit) ownIndexes(s *snapshot.SSTable) {
	found := make(map[string]bool)
	for _, c := range s.Components {
		if parts := strings.Split(c.Name, "+"); parts[0] == "SAI" && len(parts) == 4 {
			found[parts[2]] = true
		} else if name, ok := strings.CutPrefix(c.Name, "SI_"); ok {
			found[strings.TrimSuffix(name, ".db")] = true
		}
	}
	for name := range found {
		t.indexed[name]++
	}
}

// Result is what was found. Fields may be added to it.
type Result struct {
	Risks  []Risk     `json:"risks"`  // in the order of Codes, then of tables
	Tables []TableFit `json:"tables"` // in the order of their names
}

// TableFit is what was found of one table.
type TableFit struct {
	Keyspace string       `json:"keyspace"`
	Table    string       `json:"table"`
	SSTables int          `json:"sstables"` // those of indexes left out
	Versions []VersionFit `json:"versions"`
	Headers  int          `json:"headers"`           // that differ in their columns
	Unread   int          `json:"unread,omitempty"`  // SSTables whose columns were not judged
	Created  bool         `json:"created,omitempty"` // by the restore
	Columns  []ColumnFit  `json:"columns,omitempty"`
	// ExpiredSSTables have nothing left that had not ended at the time of the backup; ExpiredCells, over all SSTables, is
	// Cassandra's estimate of the cells whose time to live ended since.
	ExpiredSSTables int        `json:"expired_sstables,omitempty"`
	ExpiredCells    int64      `json:"expired_cells,omitempty"`
	NewestWrite     *time.Time `json:"newest_write,omitempty"` // where it lies in the future
	Build           []string   `json:"indexes_to_build,omitempty"`
}

// VersionFit counts the SSTables of a version.
type VersionFit struct {
	Version  string `json:"version"`
	Format   string `json:"format"` // big or bti
	SSTables int    `json:"sstables"`
}

// Result ends the judgement.
func (f *Fit) Result() *Result {
	r := &Result{Risks: f.clock(), Tables: []TableFit{}}
	for _, k := range slices.SortedFunc(maps.Keys(f.tables), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		t := f.tables[k]
		r.Risks = append(r.Risks, f.finish(t)...)
		r.Tables = append(r.Tables, t.TableFit)
	}
	order := make(map[string]int)
	for i, c := range Codes() {
		order[c.Code] = i
	}
	slices.SortStableFunc(r.Risks, func(a, b Risk) int { return cmp.Compare(order[a.Code], order[b.Code]) })
	if r.Risks == nil {
		r.Risks = []Risk{}
	}
	return r
}

// finish completes a table and tells its risks.
func (f *Fit) finish(t *tableFit) []Risk {
	var risks []Risk
	add := func(r *Risk) {
		if r != nil {
			r.Keyspace, r.Table = t.Keyspace, t.Table
			risks = append(risks, *r)
		}
	}
	t.Versions, t.Headers, t.Columns = []VersionFit{}, len(t.headers), t.columns()
	for k, n := range t.versions {
		t.Versions = append(t.Versions, VersionFit{k[0], k[1], n})
	}
	slices.SortFunc(t.Versions, func(a, b VersionFit) int {
		return cmp.Or(cmp.Compare(a.Format, b.Format), cmp.Compare(a.Version, b.Version))
	})
	for _, v := range t.Versions {
		add(f.in.judgeVersion(v.Version, v.Format, v.SSTables))
	}
	for i := range t.Columns {
		r := t.Columns[i].risk()
		if t.Columns[i].Problem == Hidden && f.in.Drops == nil {
			r.Refuses = false // perhaps it was dropped before
		}
		add(&r)
	}
	for _, judge := range []func(*tableFit) *Risk{f.known, f.unread, f.damage, f.tombstones, f.expired, f.counters, f.views,
		f.indexes, f.future, f.paxos, f.transient, f.accord} {
		add(judge(t))
	}
	return risks
}
