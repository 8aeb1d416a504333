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
	chosen, err := chosenNodes(c, b)
	if err != nil {
		return err
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

// chosenNodes are all nodes of a backup, or the one that --node names.
func chosenNodes(c *cli.Context, b *snapshot.Backup) ([]snapshot.Entry, error) {
	if c.String("node") == "" {
		return b.Nodes, nil
	}
	e, err := b.Pick(c.String("node"))
	if err != nil {
		return nil, err
	}
	return []snapshot.Entry{*e}, nil
}

func filesCommand() *cli.Command {
	return &cli.Command{
		Name: "files", Usage: "list the components of a backup with sizes and hashes", ArgsUsage: "BACKUP", Flags: commonFlags(nodeFlag(), clusterFlag()),
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
