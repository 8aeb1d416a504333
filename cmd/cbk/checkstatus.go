package main

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

func checkStatus(c *cli.Context) (err error) {
	for _, flag := range []string{"read-data", "sample", "seed", "budget", "report", "no-record", "node"} {
		if c.IsSet(flag) {
			return usageError("--status checks nothing: leave out --%s", flag)
		}
	}
	if err := none(c); err != nil {
		return err
	}
	s, err := open(c, true)
	if err != nil {
		return err
	}
	defer s.close(&err)
	st, err := snapshot.Status(c.Context, s.repo, time.Now())
	if err != nil {
		return err
	}
	if file := c.String("metrics-file"); file != "" {
		if err := writeCheckMetrics(file, s.repo.ID(), st); err != nil {
			return fmt.Errorf("metrics file %s: %w", file, err)
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, statusDocument(st))
	}
	return printStatus(c.App.Writer, st)
}

// statusJSON is cbk.check-status/1.
type statusJSON struct {
	Schema    string           `json:"schema"`
	Packs     int64            `json:"packs"`
	Bytes     int64            `json:"bytes"`
	Unaltered coverageJSON     `json:"unaltered"` // compared with their names, or better
	Readable  coverageJSON     `json:"readable"`  // opened and decoded
	Runs      []runJSON        `json:"runs"`
	RunsTotal int              `json:"runs_total"`
	Unread    int              `json:"records_unread"`
	Backups   []backupReadJSON `json:"backups"`
}

type coverageJSON struct {
	NeverPacks int64     `json:"never_packs"`
	NeverBytes int64     `json:"never_bytes"`
	Oldest     *string   `json:"oldest"`
	Ages       []ageJSON `json:"ages"` // each with what the one before has
}

type ageJSON struct {
	Days  int   `json:"within_days"` // 0: ever
	Packs int64 `json:"packs"`
	Bytes int64 `json:"bytes"`
}

type runJSON struct {
	Record    string           `json:"record"`
	Started   string           `json:"started"`
	Finished  string           `json:"finished"`
	Level     string           `json:"level"`
	Kind      string           `json:"kind"`
	Backup    string           `json:"backup,omitempty"`
	Sample    *snapshot.Sample `json:"sample,omitempty"`
	Packs     int64            `json:"packs"`
	BytesRead int64            `json:"bytes_read"`
	Damage    int              `json:"damage_total"`
	Key       string           `json:"key"`
}

type backupReadJSON struct {
	Backup  string `json:"backup"`
	Cluster string `json:"cluster"`
	Node    string `json:"node,omitempty"`
	Kind    string `json:"kind"`
	At      string `json:"at"`
	Damage  int    `json:"damage_total"`
}

func statusDocument(st *snapshot.CheckStatus) statusJSON {
	doc := statusJSON{Schema: "cbk.check-status/1", Packs: st.Packs, Bytes: st.Bytes, Unaltered: coverageDocument(&st.Unaltered),
		Readable: coverageDocument(&st.Readable), Runs: []runJSON{}, RunsTotal: st.RunsTotal, Unread: st.Unread, Backups: []backupReadJSON{}}
	for _, r := range st.Runs {
		doc.Runs = append(doc.Runs, runJSON{Record: r.Record, Started: clock(r.Started), Finished: clock(r.Finished), Level: r.Level, Kind: r.Kind,
			Backup: r.Backup, Sample: r.Sample, Packs: r.Packs, BytesRead: r.BytesRead, Damage: r.DamageTotal, Key: r.Author})
	}
	for _, b := range st.Backups {
		doc.Backups = append(doc.Backups, backupReadJSON{b.Backup, b.Cluster, b.Node, b.Kind, clock(b.At), b.Damage})
	}
	return doc
}

func coverageDocument(c *snapshot.Coverage) coverageJSON {
	doc := coverageJSON{NeverPacks: c.NeverPacks, NeverBytes: c.NeverBytes}
	if !c.Oldest.IsZero() {
		at := clock(c.Oldest)
		doc.Oldest = &at
	}
	for _, a := range c.Ages {
		doc.Ages = append(doc.Ages, ageJSON{int(a.Within / (24 * time.Hour)), a.Packs, a.Bytes})
	}
	return doc
}

func printStatus(w io.Writer, st *snapshot.CheckStatus) error {
	fmt.Fprintf(w, "%d packs, %s\n", st.Packs, size(st.Bytes))
	printCoverage(w, "compared with their names, or opened", &st.Unaltered)
	printCoverage(w, "opened and decoded", &st.Readable)
	for _, b := range st.Backups[:min(shownHits, len(st.Backups))] {
		fmt.Fprintf(w, "backup %s of cluster %s %sread on %s: %s, damage %d\n", b.Backup, b.Cluster, ofNode(b.Node), clock(b.At), b.Kind, b.Damage)
	}
	if st.Unread > 0 {
		fmt.Fprintf(w, "%d records of checks do not count: damaged, of a revoked key or of a newer cbk\n", st.Unread)
	}
	if len(st.Runs) == 0 {
		_, err := fmt.Fprintln(w, "no check has left a record")
		return err
	}
	last := st.Runs[0]
	_, err := fmt.Fprintf(w, "last run %s by key %s: %s %s, %s, damage %d\n", clock(last.Started), last.Author, last.Level, last.Kind, size(last.BytesRead), last.DamageTotal)
	return err
}

func ofNode(host string) string {
	if host == "" {
		return ""
	}
	return "node " + host + " "
}

func printCoverage(w io.Writer, what string, c *snapshot.Coverage) {
	fmt.Fprintf(w, "%s:\n", what)
	for _, a := range c.Ages {
		within := "at any time"
		if a.Within > 0 {
			within = fmt.Sprintf("in the last %s", plural(int(a.Within/(24*time.Hour)), "day"))
		}
		fmt.Fprintf(w, "  %s: %d packs, %s\n", within, a.Packs, size(a.Bytes))
	}
	fmt.Fprintf(w, "  never: %d packs, %s\n", c.NeverPacks, size(c.NeverBytes))
	if !c.Oldest.IsZero() {
		fmt.Fprintf(w, "  longest ago: %s\n", clock(c.Oldest))
	}
}
