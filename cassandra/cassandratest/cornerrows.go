package cassandratest

import (
	"fmt"
	"strings"
)

// write is a statement without arguments.
func write(format string, args ...any) statement { return statement{cql: fmt.Sprintf(format, args...)} }

// typesCorner has a column of every kind of type. Later rounds write over whole
// values, add to collections and take elements and fields away.
func typesCorner() corner {
	return corner{
		name: "types",
		create: []string{
			`CREATE TYPE corners.place (street text, town text, code int)`,
			`CREATE TYPE corners.home (label text, at frozen<place>, since frozen<list<frozen<place>>>)`,
			`CREATE TABLE corners.types (id int PRIMARY KEY, name text, home frozen<home>, work place, tags set<text>, marks list<int>,
				phones map<text, frozen<place>>, nested frozen<map<text, frozen<list<int>>>>, pair frozen<tuple<int, text>>, raw blob, big varint,
				price decimal, at timestamp, day date, span duration, address inet, flag boolean, one timeuuid) WITH` + apart,
		},
		rows: func(round int) (all []statement) {
			for i := range typesRows {
				all = append(all, typesWrites(round, i)...)
			}
			return all
		},
		dump: map[string]string{"types": `SELECT JSON id, name, writetime(name), ttl(name), home, writetime(home), work, tags, marks, phones, nested,
			writetime(nested), pair, raw, big, price, at, day, span, address, flag, one FROM corners.types`},
	}
}

const typesRows = 60

func typesWrites(round, i int) []statement {
	at := cornerTime(round, i)
	switch {
	case round == 0:
		return []statement{write(`INSERT INTO corners.types (id, name, home, work, tags, marks, phones, nested, pair, raw, big, price, at, day, span,
			address, flag, one) VALUES (%[1]d, 'name %[1]d', {label: 'home', at: {street: 's %[1]d', town: 't', code: %[1]d}, since: [{town: 'u'}]},
			{street: 'w %[1]d', town: 'x', code: %[1]d}, {'a', 'b', '%[1]d'}, [1, 2, %[1]d], {'home': {street: 'p', code: %[1]d}, 'work': {town: 'q'}},
			{'n': [1, %[1]d], 'm': []}, (%[1]d, 'two'), 0x00ff%02[1]x, %[1]d00000000000000000000, -%[1]d.50, %[1]d, '2024-02-29', 1mo2d3h,
			'10.0.0.%[1]d', %[3]t, 50554d6e-29bb-11e5-b345-feff819cdc9f) USING TIMESTAMP %[2]d`, i, at, i%2 == 0)}
	case round == 1 && i%4 == 0:
		return []statement{write(`UPDATE corners.types USING TIMESTAMP %[2]d SET name = 'again %[1]d', work.town = null, work.street = 'moved',
			tags = tags - {'a'}, tags = tags + {'c'}, marks = marks + [7], phones['fax'] = {town: 'z'}, phones['home'] = null, home = {label: 'none'}
			WHERE id = %[1]d`, i, at)}
	case round == 1 && i%4 == 1:
		return []statement{write(`UPDATE corners.types USING TIMESTAMP %[2]d SET tags = {'only'}, marks = [9], phones = {}, work = {code: 1}, nested = null
			WHERE id = %[1]d`, i, at)}
	case round == 2 && i%8 == 4:
		return []statement{write(`UPDATE corners.types USING TIMESTAMP %[2]d SET tags = tags + {'d'}, marks = marks + [8], work.code = null,
			pair = (null, 'x') WHERE id = %[1]d`, i, at)}
	case round == 2 && i%8 == 7:
		return []statement{write(`DELETE name, tags, marks, phones FROM corners.types USING TIMESTAMP %d WHERE id = %d`, at, i)}
	}
	return nil
}

