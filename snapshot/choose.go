package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"cbk/repo"
)

// Names that stand for a backup wherever one is read, by the times at which backups started. No backup bears them, and
// nothing is deleted by them.
const (
	Latest         = "latest"
	LatestComplete = "latest-complete"
	Oldest         = "oldest"
)

// Standing reports whether a name stands for a backup instead of being the name of one.
func Standing(name string) bool { return name == Latest || name == LatestComplete || name == Oldest }

// Filter chooses among backups. Its zero value takes all.
type Filter struct {
	Cluster     string
	Node        string // one of the backup's, by name or host id
	Mode        string
	Since       time.Time // started then or later
	Until       time.Time // started then or before
	Complete    *bool
	Annotations map[string]string // all of these
}

// Match reports whether a filter takes a backup. Whether one of which a key sees only some nodes is complete is not
// known: no filter by completeness takes it.
func (f *Filter) Match(b *Backup) bool {
	started := b.Started()
	switch {
	case f.Cluster != "" && f.Cluster != b.Cluster,
		!f.Since.IsZero() && started.Before(f.Since), !f.Until.IsZero() && started.After(f.Until),
		f.Complete != nil && (b.Partial || *f.Complete != b.Complete()):
		return false
	}
	return slices.ContainsFunc(b.Nodes, func(e Entry) bool {
		return (f.Node == "" || e.is(f.Node)) && (f.Mode == "" || e.Mode == f.Mode) && e.annotated(f.Annotations)
	})
}

// is reports whether a user means this node.
func (e *Entry) is(node string) bool { return e.Node == node || strings.EqualFold(e.HostID, node) }

func (e *Entry) annotated(with map[string]string) bool {
	for key, value := range with {
		if got, ok := e.Annotations[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// Find returns the one backup of a name, or the one that it stands for. An empty cluster is any, if there is only one. The
// error matches ErrNotFound.
func Find(ctx context.Context, r *repo.Repo, name, cluster string) (*Backup, error) {
	var damage *repo.DamageError
	all, err := List(ctx, r, func(d *repo.DamageError) { damage = d })
	if err != nil {
		return nil, err
	}
	found, err := choose(all, name, cluster)
	if err != nil && damage != nil {
		return nil, fmt.Errorf("%w; but not every backup can be read: %w", err, damage)
	}
	return found, err
}

// choose finds a backup among those of a listing, which are in the order of their times.
func choose(all []Backup, name, cluster string) (*Backup, error) {
	var found []*Backup
	clusters := make(map[string]bool)
	for i := range all {
		b := &all[i]
		if cluster != "" && b.Cluster != cluster || name != b.Name && !Standing(name) || name == LatestComplete && !b.Whole() {
			continue
		}
		found = append(found, b)
		clusters[b.Cluster] = true
	}
	switch {
	case len(found) == 0 && Standing(name):
		return nil, fmt.Errorf("%w: there is none that %q could stand for", ErrNotFound, name)
	case len(found) == 0:
		return nil, fmt.Errorf("%w: %q", ErrNotFound, name)
	case len(clusters) > 1:
		return nil, fmt.Errorf("%w: %q may be of %s: choose with --cluster", ErrNotFound, name, strings.Join(slices.Sorted(maps.Keys(clusters)), " or "))
	case name == Oldest:
		return found[0], nil
	}
	return found[len(found)-1], nil
}

// Whole reports whether a backup is all that can be asked of the nodes that the key sees: complete or, where it sees only
// some, with every table of those, and nothing of it is known to be lost.
func (b *Backup) Whole() bool {
	lack, _ := b.Flaws()
	return b.Intact() && !b.Selected() && (b.Complete() || b.Partial && lack == 0)
}

// Bounds of annotations: with the names of backup, cluster and node they fit into a catalogue entry.
const (
	maxAnnotations     = 16
	maxAnnotationBytes = 2 << 10
)

var annotationKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)

// CheckAnnotations refuses annotations that a listing could not show.
func CheckAnnotations(all map[string]string) error {
	total := 0
	for key, value := range all {
		total += len(key) + len(value)
		if !annotationKey.MatchString(key) {
			return fmt.Errorf("annotation %q: a key has 1 to 63 letters, digits and . _ / -", key)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
			return fmt.Errorf("annotation %s: its value has control characters or is not UTF-8", key)
		}
	}
	if len(all) > maxAnnotations || total > maxAnnotationBytes {
		return errors.New("annotations: at most 16, of 2 KiB together")
	}
	return nil
}
