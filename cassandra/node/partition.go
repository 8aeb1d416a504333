package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gocql/gocql"
)

const (
	// countRows is how many rows a page has that are counted and not kept: of keys alone that is some 100 KiB, and a node
	// answers it in well below a second, where an aggregate over as many pages runs into the node's own timeout.
	countRows = 1000
	// maxFound is the most rows that [Node.Select] takes.
	maxFound = 100_000
)

// ErrTooManyRows is wrapped by the error of a query with more rows than asked for.
var ErrTooManyRows = errors.New("more rows than asked for")

// serialized binds bytes as they are: they are a value in its serialized form.
type serialized []byte

// MarshalCQL implements gocql.Marshaler.
func (s serialized) MarshalCQL(gocql.TypeInfo) ([]byte, error) { return s, nil }

// Partition counts the rows of a partition, up to limit, as a SELECT at a consistency level finds them ("QUORUM"; empty is
// LOCAL_ONE). The key is given by the names of its columns and their values in serialized form.
func (n *Node) Partition(ctx context.Context, keyspace, table string, columns []string, key [][]byte, level string, limit int) (int, error) {
	if len(columns) == 0 || len(columns) != len(key) || limit < 1 {
		return 0, fmt.Errorf("count a partition of %s.%s: %d columns, %d values, limit %d", keyspace, table, len(columns), len(key), limit)
	}
	var where []string
	var values []any
	for i, c := range columns {
		where = append(where, quote(c)+" = ?")
		values = append(values, serialized(key[i]))
	}
	stmt := fmt.Sprintf("SELECT %s FROM %s.%s WHERE %s LIMIT %d", quote(columns[0]), quote(keyspace), quote(table), strings.Join(where, " AND "), limit)
	found, err := n.countAt(ctx, level, stmt, values...)
	if err != nil {
		return 0, fmt.Errorf("count a partition of %s.%s: %w", keyspace, table, err)
	}
	return int(found), nil
}

// CountRows counts all rows of a table at a consistency level, page by page, so that no query takes long. It is told one
// column of the partition key.
func (n *Node) CountRows(ctx context.Context, keyspace, table, column, level string) (int64, error) {
	found, err := n.countAt(ctx, level, fmt.Sprintf("SELECT %s FROM %s.%s", quote(column), quote(keyspace), quote(table)))
	if err != nil {
		return 0, fmt.Errorf("count the rows of %s.%s: %w", keyspace, table, err)
	}
	return found, nil
}

// CheckLevel tells whether a consistency level has a name that Cassandra knows.
func CheckLevel(level string) error {
	_, err := parseLevel(level)
	return err
}

func parseLevel(level string) (gocql.Consistency, error) {
	if level == "" {
		return gocql.LocalOne, nil
	}
	at, err := gocql.ParseConsistencyWrapper(level)
	if err != nil {
		return 0, fmt.Errorf("no consistency level is called %q", level)
	}
	return at, nil
}

// quote makes a name what CQL takes it for as it is.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (n *Node) countAt(ctx context.Context, level, stmt string, args ...any) (found int64, err error) {
	err = n.queryAt(ctx, level, countRows, func([]gocql.ColumnInfo, []any) error { found++; return nil }, stmt, args...)
	return found, err
}

// queryAt is query at a consistency level, with a size of pages of its own, and with rows as texts: the scanner of the driver
// does not know tuples.
func (n *Node) queryAt(ctx context.Context, level string, page int, row func([]gocql.ColumnInfo, []any) error, stmt string, args ...any) error {
	at, err := parseLevel(level)
	if err != nil {
		return err
	}
	s, err := n.session(ctx)
	if err != nil {
		return err
	}
	i := s.Query(stmt, args...).WithContext(ctx).Consistency(at).PageSize(page).Iter()
	texts := textsFor(i.Columns())
	for i.Scan(texts...) {
		if err := row(i.Columns(), texts); err != nil {
			return errors.Join(err, i.Close())
		}
	}
	err = i.Close()
	var answered gocql.RequestError
	if err != nil && !errors.As(err, &answered) {
		n.drop()
	}
	return err
}

// Select runs a query at a consistency level and returns its rows as text: null, numbers, UUIDs and texts as they are,
// times as in RFC 3339, UTC, blobs as 0x..., [lists], {sets}, {maps: of values}, (tuples) and {user types: by field}, with
// texts and times in quotes inside of these. More than limit rows are [ErrTooManyRows], with the first of them.
func (n *Node) Select(ctx context.Context, query, level string, limit int) ([][]string, error) {
	if limit = min(limit, maxFound); limit < 0 {
		limit = 0
	}
	if words := strings.Fields(query); len(words) == 0 || !strings.EqualFold(words[0], "SELECT") {
		return nil, errors.New("only a SELECT is run")
	}
	var all [][]string
	err := n.queryAt(ctx, level, pageRows, func(columns []gocql.ColumnInfo, texts []any) error {
		if len(all) == limit {
			return fmt.Errorf("%w: %d", ErrTooManyRows, limit)
		}
		all = append(all, rowText(columns, texts))
		return nil
	}, query)
	return all, err
}
