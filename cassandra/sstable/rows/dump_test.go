package rows

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// The JSON of sstabledump -t, with times as numbers in quotes: microseconds for what was
// written, seconds for what expires or was deleted.
type (
	dumpPartition struct {
		Partition struct {
			Key      []string      `json:"key"`
			Position int64         `json:"position"`
			Deletion *dumpDeletion `json:"deletion_info"`
		} `json:"partition"`
		Rows []dumpRow `json:"rows"`
	}
	dumpDeletion struct {
		Marked *dumpTime `json:"marked_deleted"`
		Local  dumpTime  `json:"local_delete_time"`
	}
	dumpRow struct {
		Type       string        `json:"type"`
		Position   int64         `json:"position"`
		Clustering []any         `json:"clustering,omitempty"`
		Liveness   *dumpExpiry   `json:"liveness_info"`
		Deletion   *dumpDeletion `json:"deletion_info"`
		Cells      []dumpCell    `json:"cells,omitempty"`
		Start      *dumpBound    `json:"start"`
		End        *dumpBound    `json:"end"`
	}
	dumpBound struct {
		Type       string        `json:"type"`
		Clustering []any         `json:"clustering,omitempty"`
		Deletion   *dumpDeletion `json:"deletion_info"`
	}
	dumpExpiry struct {
		Tstamp  *dumpTime `json:"tstamp"`
		TTL     int32     `json:"ttl"`
		Expires *dumpTime `json:"expires_at"`
	}
	dumpCell struct {
		dumpExpiry
		Name     string        `json:"name"`
		Path     []string      `json:"path"`
		Value    any           `json:"value"`
		Deletion *dumpDeletion `json:"deletion_info"`
	}
	dumpTime string
)

func dumpMicros(us int64) *dumpTime {
	t := dumpTime(strconv.FormatInt(us, 10))
	return &t
}

func dumpSeconds(s uint32) *dumpTime { return dumpMicros(int64(s)) }

func dumpOf(d DeletionTime) *dumpDeletion {
	if d.Live() {
		return nil
	}
	return &dumpDeletion{Marked: dumpMicros(d.MarkedAt), Local: *dumpSeconds(d.Local)}
}

// dumper turns what a Reader yields into the JSON of sstabledump.
type dumper struct {
	reader          *Reader
	key             Type
	clustering      []Type
	static, regular []namedType
	counts          dumpCounts
	// lazy: sstabledump before 5.0 asks for the position of a partition before it has read
	// of it.
	lazy bool
}

type dumpCounts struct{ partitions, rows, markers, cells int }

type namedType struct {
	name string
	Type
}

func newDumper(t testing.TB, r *Reader, h sstable.Header) *dumper {
	d := &dumper{reader: r, key: mustParse(t, h.KeyType)}
	for _, c := range h.ClusteringTypes {
		d.clustering = append(d.clustering, mustParse(t, c))
	}
	for _, c := range h.Static {
		d.static = append(d.static, namedType{string(c.Name), mustParse(t, c.Type)})
	}
	for _, c := range h.Regular {
		d.regular = append(d.regular, namedType{string(c.Name), mustParse(t, c.Type)})
	}
	return d
}

