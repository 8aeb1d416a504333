package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func repairCommand() *cli.Command {
	return &cli.Command{
		Name: "repair", Usage: "bring back what can be brought back of a damaged repository",
		Subcommands: []*cli.Command{repairIndexCommand(), repairSourceCommand(), repairDropCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command repair %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// checkFirst runs then on what a check finds, for a key that has the right.
func checkFirst(c *cli.Context, right func(*repo.Repo) error, then func(*session, *snapshot.Report) error) (err error) {
	if err := none(c); err != nil {
		return err
	}
	s, err := open(c, c.Bool("dry-run"))
	if err != nil {
		return err
	}
	defer s.close(&err)
	if err := right(s.repo); err != nil {
		return err
	}
	rep, err := snapshot.Verify(c.Context, s.repo, snapshot.CheckOptions{ReadData: c.Bool("read-data"), Now: time.Now})
	if err != nil {
		return err
	}
	return then(s, rep)
}

func repairIndexCommand() *cli.Command {
	return &cli.Command{
		Name: "index", Usage: "make index shards that cannot be read anew, from the packs", Flags: commonFlags(dryRunFlag(), yesFlag()),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, c.Bool("dry-run"))
			if err != nil {
				return err
			}
			defer s.close(&err)
			if !c.Bool("dry-run") {
				if err := confirm(c, c.App.ErrWriter, "this removes index shards that cannot be read, after their packs have others"); err != nil {
					return err
				}
			}
			res, err := s.repo.RepairIndex(c.Context, repo.GCOptions{DryRun: c.Bool("dry-run"), Now: time.Now})
			if res == nil {
				return err
			}
			doc := repairIndexJSON{Schema: "cbk.repair-index/1", DryRun: c.Bool("dry-run"), Removed: append([]string{}, res.Removed...), Adopted: res.Adopted, Unreadable: res.Unreadable}
			if !doc.DryRun {
				doc.AuditHead = s.audit(c, nil, err)
			}
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return doc.print(c)
		},
	}
}

// repairIndexJSON is cbk.repair-index/1.
type repairIndexJSON struct {
	Schema     string   `json:"schema"`
	DryRun     bool     `json:"dry_run"`
	Removed    []string `json:"shards_removed"`   // that could not be read
	Adopted    int      `json:"packs_adopted"`    // that have a shard again
	Unreadable int      `json:"packs_unreadable"` // that no shard names and that do not tell what is in them
	AuditHead  string   `json:"audit_head,omitempty"`
}

func (d *repairIndexJSON) print(c *cli.Context) error {
	would := ""
	if d.DryRun {
		would = "dry run, nothing was changed: "
	}
	for _, name := range d.Removed {
		fmt.Fprintf(c.App.Writer, "cannot be read: %s\n", name)
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s%s removed, %s named again", would, plural(len(d.Removed), "shard"), plural(d.Adopted, "pack"))
	if err == nil && d.Unreadable > 0 {
		_, err = fmt.Fprintf(c.App.Writer, ", %s cannot be read; cbk check tells what that hits", plural(d.Unreadable, "pack"))
	}
	if err == nil {
		_, err = fmt.Fprintln(c.App.Writer)
	}
	return err
}
