package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/snapshot"
)

func acceptLostFlag() cli.Flag {
	return &cli.BoolFlag{Name: "accept-lost", Usage: "with --to: restore the rest of a backup of which parts are marked as lost"}
}

// lostError refuses to restore what is marked as lost.
type lostError struct {
	backup string
	names  []string
	node   bool // it was to come onto a node
}

// Error names the tables.
func (e *lostError) Error() string {
	text := fmt.Sprintf("nothing was restored: backup %s has lost parts of %s", e.backup, strings.Join(e.names[:min(shownHits, len(e.names))], ", "))
	if more := len(e.names) - shownHits; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if e.node {
		return text + "; a restore onto a node needs all that is chosen: choose other tables, or use --to DIR --accept-lost for the rest"
	}
	return text + "; --accept-lost restores the rest"
}

// refuseLost refuses a node snapshot where something of the chosen tables is marked as lost, unless the rest is asked for.
func refuseLost(c *cli.Context, e *snapshot.Entry, only *snapshot.Selection) error {
	whole := c.String("to") == ""
	if c.Bool("accept-lost") && whole {
		return usageError("--accept-lost goes with --to: a restore onto a node needs all that is chosen")
	}
	refused := &lostError{backup: e.Backup, node: whole}
	for _, l := range e.Losses {
		if l.Whole {
			refused.names = append(refused.names, "all tables")
		}
		if only.All() {
			refused.names = append(refused.names, l.Texts...)
		}
		for _, t := range l.Tables {
			if !only.Has(t.Keyspace, t.Table) {
				continue
			}
			refused.names = append(refused.names, t.Keyspace+"."+t.Table)
		}
	}
	if len(refused.names) == 0 || c.Bool("accept-lost") {
		return nil
	}
	slices.Sort(refused.names)
	refused.names = slices.Compact(refused.names)
	return refused
}

// acceptedError says that all that was not restored is marked as lost.
type acceptedError struct{ n int }

// Error says how much.
func (e *acceptedError) Error() string {
	return fmt.Sprintf("restored without %s that %s marked as lost", plural(e.n, "component"), map[bool]string{true: "is", false: "are"}[e.n == 1])
}

// accepted turns the refusal of components that are all marked as lost into what was asked for.
func accepted(e *snapshot.Entry, err error) error {
	var damaged *restore.DamagedError
	if !errors.As(err, &damaged) {
		return err
	}
	for _, r := range damaged.Refused {
		if !slices.ContainsFunc(e.Losses, func(l snapshot.Loss) bool { return l.Lacks(r.Keyspace, r.Table, r.Component) }) {
			return err
		}
	}
	return &acceptedError{len(damaged.Refused)}
}
