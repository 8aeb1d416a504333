package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// item is a backup while it is judged.
type item struct {
	Verdict
	ended  time.Time
	counts bool // complete, and of the cluster that the one before it was of
}

func (i *item) keep(format string, args ...any) {
	i.Keep, i.Why = true, append(i.Why, fmt.Sprintf(format, args...))
}

// judge decides about the backups of one cluster.
func (r *Retention) judge(lineage []Backup) []Series {
	items := make([]*item, len(lineage))
	bySelection := make(map[string][]*item)
	for i, b := range lineage {
		it := &item{Verdict: Verdict{Backup: b}}
		it.Moment, it.ended = r.moment(&b)
		items[i] = it
		id, _ := b.selection()
		bySelection[id] = append(bySelection[id], it)
	}
	slices.SortFunc(items, newestFirst)
	for _, list := range bySelection {
		slices.SortFunc(list, newestFirst)
		follow(list)
		whole := slices.DeleteFunc(slices.Clone(list), func(i *item) bool { return !i.counts })
		r.count(whole)
		floor(whole)
	}
	now := r.youngest(items)
	for n, it := range items {
		if !it.whole() {
			r.incomplete(it, items[:n], now)
		}
		r.protect(it)
	}
	return series(bySelection)
}

// follow tells which complete backups count: those with at least half of the nodes of the one that counted before. A
// cluster loses nodes a few at a time, while whoever has one node's key can make any number of backups of a cluster of
// that node alone; they must not push out the others. What does not count stays until it is deleted by name.
func follow(newestFirst []*item) {
	var before *item
	for _, it := range slices.Backward(newestFirst) {
		if !it.whole() {
			continue
		}
		common := 0
		for i := range it.Nodes {
			if before != nil && before.has(it.Nodes[i].host()) {
				common++
			}
		}
		if before != nil && 2*common < len(before.Nodes) {
			it.keep("not counted: it has %d of the %d nodes of %s; where so many were taken away at once, delete the older ones by name", common, len(before.Nodes), before.Name)
			continue
		}
		it.counts, before = true, it
	}
}

// has reports whether there is a snapshot of a host.
func (i *item) has(host string) bool {
	return slices.ContainsFunc(i.Nodes, func(e Entry) bool { return e.host() == host })
}

// newestFirst orders backups; where the times of the store are equal, as after a copy, by what the nodes claim.
func newestFirst(x, y *item) int {
	return cmp.Or(y.Moment.Compare(x.Moment), y.Started().Compare(x.Started()), cmp.Compare(y.Name, x.Name))
}

// count applies the rules to the complete backups of a series, newest first.
func (r *Retention) count(whole []*item) {
	p := &r.Policy
	for i, it := range whole[:min(p.KeepLast, len(whole))] {
		it.keep("number %d of the last %d", i+1, p.KeepLast)
	}
	for _, rule := range []struct {
		n    int
		what string
		name func(time.Time) string
	}{
		{p.KeepHourly, "hour", func(t time.Time) string { return t.Format("2006-01-02T15h") }},
		{p.KeepDaily, "day", func(t time.Time) string { return t.Format(time.DateOnly) }},
		{p.KeepWeekly, "week", isoWeek},
		{p.KeepMonthly, "month", func(t time.Time) string { return t.Format("2006-01") }},
	} {
		last := ""
		for _, it := range whole {
			if name := rule.name(it.Moment.UTC()); name != last && rule.n > 0 {
				it.keep("the newest of %s %s", rule.what, name)
				last, rule.n = name, rule.n-1
			}
		}
	}
	r.within(whole)
	r.limit(whole)
}

func isoWeek(t time.Time) string {
	year, n := t.ISOWeek()
	return fmt.Sprintf("%d-W%02d", year, n)
}

