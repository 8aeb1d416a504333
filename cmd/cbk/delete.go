package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"cbk/repo"
	"cbk/snapshot"
)

func deleteCommand() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "delete backups by their exact names; gc brings the space back", ArgsUsage: "BACKUP...",
		Flags: commonFlags(dryRunFlag(), yesFlag()),
		Action: func(c *cli.Context) (err error) {
			if c.NArg() == 0 {
				return usageError("delete takes the names of backups")
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			all, err := snapshot.List(c.Context, s.repo, func(*repo.DamageError) {})
			if err != nil {
				return err
			}
			gone, left, err := split(all, c.Args().Slice())
			if err != nil {
				return err
			}
			if !c.Bool("json") {
				printDeletion(c.App.Writer, gone, left)
			}
			doc := deleteJSON{Schema: "cbk.delete/1", DryRun: true, Deleted: names(gone), Left: names(left)}
			if !c.Bool("dry-run") {
				if err := confirm(c, c.App.ErrWriter, "this deletes backups"); err != nil {
					return err
				}
				records, err := remove(c, s, gone)
				doc.AuditHead = s.audit(c, doc, err, records...)
				if err != nil {
					return err
				}
				doc.DryRun = false
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return nil
		},
	}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "print the plan and do nothing"}
}

func yesFlag() cli.Flag { return &cli.BoolFlag{Name: "yes", Usage: "do not ask"} }

// deleteJSON is cbk.delete/1.
type deleteJSON struct {
	Schema  string   `json:"schema"`
	DryRun  bool     `json:"dry_run"`
	Deleted []string `json:"deleted"`
	Left    []string `json:"left"`

	AuditHead string `json:"audit_head,omitempty"`
}

// split finds the backups named. One unknown name, and nothing is done: names are exact, so that b1 is never b10.
func split(all []snapshot.Backup, wanted []string) (gone, left []snapshot.Backup, err error) {
	found := make(map[string]int)
	for _, b := range all {
		hit := false
		for _, name := range wanted {
			hit = hit || b.Name == name
		}
		if !hit {
			left = append(left, b)
			continue
		}
		gone = append(gone, b)
		found[b.Name]++
	}
	for _, name := range wanted {
		switch {
		case found[name] == 0:
			return nil, nil, fmt.Errorf("%w: %q; nothing was deleted", snapshot.ErrNotFound, name)
		case found[name] > 1:
			return nil, nil, usageError("%q names backups of %d clusters; nothing was deleted", name, found[name])
		}
	}
	return gone, left, nil
}

// remove returns the deletion records that it made.
func remove(c *cli.Context, s *session, gone []snapshot.Backup) (records []string, err error) {
	why, err := reason()
	if err != nil {
		return nil, err
	}
	for _, b := range gone {
		for _, e := range b.Nodes {
			if err := s.repo.Delete(c.Context, e.Root, why); err != nil {
				return records, fmt.Errorf("delete %s of node %s: %w", b.Name, e.Node, err)
			}
			records = append(records, repo.DeletionRecord(e.Root))
		}
	}
	return records, nil
}

// reason is what the deletion record keeps: who removed the backup, and when.
func reason() ([]byte, error) {
	who := "unknown"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("deletion record: %w", err)
	}
	return json.Marshal(map[string]string{"by": who, "host": host, "at": clock(time.Now()), "command": "delete"})
}

func names(backups []snapshot.Backup) []string {
	out := make([]string, len(backups))
	for i := range backups {
		out[i] = backups[i].Name
	}
	return out
}

func printDeletion(w io.Writer, gone, left []snapshot.Backup) {
	for i := range gone {
		fmt.Fprintf(w, "delete %s of cluster %s, %s, %s\n", gone[i].Name, gone[i].Cluster, clock(gone[i].Started()), nodes(&gone[i]))
	}
	complete := 0
	for i := range left {
		if left[i].Complete() {
			complete++
		}
	}
	fmt.Fprintf(w, "%s left, %d of them complete", plural(len(left), "backup"), complete)
	if len(left) > 0 {
		fmt.Fprintf(w, ": from %s (%s) to %s (%s)", left[0].Name, clock(left[0].Started()), left[len(left)-1].Name, clock(left[len(left)-1].Started()))
	}
	fmt.Fprintln(w, "\nthe space comes back with cbk gc")
}

// confirm asks on a terminal; without one, --yes must have been given.
func confirm(c *cli.Context, out io.Writer, what string) error {
	if c.Bool("yes") {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usageError("%s: add --yes to do it without a terminal", what)
	}
	fmt.Fprint(out, "Type yes to go on: ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return usageError("not confirmed, nothing was done")
	}
	return nil
}
