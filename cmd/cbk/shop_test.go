package main

import (
	"errors"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
)

func (r *rig) cql(fn func(*gocql.Session) error) {
	r.t.Helper()
	s, err := r.node.Session()
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	if err := fn(s); err != nil {
		r.t.Fatal(err)
	}
}

// shop makes the example tables anew, with rows rows in each.
func (r *rig) shop(rows int) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error {
		if err := s.Query("DROP KEYSPACE IF EXISTS shop").Exec(); err != nil {
			return err
		}
		return errors.Join(cassandratest.CreateShop(s, 1), cassandratest.Fill(s, 1, 0, rows))
	})
}

// truncate empties every table of the shop.
func (r *rig) truncate() {
	r.t.Helper()
	r.cql(func(s *gocql.Session) (err error) {
		for _, table := range cassandratest.Tables() {
			err = errors.Join(err, s.Query("TRUNCATE shop."+table).Exec())
		}
		return err
	})
}

func (r *rig) dump() map[string][]string { return r.dumpAt(gocql.Quorum) }

// dumpAt reads every row of the shop from as many replicas as c says.
func (r *rig) dumpAt(c gocql.Consistency) map[string][]string {
	r.t.Helper()
	all := make(map[string][]string)
	r.cql(func(s *gocql.Session) error {
		s.SetConsistency(c)
		for _, table := range cassandratest.Tables() {
			rows, err := cassandratest.Dump(s, table)
			if err != nil {
				return err
			}
			all[table] = rows
		}
		return nil
	})
	return all
}
