package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

// NodeContent, a part of cbk.show/1, is what only a reader's key opens of a node.
type NodeContent struct {
	Version   string              `json:"cassandra_version"`
	DC        string              `json:"dc"`
	Rack      string              `json:"rack"`
	Tokens    int                 `json:"tokens"`
	Way       string              `json:"way"` // to the files: snapshot, existing or offline
	Selection *snapshot.Selection `json:"selection"`
	snapshot.Found
	SchemaAbsent string           `json:"schema_absent,omitempty"`
	RolesAbsent  string           `json:"roles_absent,omitempty"`
	CommitLog    int64            `json:"commit_log_bytes,omitempty"`
	Config       []string         `json:"config"`
	Tables       []shownTableJSON `json:"tables"`
}

func openedContent(c *cli.Context, s *session, e *snapshot.Entry) (*NodeContent, error) {
	snap, err := snapshot.Open(c.Context, s.repo, e)
	if err != nil {
		return nil, err
	}
	n := &snap.Node
	return &NodeContent{Version: n.Version, DC: n.DC, Rack: n.Rack, Tokens: len(n.Tokens), Way: n.Way, Selection: n.Selection, Found: n.Found,
		SchemaAbsent: n.SchemaAbsent, RolesAbsent: n.RolesAbsent, CommitLog: n.CommitLog, Config: textNames(n.Config),
		Tables: shownTables(n.Tables)}, snap.Close()
}

type shownTableJSON struct {
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	ID       string `json:"id"`
	snapshot.Cost
}

func shownTables(tables []snapshot.Table) []shownTableJSON {
	out := make([]shownTableJSON, len(tables))
	for i, t := range tables {
		out[i] = shownTableJSON{Keyspace: t.Keyspace, Table: t.Name, ID: t.ID, Cost: t.Cost}
	}
	return out
}

func printContent(w io.Writer, n *shownJSON) error {
	_, err := fmt.Fprintf(w, "\nnode %s (%s), Cassandra %s, %s/%s, %s, %s to %s\n", n.Name, n.HostID, n.Version, n.DC, n.Rack,
		plural(n.Tokens, "token"), n.Started, n.Finished)
	printState(w, n.NodeContent)
	t := newTable(w, 2, "table", "sstables", "files", "unchanged", "source", "new", "stored")
	empty := 0
	for _, row := range n.Tables {
		if row.SSTables == 0 {
			empty++
			continue
		}
		t.AppendRow([]any{row.Keyspace + "." + row.Table, row.SSTables, row.Files, row.Unchanged, size(row.BytesSource),
			size(row.BytesNew), size(row.BytesStored)})
	}
	t.Render()
	if empty > 0 {
		_, failed := fmt.Fprintf(w, "and %s without SSTables\n", plural(empty, "table"))
		err = errors.Join(err, failed)
	}
	return err
}
