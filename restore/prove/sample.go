package prove

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/rows"
	"cbk/cassandra/sstable/table"
)

const (
	// tries is how many partitions are looked at for one that is wanted: of a table of which seven in eight are deleted there
	// are still enough.
	tries = 8
	// maxPartition is the most plain bytes that are read of one partition: a second of work.
	maxPartition = 64 << 20
	// maxItems is the most rows and cells of a partition that are held to be merged, at some 500 bytes each.
	maxItems = 128 << 10
	// maxHolders is the most SSTables that may have a part of one partition, and stay open for it.
	maxHolders = 64
	// maxReasons is how many reasons for undecided partitions are told of a table.
	maxReasons = 3
)

// Unknown is the number of rows of a partition that has some.
const Unknown = -1

// Expect is a partition and what must be there of it.
type Expect struct {
	Key        []byte   `json:"key"`        // as stored
	Components [][]byte `json:"components"` // the value of each column of the key
	Literal    string   `json:"literal"`    // the values for people
	Token      int64    `json:"token"`
	Rows       int      `json:"rows"`  // at the least, or Unknown; 0 where Empty
	Empty      bool     `json:"empty"` // all of it is deleted or has expired
}

// Stats tell how a sample came about.
type Stats struct {
	SSTables  int      `json:"sstables"`
	Live      int      `json:"live"`      // partitions in the sample that must have rows
	Empty     int      `json:"empty"`     // partitions looked at that must have none
	Undecided int      `json:"undecided"` // partitions looked at of which our reader cannot tell
	Reasons   []string `json:"reasons"`   // why undecided, some of them
}

func (s *Stats) undecided(err error) {
	s.Undecided++
	if text := err.Error(); len(s.Reasons) < maxReasons && !slices.Contains(s.Reasons, text) {
		s.Reasons = append(s.Reasons, text)
	}
}

// Sample chooses partitions in the SSTables of a table in some directories, which are all directories of the table on one
// node that is stopped, or of one snapshot. The error is that of a file that is damaged or cannot be read.
func Sample(ctx context.Context, dirs []string, t Table, o Options) ([]Expect, Stats, error) {
	o = o.withDefaults()
	if o.Now.IsZero() {
		return nil, Stats{}, errNoTime
	}
	sources, err := list(dirs, t)
	if err != nil {
		return nil, Stats{}, err
	}
	s := sampler{t: t, o: o, sources: sources, stats: Stats{SSTables: len(sources)}, seen: make(map[string]bool)}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s.%s", t.Keyspace, t.Name)
	r := rand.New(rand.NewPCG(o.Seed, h.Sum64()))
	order := r.Perm(len(sources))
	for i := 0; i < tries*o.Partitions && s.stats.Live < o.Partitions && len(order) > 0; i++ {
		if err := ctx.Err(); err != nil {
			return nil, s.stats, context.Cause(ctx)
		}
		if err := s.try(&sources[order[i%len(order)]], r); err != nil {
			return nil, s.stats, fmt.Errorf("sample %s.%s: %w", t.Keyspace, t.Name, err)
		}
	}
	return s.all, s.stats, nil
}

type sampler struct {
	t       Table
	o       Options
	sources []source
	stats   Stats
	all     []Expect
	seen    map[string]bool
}

// try adds a partition of one SSTable to the sample, if there is one to add.
func (s *sampler) try(from *source, r *rand.Rand) error {
	key, header, err := from.choose(r)
	if key == nil || err != nil || s.seen[string(key)] {
		return s.judge(err)
	}
	s.seen[string(key)] = true
	n, err := s.rows(key)
	if err != nil {
		return s.judge(err)
	}
	e := Expect{Key: key, Token: sstable.Token(key), Rows: n.Lasting, Empty: n.Now == 0 && !n.Cut}
	if e.Components, e.Literal, err = splitKey(header.KeyType, key); err != nil {
		return s.judge(err)
	}
	if counters(header) && n.Lasting > 0 {
		e.Rows = Unknown
	}
	switch {
	case e.Empty:
		s.stats.Empty++
	case n.Lasting == 0:
		return s.judge(errNotLasting)
	default:
		s.stats.Live++
	}
	// Of partitions without rows a few are asked for: they would have come back from the dead.
	if !e.Empty || s.stats.Empty <= s.o.Partitions {
		s.all = append(s.all, e)
	}
	return nil
}

var errNotLasting = fmt.Errorf("%w: all its rows expire soon, or are behind what is read of it", errUndecided)