// within keeps the young ones. Age is counted from the newest backup, or from the clock here where that is behind: a clock
// that is ahead, or backups that have stopped, take nothing away.
func (r *Retention) within(whole []*item) {
	if r.Policy.KeepWithin == 0 || len(whole) == 0 {
		return
	}
	from := earlier(r.Now, whole[0].Moment)
	for _, it := range whole {
		if from.Sub(it.Moment) < r.Policy.KeepWithin {
			it.keep("within %s of the newest", Span(r.Policy.KeepWithin))
		}
	}
}

func earlier(x, y time.Time) time.Time {
	if x.Before(y) {
		return x
	}
	return y
}

// youngest is the moment from which the age of incomplete backups is counted, for the same reasons.
func (r *Retention) youngest(items []*item) time.Time {
	last := items[0].ended
	for _, it := range items {
		if it.ended.After(last) {
			last = it.ended
		}
	}
	return earlier(r.Now, last)
}

// limit takes the oldest of those kept that are too many, and says of the others why they go.
func (r *Retention) limit(whole []*item) {
	kept := 0
	for _, it := range whole {
		it.Keep = it.Keep || !r.Policy.rules()
		switch {
		case !it.Keep:
			it.Why = []string{"no rule keeps it"}
		case r.Policy.MaxCount > 0 && kept >= r.Policy.MaxCount:
			it.Keep, it.Why = false, []string{fmt.Sprintf("more than %d", r.Policy.MaxCount)}
		case len(it.Why) == 0:
			it.Why = []string{fmt.Sprintf("among the newest %d", r.Policy.MaxCount)}
		}
		if it.Keep {
			kept++
		}
	}
}

// save keeps a backup that the rules would take.
func (i *item) save(format string, args ...any) {
	if !i.Keep {
		i.Why = nil
	}
	i.keep(format, args...)
}

// floor keeps the last good backup of a series. One with SSTables that were damaged on their node is the record of its
// moment and counts, but none that is damaged replaces the last one without damage.
func floor(whole []*item) {
	if len(whole) == 0 {
		return
	}
	whole[0].save("the newest complete one")
	if i := slices.IndexFunc(whole, func(i *item) bool { return i.sound() }); i > 0 {
		whole[i].save("the newest without damage")
	}
}

// incomplete decides about a backup that lacks something. It goes only when a later one has all of it: of the same tables,
// or of all.
func (r *Retention) incomplete(it *item, later []*item, now time.Time) {
	grace := cmp.Or(r.Policy.IncompleteGrace, DefaultIncompleteGrace)
	id, alike := it.selection()
	i := slices.IndexFunc(later, func(l *item) bool {
		other, _ := l.selection()
		return l.counts && (other == "" || alike && other == id)
	})
	switch {
	case now.Sub(it.ended) <= grace:
		it.keep("%s, and younger than %s", it.lacks(), Span(grace))
	case i < 0:
		it.keep("%s, but no later one is complete", it.lacks())
	default:
		it.Why = []string{fmt.Sprintf("%s for more than %s; %s is complete", it.lacks(), Span(grace), later[i].Name)}
	}
}

// lacks says why a backup does not count.
func (i *item) lacks() string {
	if !i.Intact() {
		return "damaged"
	}
	return "incomplete"
}

// protect keeps what is held or locked.
func (r *Retention) protect(it *item) {
	for i := range r.Holds {
		if h := &r.Holds[i]; h.Holds(&it.Backup, r.Now) {
			it.save("%s", h.Why())
		}
	}
	var until time.Time
	for _, e := range it.Nodes {
		if t := r.Locked[e.Root]; t.After(until) {
			until = t
		}
	}
	if until.After(r.Now) {
		it.save("under object lock until %s", until.UTC().Format(time.RFC3339))
	}
}

// series orders the verdicts for reading: oldest first.
func series(bySelection map[string][]*item) (out []Series) {
	for id, list := range bySelection {
		s := Series{Cluster: list[0].Cluster, Selection: id}
		for _, it := range slices.Backward(list) {
			s.Verdicts = append(s.Verdicts, it.Verdict)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y Series) int { return cmp.Compare(x.Selection, y.Selection) })
	return out
}
