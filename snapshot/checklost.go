package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"cbk/repo"
)

// learn reads what is known to be lost. A record that cannot be read is told as damage, and then nothing is known.
func (c *check) learn(ctx context.Context) error {
	all, err := Losses(ctx, c.repo)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		c.Damage(damage)
		err = nil
	}
	c.marks, c.met, c.known = standing(all), make(map[string]bool), make(map[string]int)
	return err
}

// remember gives the node snapshot that is looked at its marks.
func (c *check) remember(e *Entry) {
	if c.hurts.now == nil {
		return
	}
	if c.hurts.now.marks = c.marks[e.Root]; len(c.hurts.now.marks) > 0 {
		c.met[e.Root] = true
	}
}

// recognize reports whether what a damaged object hits of the node snapshot that is looked at is known to be lost.
func (c *check) recognize(object string, at Hit) bool {
	n := c.hurts.now
	if n == nil {
		return false
	}
	if len(n.objects) < maxLostObjects && !slices.Contains(n.objects, object) {
		n.objects = append(n.objects, object)
	}
	for i := range n.marks {
		if n.marks[i].covers(object, at, c.repo.Reads()) {
			return true
		}
	}
	n.Known = false
	return false
}

// found returns the losses of node snapshots that this check found without damage, having looked at least as closely as the
// one that found the damage.
func (c *check) found() (list []Loss) {
	hurt := make(map[string]bool)
	for _, n := range c.hurts.nodes {
		hurt[n.root] = true
	}
	for root := range c.met {
		for _, l := range c.marks[root] {
			if !hurt[root] && c.repo.Reads() && (l.Level == LevelStructure || c.rebuilds()) {
				list = append(list, l)
			}
		}
	}
	slices.SortFunc(list, func(a, b Loss) int {
		return cmp.Or(strings.Compare(a.Root, b.Root), strings.Compare(a.Record, b.Record))
	})
	return list
}
