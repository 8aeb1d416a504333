package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "verify the repository and every backup in it",
		Flags: commonFlags(&cli.BoolFlag{Name: "read-data", Usage: "read and authenticate every byte, rebuild and compare every component"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			rep, err := check(c)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, checkDocument(rep))
			} else {
				err = printCheck(c.App.Writer, rep, c.Bool("read-data"))
			}
			if err == nil && !rep.OK() {
				err = quiet{exitDamage}
			}
			return err
		},
	}
}

// check runs the check; damage that keeps the repository from being opened is part of the report too.
func check(c *cli.Context) (rep *snapshot.Report, err error) {
	s, err := open(c, true)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		return &snapshot.Report{Damage: []snapshot.Damage{{Object: damage.Object, What: damage.What, Hits: []snapshot.Hit{}}}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.close(&err)
	return snapshot.Check(c.Context, s.repo, c.Bool("read-data"))
}

// checkJSON is cbk.check/1.
type checkJSON struct {
	Schema    string            `json:"schema"`
	OK        bool              `json:"ok"`
	Objects   int               `json:"objects"`
	Blobs     int64             `json:"blobs"`
	BytesRead int64             `json:"bytes_read"`
	Readable  bool              `json:"readable"`
	Unseen    int               `json:"objects_unseen"`
	Void      []string          `json:"void"`
	Damage    []snapshot.Damage `json:"damage"`
}

func checkDocument(r *snapshot.Report) checkJSON {
	doc := checkJSON{Schema: "cbk.check/1", OK: r.OK(), Objects: r.Objects, Blobs: r.Blobs, BytesRead: r.BytesRead,
		Readable: r.Readable, Unseen: r.Unseen, Void: r.Void, Damage: r.Damage}
	if doc.Void == nil {
		doc.Void = []string{}
	}
	if doc.Damage == nil {
		doc.Damage = []snapshot.Damage{}
	}
	return doc
}

// shownHits is how many hits a person is shown for each damaged object; --json has more.
const shownHits = 10

func printCheck(w io.Writer, r *snapshot.Report, readData bool) error {
	depth := "structure only; --read-data reads every byte"
	switch {
	case readData && r.Readable:
		depth = size(r.BytesRead) + " read and authenticated"
	case readData:
		depth = size(r.BytesRead) + " compared with their names: unaltered; only a reader's key shows that they are readable"
	}
	fmt.Fprintf(w, "checked %d objects, %d blobs, %s (%s)\n", r.Objects, r.Blobs, plural(r.Backups, "node snapshot"), depth)
	if r.Strangers > 0 {
		fmt.Fprintf(w, "%s not of this repository: left alone\n", plural(r.Strangers, "object"))
	}
	if r.Unseen > 0 {
		fmt.Fprintf(w, "%s of nodes that this key cannot see: not checked\n", plural(r.Unseen, "object"))
	}
	for _, name := range r.Void {
		fmt.Fprintf(w, "no backup: %s was signed by a revoked key, after its last backup that counts\n", name)
	}
	if r.OK() {
		_, err := fmt.Fprintln(w, "no damage found")
		return err
	}
	for _, d := range r.Damage {
		fmt.Fprintf(w, "DAMAGED %s: %s\n", d.Object, d.What)
		for _, h := range d.Hits[:min(shownHits, len(d.Hits))] {
			fmt.Fprintf(w, "  hits %s\n", hitLine(&h))
		}
		if d.HitsTotal > shownHits {
			fmt.Fprintf(w, "  and %d more\n", d.HitsTotal-shownHits)
		}
		if d.HitsTotal == 0 {
			fmt.Fprintln(w, "  hits no component of any backup")
		}
	}
	return nil
}

func hitLine(h *snapshot.Hit) string {
	switch {
	case h.Backup == "":
		return "a backup whose name is lost with it"
	case h.Table == "":
		return fmt.Sprintf("backup %s, node %s: all of it", h.Backup, h.Node)
	case h.Component == "":
		return fmt.Sprintf("backup %s, node %s, table %s.%s: all of it", h.Backup, h.Node, h.Keyspace, h.Table)
	}
	return fmt.Sprintf("backup %s, node %s, table %s.%s: %s", h.Backup, h.Node, h.Keyspace, h.Table, h.Component)
}
