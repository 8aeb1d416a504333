package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Mode is how much is asked of the node.
type Mode string

// The modes, each with all of the one before: the hashes of files, which are compared before the start and not here;
// partitions sampled; the rows of whole tables counted.
const (
	Hashes  Mode = "hashes"
	Samples Mode = "sample"
	Counts  Mode = "counts"
)

// ParseMode reads a mode; empty is [Samples].
func ParseMode(s string) (Mode, error) {
	switch m := Mode(cmp.Or(s, string(Samples))); m {
	case Hashes, Samples, Counts:
		return m, nil
	}
	return "", fmt.Errorf("no way to verify is called %q: there are hashes, sample and counts", s)
}

// Table is a table that was restored.
type Table struct {
	Keyspace string   `json:"keyspace"`
	Name     string   `json:"name"`
	Key      []string `json:"key"`  // columns of the partition key, in order
	View     bool     `json:"view"` // a materialized view
	// Dropped has the columns that were dropped, and when, in microseconds since 1970 as system_schema.dropped_columns has it.
	Dropped map[string]int64 `json:"dropped,omitempty"`
	Dirs    []string         `json:"dirs"` // its directories, one in each data directory
}

// Options say what is compared.
type Options struct {
	Mode       Mode   `json:"mode"`
	Level      string `json:"level"`      // consistency level; empty is LOCAL_ONE
	Seed       uint64 `json:"seed"`       // of the choice of partitions
	Partitions int    `json:"partitions"` // a table; 0 is 10
	// Whole tells that the whole cluster was restored, so that no replica has anything newer than what was.
	Whole bool `json:"whole"`
	// Sole tells that this node has a replica of everything, so that its files have all rows.
	Sole bool `json:"sole"`
	// Now is when the files are read, and must be given. What expires within Horizon of it is not expected; 0 is a day.
	Now     time.Time     `json:"now"`
	Horizon time.Duration `json:"horizon"`
}

// errNoTime refuses options at whose time nothing ever expires.
var errNoTime = errors.New("no time to look for rows at")

func (o Options) withDefaults() Options {
	o.Mode = cmp.Or(o.Mode, Samples)
	o.Level = cmp.Or(o.Level, "LOCAL_ONE")
	o.Partitions = cmp.Or(max(o.Partitions, 0), 10)
	o.Horizon = cmp.Or(o.Horizon, 24*time.Hour)
	return o
}

// Plan is what must be found, for a process that may not be the one that made it.
type Plan struct {
	Options Options   `json:"options"`
	Tables  []Sampled `json:"tables"`
}

// Sampled is a table with its sample.
type Sampled struct {
	Table  Table      `json:"table"`
	Stats  Stats      `json:"stats"`
	Expect []Expect   `json:"expect"`
	Count  *FileCount `json:"count,omitempty"` // with [Counts]
}

// Prepare samples all tables from their files, and counts their rows if the mode says so.
func Prepare(ctx context.Context, tables []Table, o Options) (*Plan, error) {
	p := &Plan{Options: o.withDefaults()}
	for _, t := range tables {
		s := Sampled{Table: t}
		if p.Options.Mode != Hashes {
			var err error
			if s.Expect, s.Stats, err = Sample(ctx, t.Dirs, t, p.Options); err != nil {
				return nil, err
			}
		}
		if p.Options.Mode == Counts {
			n, err := CountFiles(ctx, t.Dirs, t, p.Options)
			if err != nil {
				return nil, err
			}
			s.Count = &n
		}
		p.Tables = append(p.Tables, s)
	}
	return p, nil
}
