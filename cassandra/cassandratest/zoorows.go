package cassandratest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// timestampsTable holds the first and last moments that a client may name.
func timestampsTable() table {
	return table{
		name:   "timestamps",
		schema: []string{`CREATE TABLE zoo.timestamps (k int, c int, v text, w set<int>, PRIMARY KEY (k, c))`},
		rows: func(_ *rand.Rand, round int) []statement {
			var all []statement
			for i, at := range []int64{-1 << 62, -1, 0, 1, 127, 128, 1442880000000000, zooTime, 1<<63 - 2} {
				all = append(all,
					statement{cql: fmt.Sprintf("INSERT INTO zoo.timestamps (k, c, v, w) VALUES (%d, %d, 'v', {1}) USING TIMESTAMP %d", i%3, i+round*5, at)},
					statement{cql: fmt.Sprintf("DELETE FROM zoo.timestamps USING TIMESTAMP %d WHERE k = %d AND c = %d", at, 3+i, round)},
				)
			}
			return all
		},
	}
}

// farTable ends after 2038, which only the formats of 5.0 can say.
func farTable() table {
	return table{
		name:   "far",
		in:     uses5Formats,
		schema: []string{`CREATE TABLE zoo.far (k int PRIMARY KEY, v text)`},
		rows: func(r *rand.Rand, round int) []statement {
			return some(100, func(i int) string {
				ttl := []int{0, fiveYears, twentyYears - r.IntN(1e6)}[i%3]
				return fmt.Sprintf("INSERT INTO zoo.far (k, v) VALUES (%d, '%s') USING TIMESTAMP %d AND TTL %d", i+round*50, words(r, 3), zooTime+i, ttl)
			})
		},
	}
}

// expiredTable is flushed with cells that live a second and compacted when they
// have ended.
func expiredTable() table {
	return table{
		name:   "expired",
		schema: []string{`CREATE TABLE zoo.expired (k int, c int, v text, w map<int, int>, PRIMARY KEY (k, c))`},
		rows: func(r *rand.Rand, round int) []statement {
			return some(200, func(i int) string {
				return fmt.Sprintf("INSERT INTO zoo.expired (k, c, v, w) VALUES (%d, %d, '%s', {%d: 1}) USING TIMESTAMP %d AND TTL %d",
					i/10, i%10+round*5, words(r, 3), i, zooTime+i, 1+i%2*fiveYears)
			})
		},
	}
}

// some makes n writes.
func some(n int, row func(i int) string) []statement {
	var all []statement
	for i := range n {
		all = append(all, statement{cql: row(i)})
	}
	return all
}

// rangesTable deletes ranges with bounds of every kind over a composite
// clustering of mixed order. Ranges overlap at different times, so that some end
// where others begin.
func rangesTable() table {
	return table{
		name: "ranges",
		schema: []string{`CREATE TABLE zoo.ranges (k int, a int, b text, c bigint, v text, s text static, PRIMARY KEY (k, a, b, c))
			WITH CLUSTERING ORDER BY (a DESC, b ASC, c DESC)`},
		rows: func(r *rand.Rand, _ int) []statement {
			return some(900, func(i int) string {
				k, at := r.IntN(40), zooTime+int64(i)*10
				if i%2 == 0 {
					return fmt.Sprintf("INSERT INTO zoo.ranges (k, a, b, c, v) VALUES (%d, %d, '%c', %d, '%s') USING TIMESTAMP %d",
						k, r.IntN(8), 'a'+rune(r.IntN(6)), r.IntN(5), words(r, 2), at)
				}
				return fmt.Sprintf("DELETE FROM zoo.ranges USING TIMESTAMP %d WHERE k = %d%s", at, k, slice(r))
			})
		},
	}
}

// slice is the condition of a range: some leading columns, then bounds of one,
// including or excluding, open at one end now and then.
func slice(r *rand.Rand) string {
	bounds := func(name string, low, high any) string {
		from, to := []string{" >", " >="}[r.IntN(2)], []string{" <", " <="}[r.IntN(2)]
		lower, upper := fmt.Sprintf(" AND %s%s %v", name, from, low), fmt.Sprintf(" AND %s%s %v", name, to, high)
		return []string{lower + upper, lower, upper, lower + upper}[r.IntN(4)]
	}
	a := r.IntN(8)
	letter := 'a' + rune(r.IntN(4))
	switch r.IntN(5) {
	case 0:
		return bounds("a", a, a+1+r.IntN(3))
	case 1:
		return fmt.Sprintf(" AND a = %d", a)
	case 2:
		return fmt.Sprintf(" AND a = %d", a) + bounds("b", fmt.Sprintf("'%c'", letter), fmt.Sprintf("'%c'", letter+2))
	case 3:
		return fmt.Sprintf(" AND a = %d AND b = '%c'", a, letter)
	default:
		return fmt.Sprintf(" AND a = %d AND b = '%c'", a, letter) + bounds("c", r.IntN(3), 3)
	}
}

