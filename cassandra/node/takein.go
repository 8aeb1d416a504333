package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// changeTimeout bounds a statement that changes the schema or empties a table: Cassandra gives up on a truncation after a
// minute (truncate_request_timeout) and waits 10 s for the schema of others.
const changeTimeout = 2 * time.Minute

// failedImport is what nodetool import prints above the directories that were not taken in; not every release ends with
// another code than 0 then.
const failedImport = "Some directories failed to import"

// Import has a running node of 4.0 or later take in the SSTables in some directories, each of which holds components of
// that one table and nothing below. Cassandra verifies them first, moves them into the table's own directories under ids of
// their own, forgets their levels and that they were repaired, and builds the indexes of the table. Of a directory it takes
// all SSTables or none, and other files stay. A failure is a *CommandError where nodetool said so.
func (n *Node) Import(ctx context.Context, keyspace, table string, dirs ...string) error {
	if err := checkTable(keyspace, table); err != nil {
		return err
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("directory %q to import is not an absolute path", dir)
		}
	}
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, append([]string{"import", "--", keyspace, table}, dirs...)...)
	var failed *CommandError
	if errors.As(err, &failed) {
		out = failed.Output
	}
	if _, which, found := strings.Cut(out, failedImport); found {
		return fmt.Errorf("the node did not take the SSTables of %s.%s in, and its log says why: %s", keyspace, table, oneLine(failedImport+which))
	}
	return err
}

// Refresh has a running node open the SSTables that were put into a table's directories, which it does under ids of its own.
// It is the way of releases before 4.0. One that it cannot read may stop the node. A failure is a *CommandError.
func (n *Node) Refresh(ctx context.Context, keyspace, table string) error {
	if err := checkTable(keyspace, table); err != nil {
		return err
	}
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "refresh", "--", keyspace, table)
	return err
}

// Execute runs a statement that changes the schema and returns when all nodes that are up agree on it.
func (n *Node) Execute(ctx context.Context, statement string) error {
	s, err := n.connectFor(ctx, changeTimeout)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := scan(ctx, s, func(gocql.Scanner) error { return nil }, statement); err != nil {
		return fmt.Errorf("%s: %w", oneLine(statement), err)
	}
	if err := s.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("wait until the nodes agree on the schema: %w", err)
	}
	return nil
}

// TruncateTable empties a table on all nodes of the cluster, which must be up.
func (n *Node) TruncateTable(ctx context.Context, keyspace, table string) error {
	if err := checkTable(keyspace, table); err != nil {
		return err
	}
	return n.Execute(ctx, fmt.Sprintf(`TRUNCATE "%s"."%s"`, keyspace, table))
}

// RebuildIndexes has a running node build indexes of a table from its rows, and returns when they are. A failure is a
// *CommandError.
func (n *Node) RebuildIndexes(ctx context.Context, keyspace, table string, names ...string) error {
	if err := checkTable(keyspace, table); err != nil {
		return err
	}
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, append([]string{"rebuild_index", "--", keyspace, table}, names...)...)
	return err
}

func checkTable(keyspace, table string) error {
	if !tableName.MatchString(keyspace) || !tableName.MatchString(table) {
		return fmt.Errorf("%q.%q is not the name of a table", keyspace, table)
	}
	return nil
}
