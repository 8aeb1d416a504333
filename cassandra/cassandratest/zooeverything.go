package cassandratest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
)

// column is a column of the table with everything: its type and what draws a
// value of it, as CQL text.
type column struct {
	name, cqlType string
	value         func(r *rand.Rand) string
}

// everythingTable has a column of each type and writes and deletes in every way.
func everythingTable(rel Release) table {
	columns := everyColumn(rel)
	var defined strings.Builder
	for _, c := range columns {
		fmt.Fprintf(&defined, ", %s %s", c.name, c.cqlType)
	}
	return table{
		name: "everything",
		schema: []string{
			`CREATE TYPE zoo.inner_type (a int, b text)`,
			`CREATE TYPE zoo.outer_type (x frozen<inner_type>, y frozen<list<int>>, z double)`,
			`CREATE TABLE zoo.everything (k1 int, k2 text, c1 timestamp, c2 text, s_int int static, s_set set<text> static` +
				defined.String() + `, PRIMARY KEY ((k1, k2), c1, c2)) WITH CLUSTERING ORDER BY (c1 DESC, c2 ASC)`,
		},
		rows: func(r *rand.Rand, _ int) []statement { return everyWrite(r, columns) },
	}
}

func everyColumn(rel Release) []column {
	all := append(plainColumns(), collectionColumns()...)
	if since5(rel) {
		all = append(all,
			column{"v_vector", "vector<float, 3>", func(r *rand.Rand) string { return fmt.Sprintf("[%g, %g, 0]", r.Float32(), -r.Float32()) }},
			column{"v_vector_text", "vector<text, 2>", func(r *rand.Rand) string { return fmt.Sprintf("['%s', '']", words(r, 1)) }},
		)
	}
	return all
}

func plainColumns() []column {
	integer := func(bits int) func(*rand.Rand) string {
		return func(r *rand.Rand) string { return fmt.Sprint(int64(r.Uint64()) >> (64 - bits) >> r.IntN(bits)) }
	}
	return []column{
		{"v_ascii", "ascii", quoted},
		{"v_bigint", "bigint", integer(64)},
		{"v_blob", "blob", func(r *rand.Rand) string { return fmt.Sprintf("0x%x", noise(r, r.IntN(200))) }},
		{"v_boolean", "boolean", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(2) == 0) }},
		{"v_date", "date", func(r *rand.Rand) string { return fmt.Sprintf("'%d-02-%02d'", 1900+r.IntN(300), 1+r.IntN(28)) }},
		{"v_decimal", "decimal", func(r *rand.Rand) string { return fmt.Sprintf("%se%d", bigNumber(r), r.IntN(40)-20) }},
		{"v_double", "double", func(r *rand.Rand) string { return fmt.Sprint(r.NormFloat64()) }},
		{"v_duration", "duration", func(r *rand.Rand) string { return fmt.Sprintf("%dmo%dd%dns", r.IntN(50), r.IntN(50), r.Int64N(1e15)) }},
		{"v_float", "float", func(r *rand.Rand) string { return fmt.Sprint(float32(r.NormFloat64())) }},
		{"v_inet", "inet", inet},
		{"v_int", "int", integer(32)},
		{"v_smallint", "smallint", integer(16)},
		{"v_text", "text", func(r *rand.Rand) string { return quoted(r) }},
		{"v_time", "time", func(r *rand.Rand) string { return fmt.Sprint(r.Int64N(86400e9)) }},
		{"v_timestamp", "timestamp", func(r *rand.Rand) string { return fmt.Sprint(r.Int64N(4e12) - 1e12) }},
		{"v_timeuuid", "timeuuid", func(r *rand.Rand) string { return uuid(r, 1) }},
		{"v_tinyint", "tinyint", integer(8)},
		{"v_uuid", "uuid", func(r *rand.Rand) string { return uuid(r, 4) }},
		{"v_varint", "varint", bigNumber},
	}
}

func collectionColumns() []column {
	inner := func(r *rand.Rand) string { return fmt.Sprintf("{a: %d, b: %s}", r.IntN(1000), quoted(r)) }
	list := func(r *rand.Rand) string { return fmt.Sprintf("[%d, %d]", r.IntN(1000), -r.IntN(1000)) }
	return []column{
		{"f_list", "frozen<list<int>>", list},
		{"f_set", "frozen<set<text>>", func(r *rand.Rand) string { return fmt.Sprintf("{%s, 'ü'}", quoted(r)) }},
		{"f_map", "frozen<map<text, int>>", func(r *rand.Rand) string { return fmt.Sprintf("{%s: %d}", quoted(r), r.IntN(9)) }},
		{"f_udt", "frozen<outer_type>", func(r *rand.Rand) string { return fmt.Sprintf("{x: %s, y: %s, z: 0.5}", inner(r), list(r)) }},
		{"f_nested", "frozen<map<text, frozen<list<frozen<inner_type>>>>>", func(r *rand.Rand) string { return fmt.Sprintf("{%s: [%s, %s]}", quoted(r), inner(r), inner(r)) }},
		{"m_list", "list<text>", func(r *rand.Rand) string { return fmt.Sprintf("[%s, %s]", quoted(r), quoted(r)) }},
		{"m_set", "set<int>", func(r *rand.Rand) string { return fmt.Sprintf("{%d, %d}", r.IntN(100), r.IntN(100)) }},
		{"m_map", "map<text, timestamp>", func(r *rand.Rand) string { return fmt.Sprintf("{'m%d': %d, '': 0}", r.IntN(9), r.Int64N(1e12)) }},
		{"m_udt", "inner_type", inner},
		{"m_map_udt", "map<int, frozen<inner_type>>", func(r *rand.Rand) string { return fmt.Sprintf("{%d: %s}", r.IntN(9), inner(r)) }},
		{"t_tuple", "frozen<tuple<int, text, frozen<inner_type>>>", func(r *rand.Rand) string { return fmt.Sprintf("(%d, null, %s)", r.IntN(9), inner(r)) }},
	}
}

