package main

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/snapshot"
)

// importFlags are those of restore --import.
func importFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "import", Usage: "have this node, which keeps running, take tables in beside what it has"},
		&cli.BoolFlag{Name: "truncate-first", Usage: "with --import: empty the tables before"},
		&cli.StringFlag{Name: "as-keyspace", Usage: "with --import: bring the one keyspace that is chosen back as `NAME`"},
	}
}

// restoreImport has the node take in tables.
func restoreImport(c *cli.Context, s *session, b *snapshot.Backup, snap *snapshot.Snapshot, only snapshot.Selection) error {
	o := restore.NewOrder(restore.Import, snap, only, time.Now())
	o.TruncateFirst, o.AsKeyspace = c.Bool("truncate-first"), c.String("as-keyspace")
	return s.restoreOnto(c, b, snap, o, nil, printImported)
}

func printImported(w io.Writer, p *restore.Plan, got *restore.Outcome) error {
	as := ""
	if p.AsKeyspace != "" {
		as = " as keyspace " + p.AsKeyspace
	}
	fmt.Fprintf(w, "imported %s%s: %s, %s, each compared with its hash on disk before\n", p.Backup, as, plural(got.Files, "file"), size(got.Bytes))
	for _, v := range p.Online.Built {
		fmt.Fprintf(w, "view %s is made, and Cassandra builds it from its base table: nodetool viewbuildstatus tells how far it is\n", v)
	}
	if got.Verified == nil {
		return nil
	}
	return got.Verified.Text(w)
}
