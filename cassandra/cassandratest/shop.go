package cassandratest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

// Shop is the keyspace of the example data.
const Shop = "shop"

const (
	// writers is how many statements are under way at once; more than one small
	// node answers in the time of a round trip.
	writers = 64
	// sensors spreads the readings over partitions of some length.
	sensors = 20
	// longRow is the length from which Dump gives a row by its hash.
	longRow = 400
)

// firstDay begins the readings. Their time to live counts from the writing, so a
// fixed day never expires them.
var firstDay = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Tables names the tables of the shop.
func Tables() []string { return []string{"customers", "files", "readings"} }

// CreateShop makes the keyspace with so many replicas, and its tables: customers
// with collections, a user-defined type and a secondary index; readings, a time
// series whose rows live 90 days; files, of larger blobs.
func CreateShop(s *gocql.Session, replicas int) error {
	var release string
	if err := s.Query("SELECT release_version FROM system.local").Scan(&release); err != nil {
		return fmt.Errorf("create the shop: %w", err)
	}
	factor := "replication_factor" // in each data centre
	if strings.HasPrefix(release, "3.") {
		factor = "dc1" // 3.x takes no other form, and the nodes stand there unless told otherwise
	}
	statements := []string{
		fmt.Sprintf(`CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}`, factor, replicas),
		`CREATE TYPE shop.address (street text, town text, code int)`,
		`CREATE TABLE shop.customers (id int PRIMARY KEY, name text, email text, home frozen<address>,
			tags set<text>, phones map<text, text>, orders list<int>)`,
		`CREATE INDEX customers_email ON shop.customers (email)`,
		`CREATE TABLE shop.readings (sensor int, day date, at timestamp, value double, note text,
			PRIMARY KEY ((sensor, day), at)) WITH CLUSTERING ORDER BY (at DESC) AND default_time_to_live = 7776000`,
		`CREATE TABLE shop.files (name text, part int, content blob, PRIMARY KEY (name, part))`,
	}
	for _, stmt := range statements {
		if err := s.Query(stmt).Exec(); err != nil {
			return fmt.Errorf("create the shop: %w", err)
		}
	}
	return nil
}

// address is the user-defined type of that name.
type address struct {
	Street string `cql:"street"`
	Town   string `cql:"town"`
	Code   int    `cql:"code"`
}

// Fill writes the rows from to to-1 of every table of the shop, many at a time.
// The keys of a row hang on its number alone and its values on seed and number:
// another seed writes other values over the same rows.
func Fill(s *gocql.Session, seed uint64, from, to int) error {
	return each(from, to, func(i int) error {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		if err := fillCustomer(s, r, i); err != nil {
			return err
		}
		if err := fillReading(s, r, i); err != nil {
			return err
		}
		return fillFile(s, r, i)
	})
}

func fillCustomer(s *gocql.Session, r *rand.Rand, i int) error {
	tags := []string{words(r, 1), words(r, 1), words(r, 1)}
	phones := map[string]string{"home": fmt.Sprint(r.IntN(1e9)), "work": fmt.Sprint(r.IntN(1e9))}
	orders := []int{r.IntN(1e6), r.IntN(1e6)}
	return s.Query(`INSERT INTO shop.customers (id, name, email, home, tags, phones, orders) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		i, words(r, 2), fmt.Sprintf("customer%d@example.com", i), address{words(r, 2), words(r, 1), r.IntN(99999)},
		tags, phones, orders).Exec()
}

func fillReading(s *gocql.Session, r *rand.Rand, i int) error {
	sensor, day, at := reading(i)
	return s.Query(`INSERT INTO shop.readings (sensor, day, at, value, note) VALUES (?, ?, ?, ?, ?)`,
		sensor, day, at, r.NormFloat64(), words(r, 3)).Exec()
}

// reading is the key of the i-th reading: one a minute for each sensor.
func reading(i int) (sensor int, day, at time.Time) {
	at = firstDay.Add(time.Duration(i/sensors) * time.Minute)
	return i % sensors, at.Truncate(24 * time.Hour), at
}

func fillFile(s *gocql.Session, r *rand.Rand, i int) error {
	var content []byte
	for range 32 + r.IntN(256) {
		content = binary.LittleEndian.AppendUint64(content, r.Uint64())
	}
	name, part := file(i)
	return s.Query(`INSERT INTO shop.files (name, part, content) VALUES (?, ?, ?)`, name, part, content).Exec()
}

// file is the key of the i-th part: four parts make a file.
func file(i int) (name string, part int) { return fmt.Sprintf("file-%06d", i/4), i % 4 }

// Delete deletes the rows from to to-1 of every table of the shop.
func Delete(s *gocql.Session, from, to int) error {
	return each(from, to, func(i int) error {
		if err := s.Query(`DELETE FROM shop.customers WHERE id = ?`, i).Exec(); err != nil {
			return err
		}
		sensor, day, at := reading(i)
		if err := s.Query(`DELETE FROM shop.readings WHERE sensor = ? AND day = ? AND at = ?`, sensor, day, at).Exec(); err != nil {
			return err
		}
		name, part := file(i)
		return s.Query(`DELETE FROM shop.files WHERE name = ? AND part = ?`, name, part).Exec()
	})
}

// each calls do for every number, some of them at a time, until one fails.
func each(from, to int, do func(int) error) error {
	var all errgroup.Group
	all.SetLimit(writers)
	for i := from; i < to; i++ {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}

// Dump reads every row of a table of the shop as text, in the order of the text:
// equal dumps mean equal rows. A long row comes as its beginning and the SHA-256
// of the whole.
func Dump(s *gocql.Session, table string) ([]string, error) {
	if !slices.Contains(Tables(), table) {
		return nil, fmt.Errorf("the shop has no table %q", table)
	}
	var rows []string
	var row string
	all := s.Query(`SELECT JSON * FROM shop.` + table).PageSize(500).Iter()
	for all.Scan(&row) {
		if len(row) > longRow {
			row = fmt.Sprintf("%s... %x", row[:longRow/4], sha256.Sum256([]byte(row)))
		}
		rows = append(rows, row)
	}
	if err := all.Close(); err != nil {
		return nil, fmt.Errorf("dump %s: %w", table, err)
	}
	slices.Sort(rows)
	return rows, nil
}

// words makes n words that compress and repeat as those of people do.
func words(r *rand.Rand, n int) string {
	vocabulary := [...]string{
		"amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "juniper", "kestrel", "lagoon",
		"maple", "nettle", "otter", "pebble", "quarry", "raven", "sorrel", "thistle", "umber", "violet", "willow", "yarrow",
	}
	var chosen []string
	for range n {
		chosen = append(chosen, vocabulary[r.IntN(len(vocabulary))])
	}
	return strings.Join(chosen, " ")
}
