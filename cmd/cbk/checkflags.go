package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"cbk/snapshot"
)

// checkOptions reads the flags. A sample and a budget are of the packs of all backups, and read them.
func checkOptions(c *cli.Context) (opt snapshot.CheckOptions, err error) {
	opt = snapshot.CheckOptions{ReadData: c.Bool("read-data"), Node: c.String("node"), Now: time.Now}
	if c.NArg() > 1 {
		return opt, usageError("check takes one backup name at most, got %d arguments", c.NArg())
	}
	opt.Backup = c.Args().First()
	sample, budget := c.String("sample"), c.String("budget")
	switch {
	case c.NArg() == 1 && opt.Backup == "":
		return opt, usageError("the name of the backup is empty")
	case opt.Backup != "" && (sample != "" || budget != ""):
		return opt, usageError("--sample and --budget are of all backups: leave out %s", opt.Backup)
	case sample != "" && budget != "":
		return opt, usageError("choose one of --sample and --budget")
	case opt.Node != "" && opt.Backup == "":
		return opt, usageError("--node is one of a backup: name it")
	case c.IsSet("seed") && sample == "":
		return opt, usageError("--seed goes with --sample")
	case c.String("metrics-file") != "":
		return opt, usageError("--metrics-file goes with --status")
	case sample != "":
		opt.ReadData = true
		opt.Sample, err = parseSample(sample, c)
	case budget != "":
		opt.ReadData = true
		opt.Budget, err = parseBudget(budget)
	}
	return opt, err
}

func parseSample(text string, c *cli.Context) (*snapshot.Sample, error) {
	part, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	parts := int(part * snapshot.Million / 100)
	if err != nil || !strings.HasSuffix(text, "%") || !(part > 0 && part <= 100) || parts == 0 {
		return nil, usageError("--sample %q: a part above 0.0001 up to 100, as 5%%", text)
	}
	s := &snapshot.Sample{Seed: c.Uint64("seed"), Parts: parts}
	if !c.IsSet("seed") {
		var b [8]byte
		rand.Read(b[:])
		s.Seed = binary.BigEndian.Uint64(b[:]) >> 11 // 53 bits: whoever reads JSON numbers as floats has it too
	}
	return s, nil
}

func parseBudget(text string) (snapshot.Budget, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return snapshot.Budget{Time: d}, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<62 {
		return snapshot.Budget{}, usageError("--budget %q: a time as 1h30m, or bytes as 100GB", text)
	}
	return snapshot.Budget{Bytes: int64(n)}, nil
}

func hexOf[T ~[32]byte](b T) string {
	raw := [32]byte(b)
	return hex.EncodeToString(raw[:])
}