var errUndecided = errors.New("cannot be told")

// beyond are the errors of what our reader does not know, which say nothing of the data.
var beyond = []error{
	errUndecided, table.ErrTooLarge, table.ErrUnsupported, rows.ErrTooLarge, rows.ErrType, rows.ErrFormat,
	lookup.ErrUnindexed, lookup.ErrPartitioner, sstable.ErrUnsupportedVersion, chunk.ErrUnknownCompressor,
}

// judge takes what is beyond our reader for undecided. Other errors are damage.
func (s *sampler) judge(err error) error {
	if err != nil && isBeyond(err) {
		s.stats.undecided(err)
		return nil
	}
	return err
}

func isBeyond(err error) bool {
	return slices.ContainsFunc(beyond, func(target error) bool { return errors.Is(err, target) })
}

// rows counts the rows of a partition over all SSTables.
func (s *sampler) rows(key []byte) (table.Count, error) {
	holders, err := s.holders(key)
	defer func() {
		for _, h := range holders {
			h.s.Close()
		}
	}()
	if err != nil {
		return table.Count{}, err
	}
	var parts []part
	for _, h := range holders {
		r, err := h.s.Partition(h.at, maxPartition/int64(len(holders)), table.ErrTooLarge)
		if err != nil {
			return table.Count{}, err
		}
		if !r.Next() {
			return table.Count{}, errors.Join(fmt.Errorf("no partition at %d of Data.db", h.at), r.Err())
		}
		parts = append(parts, part{r, h.s.Header()})
	}
	return count(parts, presence(s.t, s.o, s.sources))
}

// part is a partition as one SSTable has it, before its reader.
type part struct {
	r      *rows.Reader
	header sstable.Header
}

func count(parts []part, o table.PresenceOptions) (table.Count, error) {
	if len(parts) == 1 {
		return table.CountPartition(parts[0].r, parts[0].header, o)
	}
	p := table.NewPresence(o)
	for _, part := range parts {
		if err := p.Add(part.r, part.header); err != nil {
			return table.Count{}, err
		}
	}
	return p.Count()
}

// presence says how rows are counted. All versions of 3.x begin with an m, and none of a later release.
func presence(t Table, o Options, sources []source) table.PresenceOptions {
	before4 := !slices.ContainsFunc(sources, func(s source) bool { return s.desc.Version[0] != 'm' })
	return table.PresenceOptions{
		Now: o.Now, Until: o.Now.Add(o.Horizon), Before4: before4, View: t.View, Dropped: t.Dropped, Items: maxItems,
	}
}

// holder is an open SSTable with a part of a partition.
type holder struct {
	s  *lookup.SSTable
	at int64
}

// holders finds the SSTables that have a key. Those it returns are open.
func (s *sampler) holders(key []byte) (found []holder, err error) {
	for i := range s.sources {
		h, ok, err := s.sources[i].find(key)
		if err != nil {
			return found, err
		}
		if ok {
			found = append(found, h)
		}
		if len(found) > maxHolders {
			return found, fmt.Errorf("%w: more than %d SSTables have it", errUndecided, maxHolders)
		}
	}
	return found, nil
}

// counters tells whether a table has any: their rows hang on shards that we do not add up.
func counters(h sstable.Header) bool {
	return slices.ContainsFunc(slices.Concat(h.Static, h.Regular), func(c sstable.Column) bool {
		kind, err := rows.ParseType(c.Type)
		return err == nil && kind.Class == "CounterColumnType"
	})
}

// splitKey returns the columns of a key: itself, or of several uint16 length · bytes · byte 0 for each.
func splitKey(class string, key []byte) (parts [][]byte, literal string, err error) {
	kind, err := rows.ParseType(class)
	if err != nil {
		return nil, "", err
	}
	if kind.Class != "CompositeType" {
		return [][]byte{key}, keyText([]rows.Type{kind}, [][]byte{key}), nil
	}
	for rest := key; len(rest) > 0; {
		if len(rest) < 3 || len(rest) < 3+int(binary.BigEndian.Uint16(rest)) {
			return nil, "", fmt.Errorf("partition key %x: %w", key, rows.ErrFormat)
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		parts, rest = append(parts, rest[2:end]), rest[end+1:]
	}
	if len(parts) != len(kind.Params) {
		return nil, "", fmt.Errorf("partition key %x of %d columns: %w", key, len(parts), rows.ErrFormat)
	}
	return parts, keyText(kind.Params, parts), nil
}
