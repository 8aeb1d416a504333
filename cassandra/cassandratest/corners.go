package cassandratest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

// Corners is a keyspace of what is hard to bring back: its tables change from
// round to round, so that what shadows a row lies in another SSTable than the
// row.
const Corners = "corners"

// CornerRounds is how often [FillCorners] has something to write.
const CornerRounds = 3

// cornerWriters is how many writes are under way at once: a node on a busy
// machine answers each of them well before its timeout.
const cornerWriters = 16

// corner is one table, with what hangs on it.
type corner struct {
	name string
	// create makes the table, its types before it and its indexes after.
	create []string
	// alter changes the table before the writes of a round.
	alter func(round int) []string
	rows  func(round int) []statement
	// dump are queries that read all of it, each under a name.
	dump map[string]string
}

// corners are the tables that a release can have.
func corners(n number) []corner {
	return []corner{typesCorner(), deletesCorner(), countersCorner(), livesCorner(), wideCorner(), peopleCorner(n), droppedCorner()}
}

// apart keeps SSTables as they were flushed.
const apart = " compaction = {'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'}"

// cornerTime is the timestamp of the i-th write of a round. The rounds follow one
// another and end well before any clock, so that two clusters have the same
// timestamps.
func cornerTime(round, i int) int64 { return zooTime + int64(round)*1e9 + int64(i) }

// CreateCorners makes the keyspace with the tables that a release can have.
// replication is a map of CQL, as {'class': 'NetworkTopologyStrategy', 'dc1': 3}.
func CreateCorners(s *gocql.Session, release, replication string) error {
	n, err := parseNumber(release)
	if err != nil {
		return err
	}
	all := []string{"CREATE KEYSPACE corners WITH replication = " + replication}
	for _, c := range corners(n) {
		all = append(all, c.create...)
	}
	return execAll(s, all)
}

// FillCorners makes the writes of a round, one of 0 to CornerRounds-1 in order.
// Flush corners after each, or all ends in one SSTable.
func FillCorners(s *gocql.Session, round int) error {
	n, err := numberOf(s)
	if err != nil {
		return err
	}
	var all errgroup.Group
	all.SetLimit(cornerWriters)
	for _, c := range corners(n) {
		if c.alter != nil {
			if err := execAll(s, c.alter(round)); err != nil {
				return err
			}
		}
		for _, w := range c.rows(round) {
			all.Go(func() error {
				if err := s.Query(w.cql, w.args...).Exec(); err != nil {
					return fmt.Errorf("%.500s: %w", w.cql, err)
				}
				return nil
			})
		}
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return untilEnded(s)
}

// numberOf asks for the release.
func numberOf(s *gocql.Session) (number, error) {
	var release string
	if err := s.Query("SELECT release_version FROM system.local").Scan(&release); err != nil {
		return number{}, fmt.Errorf("ask for the release: %w", err)
	}
	return parseNumber(release)
}

// endsSoon tells cells that are to end in the test from those that stay: the
// former live a second, the latter years.
const endsSoon = 3600

// untilEnded waits until nothing is left that ends soon: what is read from then
// on hangs on no clock.
func untilEnded(s *gocql.Session) error {
	for {
		left := 0
		var ttl *int
		all := s.Query("SELECT ttl(v) FROM corners.lives").Iter()
		for all.Scan(&ttl) {
			if ttl != nil && *ttl < endsSoon {
				left++
			}
		}
		if err := all.Close(); err != nil || left == 0 {
			return err
		}
		time.Sleep(pollEvery)
	}
}

// cornerLong is the length from which DumpCorners gives a row by its hash.
const cornerLong = 1000

// DumpCorners reads every row of every table, of the view and of some queries that
// the index answers or that begin inside a wide partition, each under a name: with
// values, times of writing where a release tells them, and whether a value will
// end. The rows are in the order of their text: equal dumps mean equal rows.
func DumpCorners(s *gocql.Session) (map[string][]string, error) {
	n, err := numberOf(s)
	if err != nil {
		return nil, err
	}
	dump := make(map[string][]string)
	for _, c := range corners(n) {
		for name, query := range c.dump {
			if dump[name], err = readCorner(s, query); err != nil {
				return nil, fmt.Errorf("dump %s: %w", name, err)
			}
		}
	}
	return dump, nil
}

func readCorner(s *gocql.Session, query string) (rows []string, err error) {
	var text string
	all := s.Query(query).PageSize(500).Iter()
	for all.Scan(&text) {
		row, err := cornerRow(text)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows, all.Close()
}

// cornerRow gives a row of JSON in one form for all releases. Of how long a value
// will live it keeps that it ends.
func cornerRow(text string) (string, error) {
	row := make(map[string]any)
	in := json.NewDecoder(strings.NewReader(text))
	in.UseNumber() // a counter is longer than a float64 can say
	if err := in.Decode(&row); err != nil {
		return "", fmt.Errorf("row %.100q: %w", text, err)
	}
	for name, value := range row {
		if strings.HasPrefix(name, "ttl(") {
			row[name] = value != nil
		}
	}
	out, err := json.Marshal(row)
	if len(out) > cornerLong {
		return fmt.Sprintf("%s... %x", out[:cornerLong], sha256.Sum256(out)), err
	}
	return string(out), err
}

// EmptyCorners takes all rows away.
func EmptyCorners(s *gocql.Session) error {
	n, err := numberOf(s)
	if err != nil {
		return err
	}
	var all []string
	for _, c := range corners(n) {
		all = append(all, "TRUNCATE corners."+c.name)
	}
	return execAll(s, all)
}