func quoted(r *rand.Rand) string {
	if r.IntN(8) == 0 {
		return "''"
	}
	return "'" + words(r, 1+r.IntN(6)) + "'"
}

func inet(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return fmt.Sprintf("'10.0.%d.%d'", r.IntN(256), r.IntN(256))
	}
	return fmt.Sprintf("'2001:db8::%x'", r.IntN(65536))
}

func uuid(r *rand.Rand, version int) string {
	return fmt.Sprintf("%08x-%04x-%d%03x-%04x-%012x", r.Uint32(), r.IntN(1<<16), version, r.IntN(1<<12), 0x8000|r.IntN(1<<14), r.Int64N(1<<48))
}

// bigNumber is an integer of up to 200 bits, of either sign.
func bigNumber(r *rand.Rand) string {
	n := new(big.Int).SetBytes(noise(r, r.IntN(25)))
	if r.IntN(2) == 0 {
		n.Neg(n)
	}
	return n.String()
}

// everyRows is the number of writes of a round. They fall on 60 partitions of up
// to 12 rows, so that later ones meet earlier ones.
const everyRows = 800

func everyWrite(r *rand.Rand, columns []column) []statement {
	var all []statement
	for i := range everyRows {
		partition := r.IntN(60)
		key := fmt.Sprintf("k1 = %d AND k2 = '%s'", partition, strings.Repeat("k", partition%5))
		row := fmt.Sprintf("%s AND c1 = %d AND c2 = '%s'", key, 1_600_000_000_000+r.IntN(4), strings.Repeat("c", r.IntN(3)))
		at := zooTime + int64(i)*1000 + r.Int64N(1000)
		cql := everyInsert(r, columns, row, at)
		if i%3 == 2 {
			cql = everyChange(r, columns, key, row, at)
		}
		all = append(all, statement{cql: cql})
	}
	return all
}

// everyInsert is an INSERT of some columns, the others unset, null or empty; or
// an UPDATE, which writes cells without a row of their own.
func everyInsert(r *rand.Rand, columns []column, row string, at int64) string {
	names, values := []string{}, []string{}
	for _, c := range columns {
		switch d := r.IntN(20); {
		case d == 0:
			names, values = append(names, c.name), append(values, "null")
		case d == 1 && c.name == "v_int":
			names, values = append(names, c.name), append(values, "blobAsInt(0x)")
		case d < 12:
			names, values = append(names, c.name), append(values, c.value(r))
		}
	}
	using := fmt.Sprintf("USING TIMESTAMP %d", at)
	if r.IntN(5) == 0 {
		using += fmt.Sprintf(" AND TTL %d", fiveYears+r.IntN(1000))
	}
	if r.IntN(4) == 0 && len(names) > 0 {
		var set []string
		for i := range names {
			set = append(set, names[i]+" = "+values[i])
		}
		return fmt.Sprintf("UPDATE zoo.everything %s SET %s WHERE %s", using, strings.Join(set, ", "), row)
	}
	for _, part := range strings.Split(row, " AND ") {
		name, value, _ := strings.Cut(part, " = ")
		names, values = append(names, name), append(values, value)
	}
	return fmt.Sprintf("INSERT INTO zoo.everything (%s) VALUES (%s) %s", strings.Join(names, ", "), strings.Join(values, ", "), using)
}

// everyChange writes or deletes a part of what is there.
func everyChange(r *rand.Rand, columns []column, key, row string, at int64) string {
	update := func(set string, args ...any) string {
		return fmt.Sprintf("UPDATE zoo.everything USING TIMESTAMP %d SET %s WHERE %s", at, fmt.Sprintf(set, args...), row)
	}
	remove := func(what, where string) string {
		return fmt.Sprintf("DELETE %s FROM zoo.everything USING TIMESTAMP %d WHERE %s", what, at, where)
	}
	switch r.IntN(16) {
	case 0:
		return update("m_list = m_list + [%s]", quoted(r))
	case 1:
		return update("m_list = [%s] + m_list", quoted(r))
	case 2:
		return update("m_set = m_set + {%d}, m_map['m%d'] = %d", r.IntN(100), r.IntN(9), r.Int64N(1e12))
	case 3:
		return update("m_set = m_set - {%d}, m_udt.a = %d", r.IntN(100), r.IntN(100))
	case 4:
		return update("m_map_udt[%d] = {a: 1}, m_udt.b = null", r.IntN(9))
	case 5:
		return remove(fmt.Sprintf("m_map['m%d'], m_set[%d]", r.IntN(9), r.IntN(100)), row)
	case 6:
		return remove("m_list, m_set", row)
	case 7, 8:
		return remove(columns[r.IntN(len(columns))].name, row)
	case 9, 10:
		return remove("", row)
	case 11:
		return remove("", key)
	case 12:
		return remove("s_set", key)
	default:
		set := fmt.Sprintf("s_int = %d, s_set = s_set + {%s}", r.IntN(1e6), quoted(r))
		return fmt.Sprintf("UPDATE zoo.everything USING TIMESTAMP %d AND TTL %d SET %s WHERE %s", at, r.IntN(2)*fiveYears, set, key)
	}
}
