package fit

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"cbk/cassandra/sstable"
)

// Problems of a column.
const (
	Missing = "missing" // the schema has no column of the name and kind, and no record that it was dropped: reads fail
	Differs = "differs" // its type in the schema does not read the values
	Thawed  = "thawed"  // the SSTable calls a user-defined type not frozen, the schema frozen: perhaps only 3.0's way to write it
	Hidden  = "hidden"  // the target dropped it after the backup: its values cannot be seen
	Unclear = "unclear" // its type is not understood
)

// ColumnFit is a column of SSTables that does not fit the target.
type ColumnFit struct {
	Column   string   `json:"column,omitempty"`
	Kind     string   `json:"kind"`                  // partition_key, clustering, static, regular
	Problem  string   `json:"problem"`               // one of the words above
	SSTable  string   `json:"sstable_type"`          // CQL, or as the SSTable has it
	Schema   string   `json:"schema_type,omitempty"` // CQL
	SSTables int      `json:"sstables"`              // that have it so
	Mend     []string `json:"mend,omitempty"`        // statements that make the target fit
	Why      string   `json:"no_mend,omitempty"`     // why there are none

	micros int64 // hidden: cells up to then
	was    Type  // missing: as the SSTable has it
}

func (c *ColumnFit) risk() Risk {
	r := Risk{Code: Columns, Refuses: true, Final: true}
	name := strings.ReplaceAll(c.Kind, "_", " ")
	if c.Column != "" {
		name += fmt.Sprintf(" column %q", c.Column)
	}
	of := count(c.SSTables, "SSTable")
	switch c.Problem {
	case Missing:
		r.What = fmt.Sprintf("%s of type %s is in %s and not in the schema", name, c.SSTable, of)
	case Differs:
		r.What = fmt.Sprintf("%s is %s in %s and %s in the schema, which cannot read it", name, c.SSTable, of, c.Schema)
	case Thawed:
		r.Final = false
		r.What = fmt.Sprintf("%s is %s in %s and %s in the schema: right if it was always frozen, as 3.0 wrote it so", name, c.SSTable, of, c.Schema)
	case Hidden:
		r.Final = false
		r.What = fmt.Sprintf("%s was dropped after the backup: its values in %s stay hidden", name, of)
	case Unclear:
		r.What = fmt.Sprintf("%s in %s has type %.100q, which is not understood", name, of, c.SSTable)
	}
	if len(c.Mend) > 0 {
		r.What += "; mend it: " + strings.Join(c.Mend, " ")
	} else if c.Why != "" {
		r.What += "; " + c.Why
	}
	return r
}

// maxProblems bounds the columns that are told of one table.
const maxProblems = 1000

// header judges the header of an SSTable. Each that is like one before costs a hash.
func (t *tableFit) header(h *sstable.Header, version string) {
	plain := *h
	plain.MinTimestamp, plain.MinLocalDeletionTime, plain.MinTTL = 0, 0, 0
	// Before na a user-defined type may be called what it is not, so the letter belongs to what was judged.
	key := sha256.Sum256(sstable.AppendHeader([]byte(version[:1]), plain))
	problems, known := t.headers[key]
	if !known {
		for _, p := range t.judge(h, version) {
			if q := t.problem(p); q != nil {
				problems = append(problems, q)
			}
		}
		t.headers[key] = problems
	}
	for _, p := range problems {
		if p.Problem != Hidden || h.MinTimestamp <= p.micros {
			p.SSTables++
		}
	}
}

// problem is the one of its kind; nil where there are too many.
func (t *tableFit) problem(p ColumnFit) *ColumnFit {
	for _, q := range t.problems {
		if q.Column == p.Column && q.Kind == p.Kind && q.Problem == p.Problem && q.SSTable == p.SSTable {
			return q
		}
	}
	if len(t.problems) >= maxProblems {
		t.more = true
		return nil
	}
	t.problems = append(t.problems, &p)
	return &p
}

// judge compares a header with the schema.
func (t *tableFit) judge(h *sstable.Header, version string) []ColumnFit {
	var all []ColumnFit
	key, err := ParseKey(h.KeyType)
	if err != nil {
		all = append(all, ColumnFit{Kind: "partition_key", Problem: Unclear, SSTable: h.KeyType})
	} else {
		all = append(all, t.judgeKey("partition_key", key, t.target.Partition, ValueCompatible)...)
	}
	clustering := make([]Type, len(h.ClusteringTypes))
	for i, text := range h.ClusteringTypes {
		if clustering[i], err = ParseClass(text); err != nil {
			return append(all, ColumnFit{Kind: "clustering", Problem: Unclear, SSTable: text})
		}
	}
	all = append(all, t.judgeKey("clustering", clustering, t.target.Clustering, OrderCompatible)...)
	for _, part := range []struct {
		kind  string
		have  []sstable.Column
		there []Column
	}{{"static", h.Static, t.target.Static}, {"regular", h.Regular, t.target.Regular}} {
		for _, c := range part.have {
			all = append(all, t.judgeColumn(part.kind, c, part.there, version)...)
		}
	}
	return all
}

