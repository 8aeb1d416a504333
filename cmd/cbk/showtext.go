package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

// textFlags choose a text of a node instead of its tables.
func textFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "schema", Usage: "print the schema as CQL"},
		&cli.StringFlag{Name: "keyspace", Usage: "with --schema: only that of `KEYSPACE`"},
		&cli.BoolFlag{Name: "roles", Usage: "print the roles and what they may do as CQL"},
		&cli.StringFlag{Name: "file", Usage: "print the configuration `FILE` of the node, as cassandra.yaml"},
	}
}

func textAsked(c *cli.Context) bool {
	return c.Bool("schema") || c.Bool("roles") || c.String("file") != ""
}

// showText prints texts of one node.
func showText(c *cli.Context) error {
	printed := false
	return withSnapshots(c, func(_ *session, b *snapshot.Backup, snap *snapshot.Snapshot) error {
		if printed {
			return usageError("backup %q has %d nodes: choose one with --node", b.Name, len(b.Nodes))
		}
		printed = true
		list, err := chosenTexts(c, &snap.Node)
		if err != nil {
			return err
		}
		for i := range list {
			if err := snap.Text(c.Context, &list[i], c.App.Writer); err != nil {
				return err
			}
		}
		return nil
	})
}

// chosenTexts returns what the flags ask for.
func chosenTexts(c *cli.Context, n *snapshot.Node) (list []snapshot.Text, err error) {
	named := func(texts []snapshot.Text, name string) []snapshot.Text {
		return slices.DeleteFunc(slices.Clone(texts), func(t snapshot.Text) bool { return name != "" && t.Name != name })
	}
	what, absent := "", ""
	switch name := c.String("file"); {
	case c.Bool("schema"):
		what, absent = "schema "+c.String("keyspace"), n.SchemaAbsent
		list = named(n.Schema, c.String("keyspace"))
		if c.String("keyspace") == "" && absent == "" {
			return list, nil // of a node without user keyspaces it is empty
		}
	case c.Bool("roles"):
		what, absent = "roles", n.RolesAbsent
		if n.Roles != nil {
			list = []snapshot.Text{*n.Roles}
		}
	default:
		what, list = "file "+name, named(n.Config, name)
	}
	if len(list) > 0 {
		return list, nil
	}
	if absent != "" {
		absent = ": " + absent
	}
	return nil, fmt.Errorf("%w with a %s%s", snapshot.ErrNotFound, strings.TrimSpace(what), absent)
}

func textNames(texts []snapshot.Text) []string {
	names := []string{}
	for _, t := range texts {
		names = append(names, t.Name)
	}
	return names
}

// printState says how a node's files were come by, and what is not in.
func printState(w io.Writer, n *NodeContent) {
	if n.Way != snapshot.WaySnapshot {
		fmt.Fprintf(w, "way: %s\n", n.Way)
	}
	if s := n.Selection; s != nil {
		fmt.Fprintf(w, "chosen tables only: keyspaces %q, tables %q, without %q\n", s.Keyspaces, s.Tables, s.Exclude)
	}
	if len(n.Missing) > 0 {
		fmt.Fprintf(w, "MISSING: %s\n", strings.Join(n.Missing, ", "))
	}
	if n.CommitLog > 0 {
		fmt.Fprintf(w, "NOT in it: up to %s of commit log\n", size(n.CommitLog))
	}
	if n.SchemaAbsent != "" {
		fmt.Fprintf(w, "no schema: %s\n", n.SchemaAbsent)
	}
}

// sstableJSON is one entry of cbk.sstables/1, a document of a line each. Times are RFC 3339; what is not known is missing.
type sstableJSON struct {
	Schema       string   `json:"schema"`
	Node         string   `json:"node"`
	Keyspace     string   `json:"keyspace"`
	Table        string   `json:"table"`
	SSTable      string   `json:"sstable"`
	Rows         int64    `json:"rows,omitempty"`
	Partitions   int64    `json:"partitions,omitempty"`
	FirstToken   string   `json:"first_token,omitempty"`
	LastToken    string   `json:"last_token,omitempty"`
	MinTimestamp string   `json:"min_timestamp,omitempty"`
	MaxTimestamp string   `json:"max_timestamp,omitempty"`
	Level        int      `json:"level"`
	RepairedAt   int64    `json:"repaired_at"`
	Unknown      bool     `json:"statistics_absent,omitempty"` // nothing above is known
	Damage       []string `json:"damage,omitempty"`
}

// text is what a line says of the content.
func (s *sstableJSON) text() string {
	if s.Unknown {
		return "Statistics.db not read"
	}
	return fmt.Sprintf("%d rows, tokens %s to %s, written %s to %s, level %d", s.Rows, s.FirstToken, s.LastToken, s.MinTimestamp, s.MaxTimestamp, s.Level)
}

func shownSSTable(node string, t *snapshot.Table, s *snapshot.SSTable) sstableJSON {
	out := sstableJSON{Schema: "cbk.sstables/1", Node: node, Keyspace: t.Keyspace, Table: t.Name, SSTable: t.Dir + "/" + s.File(&snapshot.Component{}), Unknown: s.Stats == nil, Damage: s.Damage}
	if st := s.Stats; st != nil {
		out.Rows, out.Partitions, out.FirstToken, out.LastToken, out.Level, out.RepairedAt = st.Rows, st.Partitions, st.FirstToken, st.LastToken, st.Level, st.RepairedAt
		out.MinTimestamp, out.MaxTimestamp = clock(time.UnixMicro(st.MinTimestamp)), clock(time.UnixMicro(st.MaxTimestamp))
	}
	return out
}

// showSSTables lists SSTables as they are read: a node has tens of thousands.
func showSSTables(c *cli.Context) error {
	return withSnapshots(c, func(_ *session, _ *snapshot.Backup, snap *snapshot.Snapshot) error {
		for i := range snap.Node.Tables {
			t := &snap.Node.Tables[i]
			err := snap.SSTables(c.Context, t, func(s *snapshot.SSTable) error {
				one := shownSSTable(snap.Entry.Catalogue.Node, t, s)
				if c.Bool("json") {
					return printJSON(c.App.Writer, one)
				}
				_, err := fmt.Fprintf(c.App.Writer, "%s  %s%s\n", one.SSTable, one.text(), damageNote(one.Damage))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func damageNote(what []string) string {
	if len(what) == 0 {
		return ""
	}
	return "  DAMAGED: " + strings.Join(what, "; ")
}