// deletesCorner has rows, ranges, partitions, cells and static cells deleted in
// SSTables after those of the rows, and writes after deletions and, older than
// these, in later SSTables.
func deletesCorner() corner {
	return corner{
		name:   "deletes",
		create: []string{`CREATE TABLE corners.deletes (k int, c int, d text, s text static, v text, w int, PRIMARY KEY (k, c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC) AND` + apart},
		rows: func(round int) (all []statement) {
			for k := range deletesKeys {
				all = append(all, deletesWrites(round, k)...)
			}
			return all
		},
		dump: map[string]string{
			"deletes":          `SELECT JSON k, c, d, s, writetime(s), v, writetime(v), w, writetime(w) FROM corners.deletes`,
			"deletes' statics": `SELECT JSON DISTINCT k, s, writetime(s) FROM corners.deletes`,
		},
	}
}

const (
	deletesKeys = 40
	deletesRows = 12 // of a partition
)

func deletesWrites(round, k int) (all []statement) {
	at := cornerTime(round, k)
	row := func(c int, v string, at int64) {
		all = append(all, write(`INSERT INTO corners.deletes (k, c, d, v, w) VALUES (%d, %d, '%c', '%s', %d) USING TIMESTAMP %d`, k, c, 'a'+rune(c%3), v, c, at))
	}
	drop := func(what, where string) {
		all = append(all, write(`DELETE %s FROM corners.deletes USING TIMESTAMP %d WHERE k = %d%s`, what, at, k, where))
	}
	switch {
	case round == 0:
		for c := range deletesRows {
			row(c, "first", at)
		}
		all = append(all, write(`INSERT INTO corners.deletes (k, s) VALUES (%[1]d, 'static %[1]d') USING TIMESTAMP %[2]d`, k, at))
	case round == 1 && k%8 == 0:
		drop("", " AND c = 5 AND d = 'c'")
	case round == 1 && k%8 == 1:
		drop("", " AND c > 3 AND c <= 8")
	case round == 1 && k%8 == 2:
		drop("", "")
	case round == 1 && k%8 == 3:
		drop("v", " AND c = 5 AND d = 'c'")
		drop("s", "")
	case round == 1 && k%8 == 4:
		drop("", " AND c = 7")
	case round == 2 && k%8 == 1:
		drop("", " AND c >= 6 AND c < 11")
		row(7, "shadowed", cornerTime(0, k)+1)
	case round == 2 && k%8 == 2:
		row(3, "after the deletion", at)
		row(4, "shadowed", cornerTime(0, k)+1)
	case round == 2 && k%8 == 5:
		row(2, "second", at)
		row(3, "older than the first", cornerTime(0, k)-1)
	}
	return all
}

// countersCorner counts in every round and deletes some counters, which never
// count again.
func countersCorner() corner {
	return corner{
		name:   "counters",
		create: []string{`CREATE TABLE corners.counters (k int, c int, s counter static, n counter, m counter, PRIMARY KEY (k, c)) WITH` + apart},
		rows: func(round int) (all []statement) {
			for i := range 80 {
				switch k, c := i/4, i%4; {
				case k%5 == 4 && round == 1:
					all = append(all, write(`DELETE FROM corners.counters WHERE k = %d AND c = %d`, k, c))
				case k%5 == 4 && round == 2:
				default:
					all = append(all, write(`UPDATE corners.counters SET n = n + %d, m = m - %d WHERE k = %d AND c = %d`, 1_000_000_000_000+i, round+1, k, c))
				}
				// Cassandra loses one of two additions to a static counter at the same time: its locks are of rows only.
				if i%4 == 0 {
					all = append(all, write(`UPDATE corners.counters SET s = s + %d WHERE k = %d`, round+1, i/4))
				}
			}
			return all
		},
		dump: map[string]string{"counters": `SELECT JSON k, c, s, n, m FROM corners.counters`},
	}
}

