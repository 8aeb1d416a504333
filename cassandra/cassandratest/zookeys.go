package cassandratest

import (
	"fmt"
	"math/rand/v2"
)

// keyTables differ in their keys, and in the sizes of what they hold.
func keyTables() []table {
	return []table{
		{
			name:   "no_clustering",
			schema: []string{`CREATE TABLE zoo.no_clustering (k text PRIMARY KEY, v int, w text)`},
			rows: func(r *rand.Rand, round int) []statement {
				return some(500, func(i int) string {
					return fmt.Sprintf("INSERT INTO zoo.no_clustering (k, v, w) VALUES ('key %d', %d, %s) USING TIMESTAMP %d", i+round*250, r.IntN(100), quoted(r), zooTime+i)
				})
			},
		},
		{
			name:   "key_only",
			schema: []string{`CREATE TABLE zoo.key_only (k bigint, c uuid, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)`},
			rows: func(r *rand.Rand, _ int) []statement {
				return some(300, func(i int) string {
					return fmt.Sprintf("INSERT INTO zoo.key_only (k, c) VALUES (%d, %s) USING TIMESTAMP %d", i/7, uuid(r, 4), zooTime+i)
				})
			},
		},
		{
			name:   "empties",
			schema: []string{`CREATE TABLE zoo.empties (k text, c text, d blob, e int, v text, PRIMARY KEY (k, c, d, e)) WITH CLUSTERING ORDER BY (c DESC, d ASC, e DESC)`},
			rows: func(r *rand.Rand, round int) []statement {
				return some(300, func(i int) string {
					return fmt.Sprintf("INSERT INTO zoo.empties (k, c, d, e, v) VALUES ('%d', %s, %s, %s, '') USING TIMESTAMP %d", i/9,
						[]string{"''", "'a'", "'b'"}[r.IntN(3)], []string{"0x", "0x00", "0x0000"}[r.IntN(3)], []string{"blobAsInt(0x)", "0", "-1"}[r.IntN(3)], zooTime+i+round)
				})
			},
		},
		manyClusteringsTable(),
		largeTable(),
		droppedTable(),
	}
}

// manyClusteringsTable has more clustering columns than one header of a
// clustering holds, which is 32.
func manyClusteringsTable() table {
	columns, key := "", ""
	for i := range 34 {
		columns += fmt.Sprintf(", c%02d %s", i, []string{"int", "text"}[i%2])
		key += fmt.Sprintf(", c%02d", i)
	}
	return table{
		name:   "clusterings_34",
		schema: []string{fmt.Sprintf("CREATE TABLE zoo.clusterings_34 (k int%s, v int, PRIMARY KEY (k%s))", columns, key)},
		rows: func(r *rand.Rand, _ int) []statement {
			return some(200, func(i int) string {
				values := fmt.Sprint(i / 9)
				for c := range 34 {
					values += []string{fmt.Sprintf(", %d", r.IntN(2)), ", " + quoted(r)}[c%2]
				}
				return fmt.Sprintf("INSERT INTO zoo.clusterings_34 (k%s, v) VALUES (%s, %d) USING TIMESTAMP %d", key, values, i, zooTime+i)
			})
		},
	}
}

// largeTable has single cells of 300 KiB.
func largeTable() table {
	return table{
		name:   "large",
		schema: []string{`CREATE TABLE zoo.large (k int PRIMARY KEY, v blob)`},
		rows: func(r *rand.Rand, round int) []statement {
			var all []statement
			for i := range 2 {
				all = append(all, statement{`INSERT INTO zoo.large (k, v) VALUES (?, ?) USING TIMESTAMP ?`, []any{i + round, noise(r, 300<<10), int64(zooTime + round)}})
			}
			return all
		},
	}
}

// droppedTable loses one column between its flushes and gains another.
func droppedTable() table {
	return table{
		name:    "dropped",
		schema:  []string{`CREATE TABLE zoo.dropped (k int, c int, gone text, gone_list list<int>, kept text, PRIMARY KEY (k, c))`},
		between: []string{`ALTER TABLE zoo.dropped DROP gone`, `ALTER TABLE zoo.dropped DROP gone_list`, `ALTER TABLE zoo.dropped ADD came bigint`},
		rows: func(r *rand.Rand, round int) []statement {
			names := []string{"gone, gone_list", "came"}[round]
			return some(200, func(i int) string {
				values := []string{fmt.Sprintf("%s, [%d]", quoted(r), i), fmt.Sprint(r.Int64())}[round]
				return fmt.Sprintf("INSERT INTO zoo.dropped (k, c, kept, %s) VALUES (%d, %d, 'kept', %s) USING TIMESTAMP %d", names, i/10, i%10+round*5, values, zooTime+i)
			})
		},
	}
}

