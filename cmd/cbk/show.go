package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

func nodeFlag() cli.Flag {
	return &cli.StringFlag{Name: "node", Usage: "name or host id of the `NODE`, where the backup has several"}
}

// withSnapshots opens each node snapshot of the backup named on the command line that --node chooses.
func withSnapshots(c *cli.Context, fn func(*session, *snapshot.Backup, *snapshot.Snapshot) error) (err error) {
	name, err := one(c, "backup name")
	if err != nil {
		return err
	}
	s, err := openContent(c)
	if err != nil {
		return err
	}
	defer s.close(&err)
	b, err := snapshot.Find(c.Context, s.repo, name, c.String("cluster"))
	if err != nil {
		return err
	}
	chosen := b.Nodes
	if c.String("node") != "" {
		e, err := b.Pick(c.String("node"))
		if err != nil {
			return err
		}
		chosen = []snapshot.Entry{*e}
	}
	for i := range chosen {
		snap, err := snapshot.Open(c.Context, s.repo, &chosen[i])
		if err != nil {
			return err
		}
		if err := errors.Join(fn(s, b, snap), snap.Close()); err != nil {
			return err
		}
	}
	return nil
}

func showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show a backup table by table", ArgsUsage: "BACKUP",
		Flags: commonFlags(append(textFlags(), nodeFlag(), &cli.BoolFlag{Name: "sstables", Usage: "list the SSTables, with tokens and times"})...),
		Action: func(c *cli.Context) error {
			if textAsked(c) {
				return showText(c)
			}
			if c.Bool("sstables") {
				return showSSTables(c)
			}
			doc := showJSON{Schema: "cbk.show/1"}
			err := withSnapshots(c, func(_ *session, b *snapshot.Backup, snap *snapshot.Snapshot) error {
				doc.listedJSON = listed(b)
				doc.Nodes = append(doc.Nodes, shownJSON{Name: snap.Entry.Catalogue.Node, HostID: snap.HostID,
					Started: clock(snap.Started), Finished: clock(snap.Finished), Version: snap.Node.Version, DC: snap.Node.DC,
					Rack: snap.Node.Rack, Tokens: len(snap.Node.Tokens), Way: snap.Node.Way, Selection: snap.Node.Selection, Found: snap.Node.Found,
					SchemaAbsent: snap.Node.SchemaAbsent, RolesAbsent: snap.Node.RolesAbsent, CommitLog: snap.Node.CommitLog,
					Config: textNames(snap.Node.Config), Tables: shownTables(snap.Node.Tables)})
				return nil
			})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return printShow(c.App.Writer, &doc)
		},
	}
}

// showJSON is cbk.show/1.
type showJSON struct {
	Schema string `json:"schema"`
	listedJSON
	Nodes []shownJSON `json:"nodes"`
}

type shownJSON struct {
	Name      string              `json:"name"`
	HostID    string              `json:"host_id"`
	Started   string              `json:"started"`
	Finished  string              `json:"finished"`
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

func printShow(w io.Writer, doc *showJSON) error {
	fmt.Fprintf(w, "backup %s of cluster %s, %s, %d of %d nodes\n", doc.Name, doc.Cluster, doc.Mode, doc.NodesDone, doc.NodesTotal)
	for _, n := range doc.Nodes {
		fmt.Fprintf(w, "\nnode %s (%s), Cassandra %s, %s/%s, %s, %s to %s\n", n.Name, n.HostID, n.Version, n.DC, n.Rack,
			plural(n.Tokens, "token"), n.Started, n.Finished)
		printState(w, &n)
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
			fmt.Fprintf(w, "and %s without SSTables\n", plural(empty, "table"))
		}
	}
	return nil
}

func filesCommand() *cli.Command {
	return &cli.Command{
		Name: "files", Usage: "list the components of a backup with sizes and hashes", ArgsUsage: "BACKUP", Flags: commonFlags(nodeFlag()),
		Action: func(c *cli.Context) error {
			if !c.Bool("json") {
				return eachFile(c, func(f fileJSON) error {
					_, err := fmt.Fprintf(c.App.Writer, "%s  %12d  %s\n", f.SHA256, f.Size, f.Path)
					return err
				})
			}
			return filesDocument(c)
		},
	}
}

// fileJSON is one entry of cbk.files/1. Path is relative to a data directory.
type fileJSON struct {
	Node     string `json:"node"`
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`
	MD5      string `json:"md5,omitempty"` // where the backup was asked for it
}

func eachFile(c *cli.Context, fn func(fileJSON) error) error {
	return withSnapshots(c, func(_ *session, _ *snapshot.Backup, snap *snapshot.Snapshot) error {
		for i := range snap.Node.Tables {
			t := &snap.Node.Tables[i]
			err := snap.SSTables(c.Context, t, func(s *snapshot.SSTable) error {
				for j := range s.Components {
					k := &s.Components[j]
					if err := fn(fileJSON{Node: snap.Entry.Catalogue.Node, Keyspace: t.Keyspace, Table: t.Name,
						Path: t.Dir + "/" + s.File(k), Size: k.Size, SHA256: k.Hash.String(), MD5: hex.EncodeToString(k.MD5)}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// filesDocument writes the document piece by piece: a node has hundreds of thousands of files.
func filesDocument(c *cli.Context) error {
	w := c.App.Writer
	separator := `{"schema":"cbk.files/1","files":[`
	err := eachFile(c, func(f fileJSON) error {
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		separator = ","
		return printJSON(w, f)
	})
	if err != nil {
		return err
	}
	if separator != "," {
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "]}\n")
	return err
}