// livesCorner has values that live for ever, for years, by the table's default,
// and for a second: these end before the round does, and shadow what was written
// before them.
func livesCorner() corner {
	return corner{
		name:   "lives",
		create: []string{`CREATE TABLE corners.lives (k int PRIMARY KEY, v text, w text, m map<int, text>) WITH default_time_to_live = ` + fmt.Sprint(fiveYears) + ` AND` + apart},
		rows: func(round int) (all []statement) {
			for k := range livesRows {
				at := cornerTime(round, k)
				insert := fmt.Sprintf(`INSERT INTO corners.lives (k, v, m) VALUES (%d, 'round %d', {1: 'x', %d: 'y'}) USING TIMESTAMP %d`, k, round, k+2, at)
				switch ttl := []string{"", " AND TTL 0", " AND TTL 1", " AND TTL 90000000"}[k%4]; {
				case round == 0:
					all = append(all, write(`%s%s`, insert, ttl))
					all = append(all, write(`UPDATE corners.lives USING TIMESTAMP %d AND TTL 0 SET w = 'stays' WHERE k = %d`, at, k))
				case round == 1 && k%8 < 4:
					all = append(all, write(`UPDATE corners.lives USING TIMESTAMP %d AND TTL 1 SET v = 'soon gone', m[1] = 'soon gone' WHERE k = %d`, at, k))
				}
			}
			return all
		},
		dump: map[string]string{"lives": `SELECT JSON k, v, writetime(v), ttl(v), w, writetime(w), ttl(w), m FROM corners.lives`},
	}
}

const livesRows = 64

// wideCorner has a partition that is indexed inside, whose rows lie in several
// SSTables, with deleted ranges across the blocks of that index.
func wideCorner() corner {
	return corner{
		name:   "wide",
		create: []string{`CREATE TABLE corners.wide (k text, c int, s text static, v text, PRIMARY KEY (k, c)) WITH` + apart},
		rows: func(round int) (all []statement) {
			from, to := round*wideRows/2, wideRows+round*wideRows/10
			for ; from < to; from += wideBatch {
				all = append(all, wideBatchOf(round, from, min(from+wideBatch, to)))
			}
			if round > 0 {
				at := cornerTime(round-1, wideRows*2) // after the rows of the round before, before those of this one
				all = append(all, write(`DELETE FROM corners.wide USING TIMESTAMP %d WHERE k = 'wide' AND c >= %d AND c < %d`, at, round*500, round*500+700))
			}
			return append(all, write(`INSERT INTO corners.wide (k, s) VALUES ('wide', 'round %d') USING TIMESTAMP %d`, round, cornerTime(round, 0)),
				write(`INSERT INTO corners.wide (k, c, v) VALUES ('narrow', %d, 'one row') USING TIMESTAMP %d`, round, cornerTime(round, 0)))
		},
		dump: map[string]string{
			"wide":           `SELECT JSON k, c, s, v, writetime(v) FROM corners.wide`,
			"wide, inside":   `SELECT JSON c, v FROM corners.wide WHERE k = 'wide' AND c >= 1690 AND c < 1715`,
			"wide, backward": `SELECT JSON c, v FROM corners.wide WHERE k = 'wide' AND c < 2000 ORDER BY c DESC LIMIT 25`,
		},
	}
}

const (
	// wideRows of about 110 bytes each make five blocks of 64 KiB, the largest
	// column_index_size of any release.
	wideRows  = 3000
	wideBatch = 50 // below what a release warns of
)

func wideBatchOf(round, from, to int) statement {
	var b strings.Builder
	b.WriteString("BEGIN UNLOGGED BATCH\n")
	for c := from; c < to; c++ {
		text := strings.Repeat(string('a'+rune(c%26)), 60)
		fmt.Fprintf(&b, "INSERT INTO corners.wide (k, c, v) VALUES ('wide', %d, 'round %d: %s') USING TIMESTAMP %d;\n", c, round, text, cornerTime(round, c))
	}
	b.WriteString("APPLY BATCH")
	return statement{cql: b.String()}
}

