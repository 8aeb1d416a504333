package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/snapshot"
)

func lastCommand() *cli.Command {
	return &cli.Command{
		Name: "last", Usage: "tell how old the last complete backup is; exit code 3 past --max-age: for monitoring",
		Flags: commonFlags(clusterFlag(), &cli.DurationFlag{Name: "max-age", Usage: "fail when a cluster's last complete backup is older than `TIME`, as 26h"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, true)
			if err != nil {
				return err
			}
			defer s.close(&err)
			var damaged []*repo.DamageError
			all, err := snapshot.List(c.Context, s.repo, func(d *repo.DamageError) { damaged = append(damaged, d) })
			if err != nil {
				return err
			}
			doc := lastDocument(all, c.String("cluster"), c.Duration("max-age"), time.Now())
			if c.Bool("json") {
				err = printJSON(c.App.Writer, doc)
			} else {
				err = doc.print(c)
			}
			switch {
			case err != nil:
				return err
			case len(damaged) > 0:
				return fmt.Errorf("there may be later backups: %w", damaged[0])
			case !doc.OK:
				return quiet{exitIncomplete}
			}
			return nil
		},
	}
}

// lastJSON is cbk.last/1.
type lastJSON struct {
	Schema   string            `json:"schema"`
	OK       bool              `json:"ok"` // there is one of each cluster, none older than --max-age
	MaxAge   *int64            `json:"max_age_seconds"`
	Clusters []lastClusterJSON `json:"clusters"`
}

// lastClusterJSON is one cluster's last complete backup; its parts are null where there is none.
type lastClusterJSON struct {
	Cluster  string  `json:"cluster"`
	OK       bool    `json:"ok"`
	Backup   *string `json:"backup"`
	Started  *string `json:"started"`
	Finished *string `json:"finished"`
	Age      *int64  `json:"age_seconds"` // of what is in it: since it started
	Nodes    int     `json:"nodes"`
	Partial  bool    `json:"partial"` // the key sees only these nodes, and only they are judged
}

// lastDocument judges the last backup of each cluster that is all that can be asked of the nodes the key sees.
func lastDocument(all []snapshot.Backup, cluster string, maxAge time.Duration, now time.Time) *lastJSON {
	doc := &lastJSON{Schema: "cbk.last/1", Clusters: []lastClusterJSON{}}
	if maxAge > 0 {
		seconds := int64(maxAge / time.Second)
		doc.MaxAge = &seconds
	}
	at := make(map[string]int)
	for i := range all {
		b := &all[i]
		if cluster != "" && b.Cluster != cluster {
			continue
		}
		n, met := at[b.Cluster]
		if !met {
			n = len(doc.Clusters)
			at[b.Cluster] = n
			doc.Clusters = append(doc.Clusters, lastClusterJSON{Cluster: b.Cluster})
		}
		if b.Whole() {
			doc.Clusters[n] = lastOf(b, maxAge, now)
		}
	}
	doc.OK = len(doc.Clusters) > 0
	for _, k := range doc.Clusters {
		doc.OK = doc.OK && k.OK
	}
	return doc
}

func lastOf(b *snapshot.Backup, maxAge time.Duration, now time.Time) lastClusterJSON {
	started, finished := clock(b.Started()), clock(b.Finished())
	age := max(0, now.Sub(b.Since()))
	seconds := int64(age / time.Second)
	return lastClusterJSON{Cluster: b.Cluster, OK: maxAge <= 0 || age <= maxAge, Backup: &b.Name, Started: &started, Finished: &finished,
		Age: &seconds, Nodes: len(b.Nodes), Partial: b.Partial}
}

func (doc *lastJSON) print(c *cli.Context) error {
	if len(doc.Clusters) == 0 {
		_, err := fmt.Fprintln(c.App.Writer, "no backups")
		return err
	}
	for _, k := range doc.Clusters {
		if k.Backup == nil {
			fmt.Fprintf(c.App.Writer, "cluster %s: NO complete backup\n", k.Cluster)
			continue
		}
		scope, late := "", ""
		if k.Partial {
			scope = fmt.Sprintf(" of %s seen with this key", plural(k.Nodes, "node"))
		}
		if !k.OK {
			late = fmt.Sprintf(": OLDER than %s", time.Duration(*doc.MaxAge)*time.Second)
		}
		fmt.Fprintf(c.App.Writer, "cluster %s: last complete backup%s %s of %s, %s old%s\n", k.Cluster, scope, *k.Backup, *k.Started,
			time.Duration(*k.Age)*time.Second, late)
	}
	return nil
}
