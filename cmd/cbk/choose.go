package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

func clusterFlag() cli.Flag {
	return &cli.StringFlag{Name: "cluster", Usage: "only backups of `CLUSTER`"}
}

// selectionFlags choose tables.
func selectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "keyspace", Usage: "only keyspaces that match `GLOB`; may be repeated"},
		&cli.StringSliceFlag{Name: "table", Usage: "only tables that match `GLOB`, as KEYSPACE.TABLE; may be repeated"},
		&cli.StringSliceFlag{Name: "exclude", Usage: "none that match `GLOB`, a keyspace or KEYSPACE.TABLE; may be repeated"},
	}
}

func selection(c *cli.Context) snapshot.Selection {
	return snapshot.Selection{Keyspaces: c.StringSlice("keyspace"), Tables: c.StringSlice("table"), Exclude: c.StringSlice("exclude")}
}

// filterFlags choose among backups.
func filterFlags() []cli.Flag {
	return []cli.Flag{
		clusterFlag(),
		&cli.StringFlag{Name: "node", Usage: "only backups with `NODE`, by name or host id"},
		&cli.StringFlag{Name: "mode", Usage: "only backups of `MODE`: differential or full"},
		&cli.StringFlag{Name: "since", Usage: "only backups that started at `TIME` or later, as 2006-01-02 or 2006-01-02T15:04:05Z"},
		&cli.StringFlag{Name: "until", Usage: "only backups that started at `TIME` or before"},
		&cli.BoolFlag{Name: "complete", Usage: "only complete backups"},
		&cli.BoolFlag{Name: "incomplete", Usage: "only incomplete backups"},
		annotateFlag("annotation", "only backups with `KEY=VALUE`; may be repeated"),
	}
}

func annotateFlag(name, usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: name, Usage: usage}
}

func filter(c *cli.Context) (*snapshot.Filter, error) {
	f := &snapshot.Filter{Cluster: c.String("cluster"), Node: c.String("node"), Mode: c.String("mode")}
	if f.Mode != "" {
		if err := snapshot.CheckMode(f.Mode); err != nil {
			return nil, usageError("%w", err)
		}
	}
	if c.Bool("complete") && c.Bool("incomplete") {
		return nil, usageError("choose one of --complete, --incomplete")
	}
	if c.Bool("complete") || c.Bool("incomplete") {
		complete := c.Bool("complete")
		f.Complete = &complete
	}
	var err error
	if f.Since, err = moment(c, "since"); err != nil {
		return nil, err
	}
	if f.Until, err = moment(c, "until"); err != nil {
		return nil, err
	}
	f.Annotations, err = annotations(c, "annotation")
	return f, err
}

// moment is a time in UTC; a day alone is its beginning.
func moment(c *cli.Context, flag string) (time.Time, error) {
	text := c.String(flag)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError("--%s %q: a time as 2006-01-02 or 2006-01-02T15:04:05Z", flag, text)
}

// annotations are an operator's own words.
func annotations(c *cli.Context, flag string) (map[string]string, error) {
	var all map[string]string
	for _, pair := range c.StringSlice(flag) {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := all[key]; !ok || twice {
			return nil, usageError("--%s %q: KEY=VALUE, each key once", flag, pair)
		}
		if all == nil {
			all = make(map[string]string)
		}
		all[key] = value
	}
	if err := snapshot.CheckAnnotations(all); err != nil {
		return nil, usageError("--%s: %w", flag, err)
	}
	return all, nil
}
