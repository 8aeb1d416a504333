package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"cbk/snapshot"
)

// stayJSON is what stays of one cluster.
type stayJSON struct {
	Cluster    string  `json:"cluster"`
	Complete   int     `json:"complete"`        // of all tables
	Selected   int     `json:"selected"`        // complete, of chosen tables
	Incomplete int     `json:"incomplete"`      // or known to have lost something
	From       *string `json:"restorable_from"` // the oldest complete backup of all tables, null without one
	To         *string `json:"restorable_to"`

	oldest, newest string
}

// dated gives backups the moments they claim.
func dated(all []snapshot.Backup) []snapshot.Verdict {
	out := make([]snapshot.Verdict, len(all))
	for i := range all {
		out[i] = snapshot.Verdict{Backup: all[i], Moment: all[i].Started()}
	}
	return out
}

// stays sums up what is left, by cluster.
func stays(left []snapshot.Verdict) []stayJSON {
	out := []stayJSON{}
	left = slices.Clone(left)
	slices.SortStableFunc(left, func(x, y snapshot.Verdict) int {
		return cmp.Or(cmp.Compare(x.Cluster, y.Cluster), x.Moment.Compare(y.Moment))
	})
	for i := range left {
		v := &left[i]
		if len(out) == 0 || out[len(out)-1].Cluster != v.Cluster {
			out = append(out, stayJSON{Cluster: v.Cluster})
		}
		out[len(out)-1].add(v)
	}
	return out
}

func (s *stayJSON) add(v *snapshot.Verdict) {
	switch {
	case !v.Complete() || !v.Intact():
		s.Incomplete++
	case v.Selected():
		s.Selected++
	default:
		at := clock(v.Moment)
		if s.Complete++; s.Complete == 1 {
			s.oldest, s.From = v.Name, &at
		}
		s.newest, s.To = v.Name, &at
	}
}

// String says it in a line.
func (s *stayJSON) String() string {
	text := "no complete backup of all tables stays"
	if s.Complete > 0 {
		text = fmt.Sprintf("restorable from %s (%s) to %s (%s), %s", s.oldest, *s.From, s.newest, *s.To, plural(s.Complete, "complete backup"))
	}
	if s.Selected > 0 {
		text += fmt.Sprintf(", %d of chosen tables", s.Selected)
	}
	if s.Incomplete > 0 {
		text += fmt.Sprintf(", %d incomplete", s.Incomplete)
	}
	return fmt.Sprintf("cluster %s: %s", s.Cluster, text)
}

// printStays says of every cluster there was what can be restored.
func printStays(w io.Writer, gone, left []snapshot.Verdict) {
	clusters := make(map[string]bool)
	for i := range gone {
		clusters[gone[i].Cluster] = true
	}
	for _, s := range stays(left) {
		delete(clusters, s.Cluster)
		fmt.Fprintln(w, s.String())
	}
	for _, c := range slices.Sorted(maps.Keys(clusters)) {
		fmt.Fprintf(w, "cluster %s: no backup stays\n", c)
	}
}

// put adds up what backups put into the store. It is no bound of what their deletion frees: content that other backups use
// stays, and content of backups deleted before that only these still used goes too.
func put(gone []snapshot.Verdict) (n int64) {
	for i := range gone {
		n += gone[i].Total().BytesStored
	}
	return n
}

func printPut(w io.Writer, bytes int64) {
	fmt.Fprintf(w, "they put %s into the store; cbk gc brings back what no other backup uses of it\n", size(bytes))
}

// who is the user and the machine, as records name them.
func who() (name, host string, err error) {
	name = "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err = os.Hostname()
	if err != nil {
		return "", "", fmt.Errorf("name of this machine: %w", err)
	}
	return name, host, nil
}

// here is both in one, as marks and holds name who made them.
func here() (string, error) {
	name, host, err := who()
	return name + "@" + host, err
}

// reason is what the deletion record keeps: who removed the backup, when, by which command and why.
func reason(command string, why []string) ([]byte, error) {
	name, host, err := who()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		At      string   `json:"at"`
		By      string   `json:"by"`
		Command string   `json:"command"`
		Host    string   `json:"host"`
		Why     []string `json:"why,omitempty"`
	}{clock(time.Now()), name, command, host, why})
}

// maxNear bounds the names that an error offers.
const maxNear = 5

// near offers names that somebody may have meant: those that begin with what was typed or are two letters from it.
func near(typed string, all []string) string {
	slices.Sort(all)
	var found []string
	for _, name := range slices.Compact(all) {
		if distance(typed, name) <= 2 || len(typed) > 0 && strings.HasPrefix(name, typed) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "; near it: " + strings.Join(found[:min(len(found), maxNear)], ", ")
}

// distance is how many bytes must be put in, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