// wideTable has partitions of several hundred KiB, which are indexed inside, with
// a static row and with deleted ranges across blocks of that index.
func wideTable() table {
	return table{
		name:   "wide",
		schema: []string{`CREATE TABLE zoo.wide (k text, c int, s text static, v text, PRIMARY KEY (k, c))`},
		rows: func(r *rand.Rand, round int) []statement {
			all := some(600, func(i int) string {
				return fmt.Sprintf("INSERT INTO zoo.wide (k, c, s, v) VALUES ('wide-%d', %d, 'static %d', '%s') USING TIMESTAMP %d",
					i%3, i*2+round, i%3, words(r, 100+r.IntN(300)), zooTime+i)
			})
			all = append(all, some(30, func(i int) string {
				from := r.IntN(1200)
				return fmt.Sprintf("DELETE FROM zoo.wide USING TIMESTAMP %d WHERE k = 'wide-%d' AND c > %d AND c <= %d", zooTime+300+i*20, i%3, from, from+r.IntN(200))
			})...)
			return append(all, some(50, func(i int) string {
				return fmt.Sprintf("INSERT INTO zoo.wide (k, c, v) VALUES ('narrow-%d', 1, 'one row') USING TIMESTAMP %d", i, zooTime+i)
			})...)
		},
	}
}

// countersTable counts, and deletes some counters.
func countersTable() table {
	return table{
		name:   "counters",
		schema: []string{`CREATE TABLE zoo.counters (k int, c int, s counter static, a counter, b counter, PRIMARY KEY (k, c))`},
		rows: func(r *rand.Rand, _ int) []statement {
			return some(400, func(i int) string {
				k, c := r.IntN(20), r.IntN(8)
				switch i % 8 {
				case 0:
					return fmt.Sprintf("UPDATE zoo.counters SET s = s + %d WHERE k = %d", r.IntN(100), k)
				case 1:
					return fmt.Sprintf("DELETE b FROM zoo.counters WHERE k = %d AND c = %d", k+20, c)
				}
				return fmt.Sprintf("UPDATE zoo.counters SET a = a + %d, b = b - %d WHERE k = %d AND c = %d", r.Int64N(1e12), r.IntN(100), k, c)
			})
		},
	}
}

// columnTables have rows with few and with most of their columns. Up to 63 the
// missing ones are a bitmap; from 64 on a list, of the present ones or of the
// missing ones, whichever is shorter.
func columnTables() []table {
	return []table{sparseTable("columns_63", 63, ""), sparseTable("columns_64", 64, ""), sparseTable("columns_100", 100, ""), sparseTable("static_70", 70, " static")}
}

func sparseTable(name string, n int, static string) table {
	var defined strings.Builder
	for i := range n {
		fmt.Fprintf(&defined, ", col%03d %s%s", i, []string{"int", "text", "bigint"}[i%3], static)
	}
	return table{
		name:   name,
		schema: []string{fmt.Sprintf("CREATE TABLE zoo.%s (k int, c int%s, PRIMARY KEY (k, c))", name, defined.String())},
		rows: func(r *rand.Rand, round int) []statement {
			return some(200, func(i int) string { return sparseRow(r, name, n, i+round*100, static != "") })
		},
	}
}

// sparseRow sets none, one, a half, all but one, or all columns.
func sparseRow(r *rand.Rand, name string, n, i int, static bool) string {
	set := []int{0, 1, n / 2, n/2 + 1, n - 1, n}[i%6]
	names, values := "k", fmt.Sprint(i/4)
	if !static || set == 0 {
		names, values = names+", c", values+fmt.Sprintf(", %d", i%4)
	}
	for _, c := range r.Perm(n)[:set] {
		names += fmt.Sprintf(", col%03d", c)
		values += []string{fmt.Sprintf(", %d", r.IntN(1e6)), ", " + quoted(r), fmt.Sprintf(", %d", r.Int64())}[c%3]
	}
	return fmt.Sprintf("INSERT INTO zoo.%s (%s) VALUES (%s) USING TIMESTAMP %d", name, names, values, zooTime+i)
}