func mustParse(t testing.TB, class string) Type {
	t.Helper()
	parsed, err := ParseType(class)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// partition reads the partition the reader stands at.
func (d *dumper) partition() (p dumpPartition, err error) {
	d.counts.partitions++
	at := d.reader.Partition()
	p.Partition.Deletion = dumpOf(at.Deletion)
	if p.Partition.Key, err = d.keys(at.Key); err != nil {
		return p, err
	}
	// sstabledump reads the static row before it asks for the position.
	p.Partition.Position = at.Position + int64(len(at.Raw))
	for d.reader.NextUnfiltered() {
		u := d.reader.Unfiltered()
		if u.Kind == StaticRow {
			p.Partition.Position += int64(len(u.Raw))
		}
		row, err := d.row(u)
		if err != nil {
			return p, fmt.Errorf("row at %d: %w", u.Position, err)
		}
		if u.Kind == StaticRow {
			row.Position = p.Partition.Position
			if len(u.Columns) == 0 && u.Deletion.Live() {
				continue
			}
		}
		p.Rows = append(p.Rows, row)
	}
	if d.lazy {
		p.Partition.Position = at.Position
	}
	return p, d.reader.Err()
}

// keys splits the key of several columns: length 2, value, 0 for each.
func (d *dumper) keys(key []byte) ([]string, error) {
	if d.key.Class != "CompositeType" {
		s, err := keyText(d.key, key)
		return []string{s}, err
	}
	var keys []string
	c := &cursor{b: key}
	for i := 0; c.i < len(key) && !c.failed(); i++ {
		s, err := keyText(d.key.Params[i], c.bytes(c.uint16()))
		if err != nil {
			return nil, err
		}
		keys = append(keys, s)
		c.uint8()
	}
	return keys, nil
}

func (d *dumper) row(u *Unfiltered) (r dumpRow, err error) {
	if u.Kind == Marker {
		d.counts.markers++
		return d.marker(u)
	}
	d.counts.rows++
	r = dumpRow{Type: "row", Position: u.Position, Deletion: dumpOf(u.Deletion)}
	if u.Kind == StaticRow {
		r.Type = "static_block"
	}
	if r.Clustering, err = d.clusteringOf(u); err != nil {
		return r, err
	}
	if l := u.Liveness; l.Timestamp != NoTimestamp {
		r.Liveness = &dumpExpiry{Tstamp: dumpMicros(l.Timestamp)}
		if l.Expiring {
			r.Liveness.TTL, r.Liveness.Expires = l.TTL, dumpSeconds(l.Expiration)
		}
	}
	for d.reader.NextColumn() {
		if err := d.column(u, &r); err != nil {
			return r, err
		}
	}
	return r, d.reader.Err()
}

func (d *dumper) clusteringOf(u *Unfiltered) (values []any, err error) {
	for i, t := range d.clustering {
		var v any = "*"
		if i < len(u.Clustering) {
			if v, err = jsonValue(t, u.Clustering[i]); err != nil {
				return nil, err
			}
		}
		if len(u.Clustering) > 0 {
			values = append(values, v)
		}
	}
	return values, nil
}

func (d *dumper) marker(u *Unfiltered) (r dumpRow, err error) {
	values, err := d.clusteringOf(u)
	bound := func(inclusive bool, deletion DeletionTime) *dumpBound {
		b := &dumpBound{Type: "exclusive", Clustering: values, Deletion: dumpOf(deletion)}
		if inclusive {
			b.Type = "inclusive"
		}
		return b
	}
	r.Type = "range_tombstone_bound"
	switch u.Bound {
	case InclStart, ExclStart:
		r.Start = bound(u.Bound == InclStart, u.Deletion)
	case InclEnd, ExclEnd:
		r.End = bound(u.Bound == InclEnd, u.Deletion)
	default:
		r.Type = "range_tombstone_boundary"
		r.End = bound(u.Bound == InclEndExclStart, u.Deletion)
		r.Start = bound(u.Bound == ExclEndInclStart, u.Opens)
	}
	return r, err
}

func (d *dumper) column(u *Unfiltered, r *dumpRow) error {
	c := d.reader.Column()
	columns := d.regular
	if u.Kind == StaticRow {
		columns = d.static
	}
	t := columns[c.Index]
	if !c.Deletion.Live() {
		r.Cells = append(r.Cells, dumpCell{Name: t.name, Deletion: dumpOf(c.Deletion)})
	}
	for d.reader.NextCell() {
		d.counts.cells++
		cell, err := dumpOfCell(t.Type, d.reader.Cell(), u.Liveness)
		if err != nil {
			return fmt.Errorf("column %s: %w", t.name, err)
		}
		cell.Name = t.name
		r.Cells = append(r.Cells, cell)
	}
	return d.reader.Err()
}

func dumpOfCell(t Type, c *Cell, live Liveness) (d dumpCell, err error) {
	if t.MultiCell() {
		path, valueType, err := element0(t, c.Path)
		if err != nil {
			return d, err
		}
		d.Path, t = []string{path}, valueType
	}
	switch {
	case c.Local != NoDeletion && c.TTL == 0:
		d.Deletion = &dumpDeletion{Local: *dumpSeconds(c.Local)}
	case c.Flags&CellEmptyValue != 0:
		d.Value, err = jsonValue(t, []byte{})
	default:
		d.Value, err = jsonValue(t, c.Value)
	}
	if c.Timestamp != live.Timestamp {
		d.Tstamp = dumpMicros(c.Timestamp)
	}
	if c.TTL != 0 && c.TTL != live.TTL {
		d.TTL, d.Expires = c.TTL, dumpSeconds(c.Local)
	}
	return d, err
}

// element0 is the text of a path and the type of the value it leads to.
func element0(t Type, path []byte) (string, Type, error) {
	switch t.Class {
	case "ListType":
		s, err := keyText(Type{Class: "TimeUUIDType"}, path)
		return s, t.Params[0], err
	case "SetType":
		s, err := keyText(t.Params[0], path)
		return s, Type{Class: "EmptyType"}, err
	case "MapType":
		s, err := keyText(t.Params[0], path)
		return s, t.Params[1], err
	}
	i := 2 + int(binary.BigEndian.Uint16(path))
	if len(path) != 2 || i >= len(t.Params) {
		return "", t, fmt.Errorf("path %x into %v", path, t)
	}
	return fieldName(t.Params[i]), t.Params[i], nil
}

// compareWithDump reads the whole of r beside a file of sstabledump's JSON.
func compareWithDump(t testing.TB, r *Reader, h sstable.Header, f cassandratest.Fixture) dumpCounts {
	t.Helper()
	dump, err := os.Open(f.Dump)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	in := json.NewDecoder(dump)
	in.UseNumber()
	if _, err := in.Token(); err != nil {
		t.Fatal(err)
	}
	d := newDumper(t, r, h)
	d.lazy = f.Release < "5"
	for r.Next() {
		mine, err := d.partition()
		if err != nil {
			t.Fatal(err)
		}
		var theirs dumpPartition
		if err := in.Decode(&theirs); err != nil {
			t.Fatal(err)
		}
		if err := mine.compare(&theirs); err != nil {
			t.Fatalf("partition at %d: %v", r.Partition().Position, err)
		}
	}
	if r.Err() != nil || in.More() {
		t.Fatalf("reader ends with %v, dump has more: %v", r.Err(), in.More())
	}
	return d.counts
}

func (p *dumpPartition) compare(q *dumpPartition) error {
	if a, b := text(p.Partition), text(q.Partition); a != b {
		return fmt.Errorf("reader %s, dump %s", a, b)
	}
	if len(p.Rows) != len(q.Rows) {
		return fmt.Errorf("reader has %d rows, dump %d", len(p.Rows), len(q.Rows))
	}
	for i := range p.Rows {
		if err := p.Rows[i].compare(&q.Rows[i]); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// compare takes the values out of both rows, since floats are compared as numbers, and
// the rest as text.
func (r *dumpRow) compare(s *dumpRow) error {
	a, b := r.values(), s.values()
	if x, y := text(r), text(s); x != y {
		return fmt.Errorf("reader %s, dump %s", x, y)
	}
	for i := range a {
		if !sameJSON(a[i], b[i]) {
			return fmt.Errorf("value %d: reader %#v, dump %#v", i, a[i], b[i])
		}
	}
	return nil
}

// values takes out the values of a row, and the quotes of names.
func (r *dumpRow) values() []any {
	v := slices.Clone(r.Clustering)
	r.Clustering = nil
	for _, b := range []*dumpBound{r.Start, r.End} {
		if b != nil {
			v = append(v, b.Clustering...)
			b.Clustering = nil
		}
	}
	r.Cells = slices.Clone(r.Cells)
	for i := range r.Cells {
		c := &r.Cells[i]
		v = append(v, c.Value)
		c.Value = nil
		c.Name = strings.ReplaceAll(strings.Trim(c.Name, `"`), `""`, `"`)
	}
	return v
}
