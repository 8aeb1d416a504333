package main

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/pack"
	"cbk/repo"
	"cbk/snapshot"
)

func holdCommand() *cli.Command {
	return &cli.Command{
		Name: "hold", Usage: "keep backups from being deleted, whatever the policy says",
		Subcommands: []*cli.Command{holdAddCommand(), holdRemoveCommand(), holdListCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command hold %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "`TEXT` that says why; required"}
}

func holdAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "hold a backup", ArgsUsage: "BACKUP", Flags: commonFlags(reasonFlag(), clusterFlag()),
		Action: func(c *cli.Context) (err error) {
			name, s, by, err := openHolds(c, "backup name")
			if err != nil {
				return err
			}
			defer s.close(&err)
			b, err := s.exact(c, name)
			if err != nil {
				return err
			}
			h, err := snapshot.AddHold(c.Context, s.repo, snapshot.Hold{Kind: snapshot.HoldLegal, Backup: b.Name, Cluster: b.Cluster,
				Reason: c.String("reason"), By: by, Added: time.Now()})
			var made []string
			if err == nil {
				made = []string{holdName(h.ID)}
			}
			head := s.audit(c, nil, err, made...)
			if err != nil {
				return err
			}
			// Whoever deleted it at the same moment did not see the hold.
			if _, err := s.exact(c, name); err != nil {
				return fmt.Errorf("%s was deleted while it was being held: %w", name, err)
			}
			return printHolds(c, []snapshot.Hold{h}, head, fmt.Sprintf("%s of cluster %s is held: %s\n", b.Name, b.Cluster, h.Short()))
		},
	}
}

// openHolds is what add and remove begin with.
func openHolds(c *cli.Context, what string) (arg string, s *session, by string, err error) {
	if arg, err = one(c, what); err != nil {
		return "", nil, "", err
	}
	if err := snapshot.CheckReason(c.String("reason")); err != nil {
		return "", nil, "", usageError("--reason: %w", err)
	}
	name, host, err := who()
	if err != nil {
		return "", nil, "", err
	}
	s, err = open(c, false)
	return arg, s, name + "@" + host, err
}

// exact finds the backup of a name, of the cluster that --cluster may name.
func (s *session) exact(c *cli.Context, name string) (*snapshot.Backup, error) {
	var damaged []*repo.DamageError
	all, err := snapshot.List(c.Context, s.repo, func(d *repo.DamageError) { damaged = append(damaged, d) })
	if err != nil {
		return nil, err
	}
	var found []*snapshot.Backup
	for i := range all {
		if b := &all[i]; b.Name == name && (c.String("cluster") == "" || b.Cluster == c.String("cluster")) {
			found = append(found, b)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, usageError("%q names backups of %d clusters: choose one by --cluster", name, len(found))
	case len(damaged) > 0:
		return nil, fmt.Errorf("%w: %q, but not every backup can be read: %w", snapshot.ErrNotFound, name, damaged[0])
	}
	return nil, fmt.Errorf("%w: %q%s", snapshot.ErrNotFound, name, near(name, names(all)))
}

func holdRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "end a hold, named by its id or by its backup", ArgsUsage: "HOLD", Flags: commonFlags(reasonFlag(), clusterFlag()),
		Action: func(c *cli.Context) (err error) {
			name, s, by, err := openHolds(c, "hold")
			if err != nil {
				return err
			}
			defer s.close(&err)
			holds, err := snapshot.Holds(c.Context, s.repo)
			if err != nil {
				return err
			}
			h, err := snapshot.FindHold(holds, name, c.String("cluster"), time.Now())
			if err != nil {
				return err
			}
			err = snapshot.RemoveHold(c.Context, s.repo, h, snapshot.Removal{Reason: c.String("reason"), By: by, At: time.Now()})
			var made []string
			if err == nil {
				made = []string{holdName(h.Removed.ID)}
			}
			head := s.audit(c, nil, err, made...)
			if err != nil {
				return err
			}
			return printHolds(c, []snapshot.Hold{*h}, head, fmt.Sprintf("hold %s of %s is removed\n", h.Short(), h.Backup))
		},
	}
}

func holdListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the holds", Flags: commonFlags(&cli.BoolFlag{Name: "all", Usage: "those that have ended too"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, true)
			if err != nil {
				return err
			}
			defer s.close(&err)
			holds, err := snapshot.Holds(c.Context, s.repo)
			if err != nil {
				return err
			}
			var shown []snapshot.Hold
			for _, h := range holds {
				if c.Bool("all") || h.Active(time.Now()) {
					shown = append(shown, h)
				}
			}
			return printHolds(c, shown, "", "")
		},
	}
}

// holdsJSON is cbk.hold/1, of every command on holds.
type holdsJSON struct {
	Schema    string     `json:"schema"`
	Holds     []holdJSON `json:"holds"`
	AuditHead string     `json:"audit_head,omitempty"`
}

type holdJSON struct {
	Hold    string       `json:"hold"`
	Kind    string       `json:"kind"`
	Backup  string       `json:"backup"`
	Cluster string       `json:"cluster"`
	Reason  string       `json:"reason"`
	By      string       `json:"by"`
	Key     string       `json:"key"`
	Added   string       `json:"added"`
	Expires *string      `json:"expires"`
	Active  bool         `json:"active"`
	Removed *removedJSON `json:"removed"`
}

type removedJSON struct {
	Reason string `json:"reason"`
	By     string `json:"by"`
	Key    string `json:"key"`
	At     string `json:"at"`
}

// holdName is the object of a hold, or of the end of one.
func holdName(id pack.ID) string { return string(repo.HoldRecord) + "/" + id.String() }

func holdsDocument(holds []snapshot.Hold, head string) holdsJSON {
	doc := holdsJSON{Schema: "cbk.hold/1", Holds: []holdJSON{}, AuditHead: head}
	for i := range holds {
		h := &holds[i]
		out := holdJSON{Hold: h.ID.String(), Kind: h.Kind, Backup: h.Backup, Cluster: h.Cluster, Reason: h.Reason, By: h.By,
			Key: h.Key, Added: clock(h.Added), Active: h.Active(time.Now())}
		if !h.Expires.IsZero() {
			end := clock(h.Expires)
			out.Expires = &end
		}
		if h.Removed != nil {
			out.Removed = &removedJSON{h.Removed.Reason, h.Removed.By, h.Removed.Key, clock(h.Removed.At)}
		}
		doc.Holds = append(doc.Holds, out)
	}
	return doc
}

// printHolds prints holds as JSON, or text where there is some, or a table.
func printHolds(c *cli.Context, holds []snapshot.Hold, head, text string) (err error) {
	w := c.App.Writer
	switch {
	case c.Bool("json"):
		return printJSON(w, holdsDocument(holds, head))
	case text == "" && len(holds) == 0:
		text = "no holds\n"
	case text == "":
		holdTable(w, holds)
		return nil
	}
	_, err = io.WriteString(w, text)
	return err
}

func holdTable(w io.Writer, holds []snapshot.Hold) {
	t := newTable(w, 8, "hold", "kind", "backup", "cluster", "since", "by", "reason")
	for i := range holds {
		h := &holds[i]
		why := h.Reason
		switch {
		case h.Removed != nil:
			why += fmt.Sprintf("; removed %s by %s: %s", clock(h.Removed.At), h.Removed.By, h.Removed.Reason)
		case !h.Expires.IsZero():
			why += "; until " + clock(h.Expires)
		}
		t.AppendRow([]any{h.Short(), h.Kind, h.Backup, h.Cluster, clock(h.Added), h.By, why})
	}
	t.Render()
}
