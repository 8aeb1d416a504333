package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"cbk/cassandra/ring"
)

// hosts joins the hosts that were ever seen in one ring: a union-find over host ids.
type hosts map[string]string

// find returns the host that stands for all that x was seen with.
func (h hosts) find(x string) string {
	for h[x] != "" && h[x] != x {
		x = h[x]
	}
	return x
}

func (h hosts) join(x, y string) {
	if x, y = h.find(x), h.find(y); x != y {
		h[max(x, y)] = min(x, y) // the smallest stands for all, in whatever order they are joined
	}
}

// host identifies the node of an entry. One that was stopped may not have told its host id.
func (e *Entry) host() string { return strings.ToLower(cmp.Or(e.HostID, "node "+e.Node)) }

// knowsRing reports whether it is known with whom the node formed a ring.
func (e *Entry) knowsRing() bool { return e.seen != nil && len(e.seen.Members) > 0 }

// join joins all hosts of a backup that are known to be of one ring. A node whose ring is not known is taken for one of the
// others': with it the backup is incomplete anyway.
func (b *Backup) join(h hosts) {
	anchor := ""
	for i := range b.Nodes {
		e := &b.Nodes[i]
		if !e.knowsRing() {
			continue
		}
		anchor = cmp.Or(anchor, e.host())
		for _, m := range e.seen.Members {
			h.join(e.host(), strings.ToLower(m.HostID))
		}
	}
	for i := range b.Nodes {
		if e := &b.Nodes[i]; !e.knowsRing() {
			h.join(e.host(), cmp.Or(anchor, b.Nodes[0].host()))
		}
	}
}

// Rings takes a backup apart by the rings its nodes were in. There is more than one where clusters that never shared a node
// go by one label and used one backup name.
func (b *Backup) Rings() []Backup {
	h := make(hosts)
	b.join(h)
	var out []Backup
	at := make(map[string]int)
	part := func(host string) *Backup {
		key := h.find(host)
		if _, ok := at[key]; !ok {
			at[key] = len(out)
			out = append(out, Backup{Name: b.Name, Cluster: b.Cluster, Partial: b.Partial, unsure: b.unsure})
		}
		return &out[at[key]]
	}
	for _, e := range b.Nodes {
		p := part(e.host())
		p.Nodes = append(p.Nodes, e)
	}
	if len(out) == 1 {
		return []Backup{*b}
	}
	for _, m := range b.Missing {
		p := part(strings.ToLower(m.HostID))
		p.Missing = append(p.Missing, m)
	}
	return out
}

// Has reports whether a host is in the backup, or in a ring that its nodes saw.
func (b *Backup) Has(hostID string) bool {
	id := strings.ToLower(hostID)
	return slices.ContainsFunc(b.Nodes, func(e Entry) bool {
		return e.host() == id || e.sees(id)
	})
}

func (e *Entry) sees(host string) bool {
	return e.seen != nil && slices.ContainsFunc(e.seen.Normal(), memberIs(host))
}

// RemovalOrder returns the nodes in the order in which their snapshots are to go: as long as one of them is left that
// expects another, what is left of a deletion that was cut short does not look complete.
func (b *Backup) RemovalOrder() []Entry {
	rest := slices.Clone(b.Nodes)
	out := make([]Entry, 0, len(rest))
	for len(rest) > 0 {
		expected := func(e Entry) bool {
			return slices.ContainsFunc(rest, func(o Entry) bool { return o.host() != e.host() && o.sees(e.host()) })
		}
		i := max(slices.IndexFunc(rest, expected), 0)
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return out
}

func memberIs(host string) func(ring.Member) bool {
	return func(m ring.Member) bool { return strings.EqualFold(m.HostID, host) }
}