// peopleCorner has a secondary index and a view, and since 5.0 an index of the
// SSTables' own. Rows change what they are found by.
func peopleCorner(n number) corner {
	c := corner{
		name: "people",
		create: []string{
			`CREATE TABLE corners.people (id int PRIMARY KEY, email text, town text, age int, note text) WITH` + apart,
			`CREATE INDEX people_email ON corners.people (email)`,
		},
		rows: func(round int) (all []statement) {
			for id := range peopleRows {
				all = append(all, peopleWrites(round, id)...)
			}
			return all
		},
		dump: map[string]string{
			"people":                 `SELECT JSON id, email, writetime(email), town, writetime(town), age, note FROM corners.people`,
			"people by email":        `SELECT JSON id, town FROM corners.people WHERE email = 'shared@example.com'`,
			"people by former email": `SELECT JSON id, town FROM corners.people WHERE email = 'first@example.com'`,
			"by_town":                `SELECT JSON town, id, email, writetime(email), age FROM corners.by_town`,
			"by_town of one":         `SELECT JSON id, email FROM corners.by_town WHERE town = 'town 3'`,
		},
	}
	if n.since(5, 0) {
		c.create = append(c.create, `CREATE INDEX people_age ON corners.people (age) USING 'sai'`)
		c.dump["people by age"] = `SELECT JSON id, age FROM corners.people WHERE age >= 30 AND age < 33`
	}
	// Making an index of its own ends the build of a view, which would then fail the statement.
	c.create = append(c.create, `CREATE MATERIALIZED VIEW corners.by_town AS SELECT id, town, email, age FROM corners.people
		WHERE town IS NOT NULL AND id IS NOT NULL PRIMARY KEY (town, id) WITH`+apart)
	return c
}

const peopleRows = 120

func peopleWrites(round, id int) []statement {
	at := cornerTime(round, id)
	switch {
	case round == 0:
		return []statement{write(`INSERT INTO corners.people (id, email, town, age, note) VALUES (%d, 'first@example.com', 'town %d', %d, 'note') USING TIMESTAMP %d`,
			id, id%7, 20+id%40, at)}
	case round == 1 && id%3 == 0:
		return []statement{write(`UPDATE corners.people USING TIMESTAMP %d SET email = 'shared@example.com', town = 'town %d', age = %d WHERE id = %d`, at, id%5, 30+id%4, id)}
	case round == 1 && id%3 == 1:
		return []statement{write(`UPDATE corners.people USING TIMESTAMP %d SET email = 'person%d@example.com' WHERE id = %d`, at, id, id)}
	case round == 2 && id%6 == 0:
		return []statement{write(`DELETE FROM corners.people USING TIMESTAMP %d WHERE id = %d`, at, id)}
	case round == 2 && id%6 == 2:
		return []statement{write(`DELETE town, age FROM corners.people USING TIMESTAMP %d WHERE id = %d`, at, id)}
	}
	return nil
}

// droppedCorner loses columns after they were written, and gets one of them back.
func droppedCorner() corner {
	return corner{
		name:   "dropped",
		create: []string{`CREATE TABLE corners.dropped (k int, c int, kept text, gone text, again text, sets set<int>, fixed text static, PRIMARY KEY (k, c)) WITH` + apart},
		alter: func(round int) []string {
			if round != 1 {
				return nil
			}
			// What was written up to then stays hidden when the column is back.
			return []string{
				fmt.Sprintf(`ALTER TABLE corners.dropped DROP gone USING TIMESTAMP %d`, cornerTime(1, 0)),
				fmt.Sprintf(`ALTER TABLE corners.dropped DROP again USING TIMESTAMP %d`, cornerTime(1, 0)),
				`ALTER TABLE corners.dropped ADD again text`,
				fmt.Sprintf(`ALTER TABLE corners.dropped DROP sets USING TIMESTAMP %d`, cornerTime(1, 0)),
				`ALTER TABLE corners.dropped ADD later int`,
			}
		},
		rows: func(round int) (all []statement) {
			for i := range droppedRows {
				k, c, at := i/6, i%6, cornerTime(round, 1+i)
				switch {
				case round == 0:
					all = append(all, write(`INSERT INTO corners.dropped (k, c, kept, gone, again, sets, fixed) VALUES (%d, %d, 'kept', 'gone', 'hidden', {%[2]d}, 'fixed') USING TIMESTAMP %d`, k, c, at))
				case round == 1 && c < 3:
					all = append(all, write(`UPDATE corners.dropped USING TIMESTAMP %d SET again = 'again', later = %d WHERE k = %d AND c = %d`, at, i, k, c))
				case round == 2 && c == 2:
					all = append(all, write(`DELETE again FROM corners.dropped USING TIMESTAMP %d WHERE k = %d AND c = %d`, at, k, c))
				}
			}
			return all
		},
		dump: map[string]string{"dropped": `SELECT JSON k, c, kept, writetime(kept), again, writetime(again), later, fixed FROM corners.dropped`},
	}
}

const droppedRows = 120