// judgeKey compares the types of a key, which have no names in a header.
func (t *tableFit) judgeKey(kind string, have []Type, want []Column, fits func(is, was Type) bool) []ColumnFit {
	if len(have) == len(want) {
		var all []ColumnFit
		for i, c := range want {
			if !fits(c.Type, have[i]) {
				all = append(all, ColumnFit{Column: c.Name, Kind: kind, Problem: Differs, SSTable: keyText(have[i]), Schema: keyText(c.Type)})
			}
		}
		return all
	}
	var is []Type
	for _, c := range want {
		is = append(is, c.Type)
	}
	return []ColumnFit{{Kind: kind, Problem: Differs, SSTable: keyTexts(have), Schema: keyTexts(is)}}
}

func keyTexts(types []Type) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = keyText(t)
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// keyText is the type with its order.
func keyText(t Type) string {
	if t.Reversed {
		return t.String() + " desc"
	}
	return t.String()
}

// judgeColumn compares a column as Cassandra looks it up when it opens an SSTable (SerializationHeader.toHeader): among
// those of its kind, then among the dropped ones. Of a dropped one only matters whether it has several cells.
func (t *tableFit) judgeColumn(kind string, c sstable.Column, there []Column, version string) []ColumnFit {
	out := ColumnFit{Column: string(c.Name), Kind: kind, SSTable: c.Type}
	was, err := ParseClass(c.Type)
	if err != nil {
		out.Problem = Unclear
		return []ColumnFit{out}
	}
	out.SSTable = was.String()
	dropped, gone := find(t.target.Dropped, func(d Dropped) bool { return d.Name == out.Column })
	col, live := find(there, func(o Column) bool { return o.Name == out.Column })
	var all []ColumnFit
	if gone && t.dropped(out.Column) < dropped.Micros {
		hidden := out
		hidden.Problem, hidden.micros = Hidden, dropped.Micros
		all = append(all, hidden)
	}
	switch {
	case live && ValueCompatible(col.Type, was), !live && gone && dropped.Type.Multi == was.Multi:
		return all
	case live:
		out.Problem, out.Schema = Differs, col.Type.String()
		if version[0] == 'm' && was.Name == "udt" && was.Multi && !col.Type.Multi {
			was.Multi = false
			if ValueCompatible(col.Type, was) {
				out.Problem = Thawed
			}
		}
	case gone:
		out.Problem, out.Schema = Differs, dropped.Type.String()
	default:
		out.Problem, out.was = Missing, was
	}
	return append(all, out)
}

func find[T any](list []T, is func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	return found, false
}

// mend gives the statements that let the target read a column it lacks.
func (t *tableFit) mend(kind, name string, typ Type) (statements []string, why string) {
	_, other := find(slices.Concat(t.target.Partition, t.target.Clustering, t.target.Static, t.target.Regular),
		func(c Column) bool { return c.Name == name })
	switch {
	case t.target.View:
		return nil, "no column can be added to a view: drop it and create it again"
	case t.target.Compact:
		return nil, "no column can be added to a table with COMPACT STORAGE"
	case other:
		return nil, "another column has its name: restore into a table of its own"
	}
	table, static := quote(t.Keyspace)+"."+quote(t.Table), ""
	if kind == "static" {
		static = " static"
	}
	statements = append(statements, fmt.Sprintf("ALTER TABLE %s ADD %s %s%s;", table, quote(name), typ, static))
	// A user-defined type that is not frozen can be added and, since 4.0, not dropped.
	if d, ok := t.drops[name]; ok && !d.Again && (typ.Name != "udt" || !typ.Multi) {
		statements = append(statements, fmt.Sprintf("ALTER TABLE %s DROP %s USING TIMESTAMP %d;", table, quote(name), d.Micros))
	}
	return statements, ""
}

// dropped is when the backup had dropped a column, in microseconds; lowest where it had not.
func (t *tableFit) dropped(name string) int64 {
	if d, ok := t.drops[name]; ok {
		return d.Micros
	}
	return -1 << 63
}

// columns are the problems that SSTables have, in the order of kinds and names.
func (t *tableFit) columns() []ColumnFit {
	var all []ColumnFit
	for _, p := range t.problems {
		if p.SSTables > 0 {
			all = append(all, *p)
		}
	}
	slices.SortFunc(all, func(a, b ColumnFit) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Problem, b.Problem), cmp.Compare(a.SSTable, b.SSTable))
	})
	for i := range all {
		if all[i].Problem == Missing {
			t.mendOne(all, i)
		}
	}
	return all
}

// mendOne mends a missing column. Where SSTables have it with several types, the one that reads all others is added.
func (t *tableFit) mendOne(all []ColumnFit, i int) {
	c := &all[i]
	for j, o := range all {
		if i == j || o.Problem != Missing || o.Column != c.Column {
			continue
		}
		wider, narrower := o.Kind == c.Kind && ValueCompatible(o.was, c.was), o.Kind == c.Kind && ValueCompatible(c.was, o.was)
		switch {
		case !wider && !narrower:
			c.Mend, c.Why = nil, "no type reads all its values: restore into a table of its own"
			return
		case !narrower || wider && j < i:
			c.Why = "it is mended by the type " + o.SSTable
		}
	}
	if c.Why == "" {
		c.Mend, c.Why = t.mend(c.Kind, c.Column, c.was)
	}
}
