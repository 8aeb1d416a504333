package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func readDataFlag() cli.Flag {
	return &cli.BoolFlag{Name: "read-data", Usage: "look for damage by reading every byte, not only by names and sizes"}
}

func repairSourceCommand() *cli.Command {
	return &cli.Command{
		Name: "from-source", Usage: "ask the nodes for what the repository has lost: their next backup puts back what they still have",
		Flags: commonFlags(readDataFlag(), dryRunFlag()),
		Action: func(c *cli.Context) error {
			right := func(r *repo.Repo) error { return r.MustRecord("ask for what was lost") }
			return checkFirst(c, right, func(s *session, rep *snapshot.Report) error { return s.askSource(c, rep) })
		},
	}
}

func (s *session) askSource(c *cli.Context, rep *snapshot.Report) (err error) {
	doc := repairSourceJSON{Schema: "cbk.repair-from-source/1", DryRun: c.Bool("dry-run"), Level: rep.Level}
	if !doc.DryRun {
		err = snapshot.Want(c.Context, s.repo, rep)
		doc.AuditHead = s.audit(c, nil, err, wantedRecords(rep)...)
	}
	doc.Wanted, doc.Hurt = list(rep.Wanted), list(rep.Hurt)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, doc)
	}
	return doc.print(c)
}

func wantedRecords(rep *snapshot.Report) (names []string) {
	for _, w := range rep.Wanted {
		names = append(names, w.Records...)
	}
	return names
}

// repairSourceJSON is cbk.repair-from-source/1.
type repairSourceJSON struct {
	Schema    string                `json:"schema"`
	DryRun    bool                  `json:"dry_run"`
	Level     string                `json:"level"`
	Wanted    []snapshot.WantedBack `json:"wanted"`
	Hurt      []snapshot.HurtBackup `json:"backups_hit"` // what waits for it
	AuditHead string                `json:"audit_head,omitempty"`
}

func (d *repairSourceJSON) print(c *cli.Context) error {
	w := c.App.Writer
	if len(d.Wanted) == 0 {
		_, err := fmt.Fprintf(w, "nothing to ask for (%s)\n", d.Level)
		return err
	}
	for _, b := range d.Wanted {
		state := "asked for before"
		switch {
		case d.DryRun:
			state = "dry run, not asked for"
		case len(b.Records) > 0:
			state = "asked for now"
		}
		fmt.Fprintf(w, "run cbk backup on %s: what %s and %s of others held, %s\n", nodesOf(&b), plural(b.Packs, "damaged pack"), plural(b.Blobs, "blob"), state)
	}
	for i := range d.Hurt {
		fmt.Fprint(w, "waiting: ")
		printHurt(w, &d.Hurt[i])
	}
	_, err := fmt.Fprintln(w, "what the SSTables on the node still hold comes back with its next backup, to these backups too; cbk check tells what does not")
	return err
}

// nodesOf names the nodes that back up into a domain.
func nodesOf(b *snapshot.WantedBack) string {
	if len(b.Nodes) == 0 {
		return b.Domain
	}
	return fmt.Sprintf("%s (%s)", joined(b.Nodes), b.Domain)
}
