package gcmodel

import (
	"fmt"
	"slices"
	"strings"
)

// trace replays the path to the state found last and says what each operation changed in the store.
func (e *explorer) trace() []string {
	var path []node
	for n := int32(len(e.nodes) - 1); n > 0; n = e.nodes[n].parent {
		path = append(path, e.nodes[n])
	}
	slices.Reverse(path)
	s := e.start()
	e.canonise(&s)
	who := e.castNames()
	lines := []string{"start: " + strings.Join(s.objects(), " ")}
	for _, n := range path {
		next, what := e.choose(&s, n)
		line := fmt.Sprintf("%-10s %s", who[n.actor], what)
		if change := difference(s.objects(), next.objects()); change != "" {
			line += "   " + change
		}
		before := next.actors
		e.canonise(&next)
		follow(who, before, next.actors)
		lines, s = append(lines, line), next
	}
	return append(lines, fmt.Sprintf("lost: %s", blobNames(s.lost())))
}

// castNames names the actors by kind and place.
func (w *world) castNames() []string {
	var names []string
	for i, r := range w.sc.cast {
		names = append(names, fmt.Sprintf("%s%d", r.kind, i+1))
	}
	return names
}

// follow keeps each name with its actor when the canonical order has made two change places. A swap is told by the parts
// of memory that hold no names of packs or shards; where these are equal there was none.
func follow(who []string, before, after [maxActors]actor) {
	for i := range who {
		for j := range i {
			if before[i].rank() != before[j].rank() && after[i].rank() == before[j].rank() && after[j].rank() == before[i].rank() {
				who[i], who[j] = who[j], who[i]
			}
		}
	}
}

func (w *world) choose(s *state, n node) (next state, what string) {
	choice := uint8(0)
	w.successors(s, int(n.actor), func(to *state, done string) {
		if choice == n.choice {
			next, what = *to, done
		}
		choice++
	})
	return next, what
}

// objects lists what stands in the store, one word an object.
func (s *state) objects() []string {
	var out []string
	for _, p := range s.packs {
		if p.present {
			out = append(out, fmt.Sprintf("P%d{%s}", p.name, blobNames(p.blobs)))
		}
	}
	for _, sh := range s.shards {
		if sh.listed {
			out = append(out, fmt.Sprintf("S%d@%d{%s}", sh.name, sh.stamp, s.packNames(sh.packs)))
		}
	}
	for n, e := range s.epochs {
		if e.present {
			out = append(out, fmt.Sprintf("gc/%d{%s}", n, s.packNames(e.condemns)))
		}
	}
	for i, r := range s.roots {
		out = append(out, r.objects(i)...)
	}
	slices.Sort(out)
	return out
}

func (r *root) objects(i int) []string {
	var out []string
	if r.pending {
		out = append(out, fmt.Sprintf("pending/%d{%s}", i, blobNames(r.needs)))
	}
	if r.deleted {
		out = append(out, fmt.Sprintf("deleted/%d", i))
	}
	switch r.object {
	case committed:
		out = append(out, fmt.Sprintf("root/%d{%s}", i, blobNames(r.needs)))
	case aborted:
		out = append(out, fmt.Sprintf("abort/%d", i))
	}
	return out
}

func (s *state) packNames(packs set) string {
	var names []string
	for i, p := range s.packs {
		if packs.has(i) {
			names = append(names, fmt.Sprintf("P%d", p.name))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func blobNames(blobs set) string {
	var b strings.Builder
	for i := range 8 {
		if blobs.has(i) {
			b.WriteByte("abcdefgh"[i])
		}
	}
	return b.String()
}

// difference says what was removed and what was added.
func difference(before, after []string) string {
	var out []string
	for _, o := range before {
		if !slices.Contains(after, o) {
			out = append(out, "-"+o)
		}
	}
	for _, o := range after {
		if !slices.Contains(before, o) {
			out = append(out, "+"+o)
		}
	}
	return strings.Join(out, " ")
}