// compactTables are of the kinds that came before CQL.
func compactTables() []table {
	return []table{
		compactTable("compact_static", "k text PRIMARY KEY, a int, b text", "k, a, b", func(r *rand.Rand, i int) string {
			return fmt.Sprintf("'k%d', %d, %s", i, r.IntN(100), quoted(r))
		}),
		compactTable("dense", "k text, c int, v blob, PRIMARY KEY (k, c)", "k, c, v", func(r *rand.Rand, i int) string {
			return fmt.Sprintf("'k%d', %d, 0x%x", i/10, r.IntN(50), noise(r, 10))
		}),
		compactTable("dense_composite", "k text, c1 int, c2 text, v text, PRIMARY KEY (k, c1, c2)", "k, c1, c2, v", func(r *rand.Rand, i int) string {
			return fmt.Sprintf("'k%d', %d, %s, %s", i/10, r.IntN(50), quoted(r), quoted(r))
		}),
		compactTable("dense_short", "k text, c1 int, c2 text, v text, PRIMARY KEY (k, c1, c2)", "k, c1, v", func(r *rand.Rand, i int) string {
			return fmt.Sprintf("'k%d', %d, %s", i/10, r.IntN(50), quoted(r))
		}),
		compactTable("dense_keys", "k text, c int, PRIMARY KEY (k, c)", "k, c", func(r *rand.Rand, i int) string {
			return fmt.Sprintf("'k%d', %d", i/10, r.IntN(50))
		}),
	}
}

func compactTable(name, columns, names string, row func(r *rand.Rand, i int) string) table {
	return table{
		name:   name,
		schema: []string{fmt.Sprintf("CREATE TABLE zoo.%s (%s) WITH COMPACT STORAGE", name, columns)},
		rows: func(r *rand.Rand, round int) []statement {
			return some(200, func(i int) string {
				return fmt.Sprintf("INSERT INTO zoo.%s (%s) VALUES (%s) USING TIMESTAMP %d", name, names, row(r, i+round*100), zooTime+i)
			})
		},
	}
}

// customTables have types that CQL names by their class only.
func customTables() []table {
	return []table{{
		name: "custom",
		schema: []string{`CREATE TABLE zoo.custom (k int,
			c 'org.apache.cassandra.db.marshal.CompositeType(org.apache.cassandra.db.marshal.Int32Type,org.apache.cassandra.db.marshal.UTF8Type)',
			v 'org.apache.cassandra.db.marshal.DynamicCompositeType(a=>org.apache.cassandra.db.marshal.BytesType,i=>org.apache.cassandra.db.marshal.Int32Type)',
			PRIMARY KEY (k, c))`},
		rows: func(r *rand.Rand, _ int) []statement {
			return some(100, func(i int) string {
				// A part of a composite is its length, its bytes and a zero; of a
				// dynamic one the letter of its type stands first.
				composite := fmt.Sprintf("0x0004%08x00%04x%x00", i, 5, "abcde")
				dynamic := fmt.Sprintf("0x80690004%08x00", r.Uint32())
				return fmt.Sprintf("INSERT INTO zoo.custom (k, c, v) VALUES (%d, %s, %s) USING TIMESTAMP %d", i/9, composite, dynamic, zooTime+i)
			})
		},
	}}
}

// indexTables have a secondary index, whose SSTables lie in a folder below.
func indexTables() []table {
	indexed := func(name, create string, in func(Release) bool) table {
		return table{
			name:   name,
			in:     in,
			schema: []string{fmt.Sprintf("CREATE TABLE zoo.%s (k int PRIMARY KEY, email text, v text)", name), fmt.Sprintf(create, name)},
			rows: func(r *rand.Rand, round int) []statement {
				return some(200, func(i int) string {
					return fmt.Sprintf("INSERT INTO zoo.%s (k, email, v) VALUES (%d, '%d@example.com', %s) USING TIMESTAMP %d", name, i+100*round, r.IntN(50), quoted(r), zooTime+i+1000*round)
				})
			},
		}
	}
	return []table{
		indexed("indexed", "CREATE INDEX indexed_email ON zoo.%s (email)", nil),
		indexed("indexed_sai", "CREATE INDEX indexed_sai_email ON zoo.%s (email) USING 'sai'", since5),
	}
}
