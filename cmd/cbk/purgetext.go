package main

import (
	"fmt"
	"io"
	"strings"

	"cbk/snapshot"
)

// purgeJSON is cbk.purge/1.
type purgeJSON struct {
	Schema    string        `json:"schema"`
	DryRun    bool          `json:"dry_run"`
	Refused   []string      `json:"refused"` // why nothing of it was done
	Deleted   []string      `json:"deleted"` // or would be
	BytesPut  int64         `json:"bytes_put"`
	LeftAlone int           `json:"left_alone"` // backups that were not chosen
	Stays     []stayJSON    `json:"stays"`
	Backups   []verdictJSON `json:"backups"`

	AuditHead string `json:"audit_head,omitempty"`
}

type verdictJSON struct {
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster"`
	Moment   string   `json:"moment"`
	Complete bool     `json:"complete"`
	Selected bool     `json:"selected"`
	Keep     bool     `json:"keep"`
	Why      []string `json:"why"`
}

// purgeDocument is the document of a plan that nobody has carried out.
func purgeDocument(p *snapshot.Plan) purgeJSON {
	gone := verdicts(p, false)
	doc := purgeJSON{Schema: "cbk.purge/1", DryRun: true, Refused: append([]string{}, p.Refused...), LeftAlone: p.Left, Deleted: []string{},
		Stays: []stayJSON{}, Backups: []verdictJSON{}}
	if len(p.Refused) == 0 {
		doc.Deleted, doc.BytesPut, doc.Stays = names(backups(gone)), put(gone), stays(verdicts(p, true))
	}
	for _, s := range p.Series {
		for _, v := range s.Verdicts {
			doc.Backups = append(doc.Backups, verdictJSON{v.Name, v.Cluster, clock(v.Moment), v.Complete(), s.Selection != "", v.Keep, v.Why})
		}
	}
	return doc
}

// printPurge prints a plan: every backup with what becomes of it and why, then what stays.
func printPurge(w io.Writer, p *snapshot.Plan) {
	if len(p.Series) == 0 {
		fmt.Fprintln(w, "no backups")
		return
	}
	for _, s := range p.Series {
		of := ""
		if s.Selection != "" {
			of = ", chosen tables " + s.Selection
		}
		fmt.Fprintf(w, "cluster %s%s\n", s.Cluster, of)
		for _, v := range s.Verdicts {
			what := "delete"
			if v.Keep {
				what = "keep  "
			}
			fmt.Fprintf(w, "  %s %s  %s  %s: %s\n", what, v.Name, clock(v.Moment), nodes(&v.Backup), strings.Join(v.Why, ", "))
		}
	}
	gone := verdicts(p, false)
	printStays(w, gone, verdicts(p, true))
	if p.Left > 0 {
		fmt.Fprintf(w, "%s of others left alone\n", plural(p.Left, "backup"))
	}
	if len(gone) == 0 {
		fmt.Fprintln(w, "nothing to delete")
		return
	}
	fmt.Fprintf(w, "%s to delete: ", plural(len(gone), "backup"))
	printPut(w, put(gone))
}
