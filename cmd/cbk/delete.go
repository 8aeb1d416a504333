package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
		Flags: commonFlags(dryRunFlag(), yesFlag(), clusterFlag(), hostFlag()),
		Action: func(c *cli.Context) (err error) {
			if err := deletable(c.Args().Slice()); err != nil {
				return err
			}
			s, err := open(c, c.Bool("dry-run"))
			if err != nil {
				return err
			}
			defer s.close(&err)
			return s.delete(c)
		},
	}
}

func hostFlag() cli.Flag {
	return &cli.StringFlag{Name: "host-id", Usage: "only backups of the ring of the host `ID`, where clusters share a label"}
}

// relative are names that mean another backup from day to day: too little to delete one by.
var relative = []string{"latest", "latest-complete", "oldest"}

// deletable refuses names by which nothing is deleted.
func deletable(names []string) error {
	if len(names) == 0 {
		return usageError("delete takes the names of backups")
	}
	for _, name := range names {
		if slices.Contains(relative, name) {
			return usageError("%q may mean another backup by the time it is deleted: give its own name", name)
		}
	}
	return nil
}

func (s *session) delete(c *cli.Context) error {
	var damaged []*repo.DamageError
	all, err := snapshot.List(c.Context, s.repo, func(d *repo.DamageError) { damaged = append(damaged, d) })
	if err != nil {
		return err
	}
	gone, left, err := split(all, c.Args().Slice(), c.String("cluster"), c.String("host-id"))
	if err == nil {
		err = s.held(c, dated(gone))
	}
	if err == nil {
		err = s.unlocked(c, dated(gone))
	}
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		printDeletion(c.App.Writer, gone, left)
	}
	doc := deleteJSON{Schema: "cbk.delete/1", DryRun: true, Deleted: names(gone), Left: names(left),
		BytesPut: put(dated(gone)), Stays: stays(dated(left))}
	if !c.Bool("dry-run") {
		if err := confirm(c, c.App.ErrWriter, "this deletes backups"); err != nil {
			return err
		}
		records, err := s.remove(c, dated(gone))
		if doc.AuditHead = s.audit(c, doc, err, records...); err != nil {
			return err
		}
		doc.DryRun = false
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, doc)
	}
	return errors.Join(err, unread(damaged))
}

// unread tells that there may be more than was seen.
func unread(damaged []*repo.DamageError) error {
	if len(damaged) == 0 {
		return nil
	}
	return fmt.Errorf("there may be more backups, or nodes of these, than could be read: %w", damaged[0])
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "print the plan and do nothing"}
}

func yesFlag() cli.Flag { return &cli.BoolFlag{Name: "yes", Usage: "do not ask"} }

// deleteJSON is cbk.delete/1.
type deleteJSON struct {
	Schema   string     `json:"schema"`
	DryRun   bool       `json:"dry_run"`
	Deleted  []string   `json:"deleted"`
	Left     []string   `json:"left"`
	BytesPut int64      `json:"bytes_put"` // by the backups deleted, when they were made
	Stays    []stayJSON `json:"stays"`     // of the clusters there were

	AuditHead string `json:"audit_head,omitempty"`
}

// split finds the backups named. One unknown name, and nothing is done: names are exact, so that b1 is never b10.
func split(all []snapshot.Backup, wanted []string, cluster, host string) (gone, left []snapshot.Backup, err error) {
	found := make(map[string]int)
	for i := range all {
		for _, b := range all[i].Rings() {
			if !slices.Contains(wanted, b.Name) || cluster != "" && b.Cluster != cluster || host != "" && !b.Has(host) {
				left = append(left, b)
				continue
			}
			gone = append(gone, b)
			found[b.Name]++
		}
	}
	for _, name := range wanted {
		switch {
		case found[name] == 0:
			return nil, nil, fmt.Errorf("%w: %q; nothing was deleted%s", snapshot.ErrNotFound, name, near(name, names(all)))
		case found[name] > 1:
			return nil, nil, usageError("%q names %d backups, of several clusters or of rings that share no host: choose one by --cluster or --host-id; nothing was deleted", name, found[name])
		}
	}
	return gone, left, nil
}

// remove deletes backups, node by node, unless one is held by then, and returns the deletion records, which say why.
func (s *session) remove(c *cli.Context, gone []snapshot.Verdict) (records []string, err error) {
	if err := s.held(c, gone); err != nil {
		return nil, err
	}
	for i := range gone {
		record, err := reason(c.Command.Name, gone[i].Why)
		if err != nil {
			return records, err
		}
		for _, e := range gone[i].RemovalOrder() {
			if err := s.repo.Delete(c.Context, e.Root, record); err != nil {
				return records, fmt.Errorf("delete %s of node %s: %w", gone[i].Name, e.Node, err)
			}
			records = append(records, repo.DeletionRecord(e.Root))
		}
	}
	return records, nil
}

// heldError refuses to remove what somebody holds.
type heldError struct{ backup, why string }

// Error says who.
func (e *heldError) Error() string {
	return fmt.Sprintf("%s stays, and nothing was deleted: %s", e.backup, e.why)
}

// held refuses when one of the backups is held.
func (s *session) held(c *cli.Context, gone []snapshot.Verdict) error {
	holds, err := snapshot.Holds(c.Context, s.repo)
	if err != nil {
		return err
	}
	for i := range gone {
		for j := range holds {
			if holds[j].Holds(&gone[i].Backup, time.Now()) {
				return &heldError{gone[i].Name, holds[j].Why()}
			}
		}
	}
	return nil
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
	printStays(w, dated(gone), dated(left))
	printPut(w, put(dated(gone)))
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
