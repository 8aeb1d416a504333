package snapshot

import (
	"errors"
	"io"
	"maps"
	"slices"

	"cbk/cassandra/sstable/peel"
)

// Inside is what came of looking into SSTables: at their own checksums, and at the order of their partitions.
type Inside struct {
	SSTables    int            `json:"sstables"`
	Partitions  int64          `json:"partitions"`
	Source      []SourceDamage `json:"damaged_at_source"` // what is stored as it came from the node, and was no good there
	SourceTotal int            `json:"damaged_at_source_total"`
	News        int            `json:"unmarked"` // of these, those that their backup does not say so of
	Unchecked   []Unchecked    `json:"unchecked"`
}

// SourceDamage is an SSTable of a backup that is not sound, although it is stored as it was.
type SourceDamage struct {
	Backup   string   `json:"backup"`
	Node     string   `json:"node"`
	Keyspace string   `json:"keyspace"`
	Table    string   `json:"table"`
	SSTable  string   `json:"sstable"`
	Marked   bool     `json:"marked"` // the backup says so
	What     []string `json:"what"`
}

// Unchecked is a reason why something of SSTables was not looked at.
type Unchecked struct {
	What     string `json:"what"`
	SSTables int    `json:"sstables"`
}

const (
	// maxSource bounds the SSTables that are listed as damaged at the source; all are counted.
	maxSource = 1000
	// maxReasons bounds the reasons for not looking. They name versions and classes, of which there are few.
	maxReasons = 100
)

// insides collects what is found in SSTables. Only one is open at a time.
type insides struct {
	Inside
	unchecked map[string]int
	faulty    map[blobKey][]string // what was found in SSTables that other backups have too, at most maxSource
	open      *look
}

// source notes an SSTable that was no good at the source.
func (i *insides) source(at Hit, t *SSTable, what []string) {
	i.SourceTotal++
	marked := len(t.Damage) > 0
	if !marked {
		i.News++
	}
	if len(i.Source) < maxSource {
		i.Source = append(i.Source, SourceDamage{at.Backup, at.Node, at.Keyspace, at.Table, t.File(&Component{}), marked, what})
	}
}

// skip counts an SSTable for each reason why something in it was not looked at.
func (i *insides) skip(reasons map[string]bool) {
	if i.unchecked == nil {
		i.unchecked = make(map[string]int)
	}
	for why := range reasons {
		if _, known := i.unchecked[why]; !known && len(i.unchecked) >= maxReasons {
			why = "other reasons"
		}
		i.unchecked[why]++
	}
}

func (i *insides) tell() Inside {
	out := i.Inside
	out.Source = append([]SourceDamage{}, out.Source...)
	out.Unchecked = []Unchecked{}
	for _, why := range slices.Sorted(maps.Keys(i.unchecked)) {
		out.Unchecked = append(out.Unchecked, Unchecked{why, i.unchecked[why]})
	}
	sortUnchecked(out.Unchecked)
	return out
}

// create begins a component, which is looked at as it is rebuilt.
func (i *insides) create(f File) (io.Writer, error) {
	if i.open == nil || i.open.t != f.SSTable {
		i.close()
		i.open = newLook(f.SSTable)
	}
	return i.open.begin(f.Component), nil
}

// tap is given what a Data.db is made of.
func (i *insides) tap(f File, k peel.Kind, b []byte, how *recipe) {
	if i.open != nil && i.open.t == f.SSTable {
		i.open.blob(f.Component, k, b, how)
	}
}

// done ends a component, and the SSTable with its last one.
func (c *check) looked(f File, err error, at Hit, key blobKey) {
	i := &c.inside
	if i.open == nil || i.open.t != f.SSTable {
		return // not one component of it could be begun
	}
	i.open.end(f.Component, err)
	if i.open.left > 0 {
		return
	}
	l := i.open
	i.close()
	if l.lost {
		i.skip(map[string]bool{"not all of it could be rebuilt": true})
		return
	}
	i.SSTables++
	i.Partitions += l.data.count
	i.skip(l.unchecked)
	if len(l.faults) == 0 {
		return
	}
	if i.faulty == nil {
		i.faulty = make(map[blobKey][]string)
	}
	if len(i.faulty) < maxSource {
		i.faulty[key] = l.faults
	}
	at.Component = ""
	if len(f.SSTable.Damage) == 0 { // else it is listed already
		i.source(at, f.SSTable, l.faults)
	}
}

// close ends what is open.
func (i *insides) close() {
	if i.open != nil {
		i.open.abandon()
		i.open = nil
	}
}

// stored lists an SSTable that was damaged at the source, by what its backup says or by what was found in it for another.
func (c *check) stored(t *SSTable, at Hit, key blobKey) {
	if len(t.Damage) > 0 {
		c.inside.source(at, t, t.Damage)
	} else if what := c.inside.faulty[key]; what != nil {
		c.inside.source(at, t, what)
	}
}

// errAbandoned ends a reader whose bytes do not come.
var errAbandoned = errors.New("the component was not rebuilt")
