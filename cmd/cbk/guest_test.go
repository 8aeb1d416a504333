package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"cbk/snapshot/guest"
)

// parsed returns the limits of a command line and a section of a file.
func parsed(t *testing.T, file limitsConfig, args ...string) (l limits, err error) {
	t.Helper()
	app := &cli.App{Flags: guestFlags(), Action: func(c *cli.Context) error {
		l, err = file.limits(c)
		return nil
	}}
	if err := app.Run(append([]string{"cbk"}, args...)); err != nil {
		t.Fatal(err)
	}
	return l, err
}

func TestLimitsComeFromFlagsAndFile(t *testing.T) {
	usual := limits{low: true, least: guest.Least{Percent: 2}}
	with := func(change func(*limits)) limits {
		l := usual
		change(&l)
		return l
	}
	all := limitsConfig{Upload: "1MiB", Read: "2MB/s", Concurrency: 3, Priority: "normal", MinFree: "20GiB"}
	for _, tc := range []struct {
		name string
		file limitsConfig
		args []string
		want limits
	}{
		{"nothing said", limitsConfig{}, nil, usual},
		{"the file", all, nil, limits{1 << 20, 2e6, 3, false, guest.Least{Bytes: 20 << 30}}},
		{"flags over the file", all, []string{"--limit-upload", "10MiB", "--limit-read", "64KiB", "--concurrency", "8", "--priority", "low", "--min-free", "12.5%"},
			limits{10 << 20, 64 << 10, 8, true, guest.Least{Percent: 12.5}}},
		{"flags take the file's limits away", all, []string{"--limit-upload", "0", "--limit-read", "0", "--min-free", "0"},
			limits{0, 0, 3, false, guest.Least{}}},
		{"one at a time", limitsConfig{}, []string{"--concurrency", "1"}, with(func(l *limits) { l.streams = 1 })},
		{"0 percent", limitsConfig{MinFree: "0%"}, nil, with(func(l *limits) { l.least = guest.Least{} })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parsed(t, tc.file, tc.args...)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(limits{})); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestALimitThatIsNoneIsAMistakeOfTheUser(t *testing.T) {
	for _, tc := range []struct {
		file limitsConfig
		args []string
		want string
	}{
		{limitsConfig{Upload: "fast"}, nil, `limits.upload "fast": give bytes a second`},
		{limitsConfig{Upload: "fast"}, []string{"--limit-upload", "1"}, `--limit-upload "1": give bytes a second like 10MiB, at least 64KiB`},
		{limitsConfig{}, []string{"--limit-read", "-5MiB"}, `--limit-read "-5MiB"`},
		{limitsConfig{}, []string{"--limit-read", "64KB"}, `--limit-read "64KB"`},
		{limitsConfig{Concurrency: -1}, nil, "concurrency: 1 to 8"},
		{limitsConfig{}, []string{"--concurrency", "9"}, "concurrency: 1 to 8"},
		{limitsConfig{Concurrency: 2}, []string{"--concurrency", "0"}, "concurrency: 1 to 8"},
		{limitsConfig{Priority: "high"}, nil, `limits.priority "high": low or normal`},
		{limitsConfig{}, []string{"--min-free", "100%"}, `--min-free "100%": give a share`},
		{limitsConfig{}, []string{"--min-free", "NaN%"}, `--min-free "NaN%"`},
		{limitsConfig{MinFree: "some"}, nil, `limits.min_free "some"`},
	} {
		_, err := parsed(t, tc.file, tc.args...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != exitUsage {
			t.Errorf("%+v %q: got %v, want %s", tc.file, tc.args, err, tc.want)
		}
	}
}

func TestABackupThatRunsShortOfSpaceSaysSo(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	l := limits{least: guest.Least{Bytes: math.MaxInt64}}
	_, _, err := l.begin(t.Context(), []string{t.TempDir()}, discard)
	if failureOf(err).code != "space" || exitCode(err) != exitFailed {
		t.Errorf("at the start: %v", err)
	}
	l.least = guest.Least{Bytes: 1}
	parent, fill := context.WithCancelCause(t.Context())
	ctx, end, err := l.begin(parent, []string{t.TempDir()}, discard)
	if err != nil {
		t.Fatal(err)
	}
	fill(&guest.SpaceError{Dir: "/data", Free: 1, Least: 2})
	if err := end(ctx.Err()); failureOf(err).code != "space" {
		t.Errorf("on the way: %v", err)
	}
}

func TestTheGuardChangesNoOtherError(t *testing.T) {
	l := limits{least: guest.Least{Bytes: 1}}
	broken := errors.New("broken")
	for _, want := range []error{nil, broken, context.Canceled} {
		_, end, err := l.begin(t.Context(), []string{t.TempDir()}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := end(want); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestComponentsAreReadUntilTheBackupEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nb-1-big-Data.db")
	if err := os.WriteFile(file, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	open := limits{read: 64 << 10}.opener(ctx)
	f, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel(errInterrupted)
	if _, err := io.Copy(io.Discard, f); !errors.Is(err, errInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestAControlGroupWithLittleMemoryLowersTheHeapLimit(t *testing.T) {
	for _, tc := range []struct {
		name, group string
		want        int64
	}{
		{"no limit", "max", backupMemoryLimit},
		{"plenty", "17179869184", backupMemoryLimit},
		{"300 MiB", "314572800", 75 << 20},
		{"hardly any", "1048576", minHeap},
	} {
		root := fstest.MapFS{
			"proc/self/mountinfo":      {Data: []byte("25 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
			"proc/self/cgroup":         {Data: []byte("0::/\n")},
			"sys/fs/cgroup/memory.max": {Data: []byte(tc.group)},
		}
		if got := heapLimit(backupMemoryLimit, root); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}
