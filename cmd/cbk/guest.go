package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"cbk/snapshot/guest"
)

const (
	// minRate is the slowest rate in bytes a second: the store's, below which a piece that waits for its turn would pass
	// for a stall.
	minRate = 64 << 10
	// maxConcurrency bounds the SSTables that are read at a time: each takes up to 12 MiB of the 300 MiB a backup may have.
	maxConcurrency = 8
	// defaultMinFree is below the 5 % at which Cassandra (max_space_usable_for_compactions_in_percentage) stops compacting,
	// so that a node that still works is still backed up; and more than a node writes between two looks: of a disk of
	// 100 GB it is 2 GB, of which Cassandra's default compaction_throughput of 64 MiB/s takes a third.
	defaultMinFree = "2%"
	// spaceEvery is the time between two looks: a statfs for each data directory costs nothing, and a disk that is
	// written at 1 GB/s fills by 10 GB in it.
	spaceEvery = 10 * time.Second
	// niceness leaves a thread a tenth of a processor that it shares with a busy one of Cassandra (weight 110 beside 1,024),
	// and all of an idle one.
	niceness = 10
)

// limitsConfig is the section limits of the configuration.
type limitsConfig struct {
	Upload      string `yaml:"upload"`
	Read        string `yaml:"read"`
	Concurrency int    `yaml:"concurrency"`
	Priority    string `yaml:"priority"`
	MinFree     string `yaml:"min_free"`
}

// guestFlags are what a backup may take of the node.
func guestFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "limit-upload", Usage: "send at most `RATE` bytes a second to the store, like 10MiB", DefaultText: "no limit"},
		&cli.StringFlag{Name: "limit-read", Usage: "read at most `RATE` bytes a second from the data directories", DefaultText: "no limit"},
		&cli.IntFlag{Name: "concurrency", Usage: "read `N` SSTables at a time, 1 to 8", DefaultText: "one more than there are processors"},
		&cli.StringFlag{Name: "priority", Usage: "`PRIORITY` on processors and disks: low or normal", DefaultText: "low"},
		&cli.StringFlag{Name: "min-free", Usage: "end when less than `SPACE` is free on a data directory's file system, like 5% or 20GiB; 0: never", DefaultText: defaultMinFree},
	}
}

// limits are what a command may take of the node.
type limits struct {
	upload, read int64 // bytes a second; 0 is no limit
	streams      int   // SSTables read at a time; 0: as many as is the rule
	low          bool  // priority
	least        guest.Least
}

// limits lays the flags over the section of the file.
func (k *limitsConfig) limits(c *cli.Context) (l limits, err error) {
	var wrong []error
	setting := func(flag, key, text string, parse func(string) error) {
		name := "limits." + key
		if c.IsSet(flag) {
			name, text = "--"+flag, c.String(flag)
		}
		if err := parse(text); err != nil {
			wrong = append(wrong, usageError("%s %q: %w", name, text, err))
		}
	}
	setting("limit-upload", "upload", k.Upload, into(&l.upload, parseRate))
	setting("limit-read", "read", k.Read, into(&l.read, parseRate))
	setting("priority", "priority", k.Priority, into(&l.low, parsePriority))
	setting("min-free", "min_free", cmp.Or(k.MinFree, defaultMinFree), into(&l.least, parseLeast))
	l.streams = k.Concurrency
	if c.IsSet("concurrency") {
		if l.streams = c.Int("concurrency"); l.streams == 0 {
			l.streams = -1 // 0 is what a file without the key has
		}
	}
	if l.streams < 0 || l.streams > maxConcurrency {
		wrong = append(wrong, usageError("concurrency: 1 to %d", maxConcurrency))
	}
	return l, errors.Join(wrong...)
}

// into keeps what a text is parsed to.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(text string) (err error) {
		*to, err = parse(text)
		return err
	}
}

func parseRate(text string) (int64, error) {
	if text == "" || text == "0" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(strings.TrimSuffix(text, "/s"))
	if err != nil || n < minRate || n > math.MaxInt64 {
		return 0, errors.New("give bytes a second like 10MiB, at least 64KiB, or 0 for no limit")
	}
	return int64(n), nil
}

func parsePriority(text string) (low bool, err error) {
	switch text {
	case "", "low":
		return true, nil
	case "normal":
		return false, nil
	}
	return false, errors.New("low or normal")
}

func parseLeast(text string) (guest.Least, error) {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if err == nil && p >= 0 && p < 100 {
			return guest.Least{Percent: p}, nil
		}
	} else if n, err := humanize.ParseBytes(text); err == nil && n <= math.MaxInt64 {
		return guest.Least{Bytes: int64(n)}, nil
	}
	return guest.Least{}, errors.New("give a share like 5% or a size like 20GiB, or 0 for no guard")
}

// begin makes this process a guest: of low priority if that is asked, and watching the space of the directories. ctx
// ends when space runs short; end ends the watch and adds that reason to what failed by it.
func (l limits) begin(parent context.Context, dirs []string, log *slog.Logger) (ctx context.Context, end func(error) error, err error) {
	if l.low {
		if err := guest.LowerPriority(niceness); err != nil {
			log.Warn("running at normal priority", "error", err)
		}
	}
	space := guest.Space{Dirs: dirs, Least: l.least, Every: spaceEvery, Statfs: guest.Statfs, Log: log}
	ctx, stop, err := space.Watch(parent)
	if err != nil {
		return nil, nil, err
	}
	return ctx, func(err error) error {
		short, cause := (*guest.SpaceError)(nil), context.Cause(ctx)
		stop()
		if err == nil || errors.As(err, &short) || !errors.As(cause, &short) {
			return err
		}
		return errors.Join(short, err)
	}, nil
}

// opener opens components within the limits, until ctx ends.
func (l limits) opener(ctx context.Context) func(path string) (io.ReadCloser, error) {
	return guest.New(guest.Options{ReadRate: l.read}).Opener(ctx)
}

// minHeap is what Go's collector needs at the least: below it, it would run all the time and free nothing.
const minHeap = 48 << 20

// heapLimit is the limit of Go's memory where the process has a control group of its own: a quarter of what the group
// may have, since beside it stand pack buffers and the program itself, some 190 MiB, and the page cache that its
// reading needs counts too.
func heapLimit(own int64, root fs.FS) int64 {
	group, limited := guest.MemoryLimit(root)
	if !limited {
		return own
	}
	return min(own, max(group/4, minHeap))
}
