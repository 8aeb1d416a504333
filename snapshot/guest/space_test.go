package guest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDisk is a file system whose free space falls as told.
type fakeDisk struct {
	free  atomic.Int64
	fails atomic.Bool
	looks atomic.Int64
}

func (d *fakeDisk) statfs(string) (free, total int64, err error) {
	d.looks.Add(1)
	if d.fails.Load() {
		return 0, 0, errors.New("it does not answer")
	}
	return d.free.Load(), 1000, nil
}

func (d *fakeDisk) space(l Least, log *strings.Builder) Space {
	return Space{Dirs: []string{"/data"}, Least: l, Every: 10 * time.Second, Statfs: d.statfs, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestShortSpaceIsRefusedAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name  string
		least Least
		free  int64
		want  string
	}{
		{"enough", Least{Percent: 5}, 50, ""},
		{"a percent short", Least{Percent: 5}, 49, "49 B left at /data, at least 50 B are to stay free"},
		{"bytes short", Least{Bytes: 100}, 99, "99 B left at /data, at least 100 B are to stay free"},
		{"the larger counts", Least{Bytes: 10, Percent: 2}, 15, "15 B left at /data, at least 20 B are to stay free"},
		{"none asked", Least{}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDisk{}
				d.free.Store(tc.free)
				ctx, stop, err := d.space(tc.least, &strings.Builder{}).Watch(t.Context())
				if tc.want == "" {
					if err != nil || ctx.Err() != nil {
						t.Fatal(err, ctx.Err())
					}
					stop()
					return
				}
				if short := (*SpaceError)(nil); !errors.As(err, &short) || short.Error() != tc.want {
					t.Errorf("got %v, want %s", err, tc.want)
				}
			})
		})
	}
}

func TestABackupEndsWhenTheDiskFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDisk{}
		d.free.Store(100)
		ctx, stop, err := d.space(Least{Percent: 5}, &strings.Builder{}).Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		start := time.Now()
		time.AfterFunc(25*time.Second, func() { d.free.Store(40) })
		<-ctx.Done()
		if got := time.Since(start); got != 30*time.Second {
			t.Errorf("ended after %s", got)
		}
		if short := (*SpaceError)(nil); !errors.As(context.Cause(ctx), &short) || *short != (SpaceError{"/data", 40, 50}) {
			t.Errorf("cause %v", context.Cause(ctx))
		}
	})
}

func TestALookThatFailsIsLoggedAndAnotherTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := &fakeDisk{}, &strings.Builder{}
		d.free.Store(100)
		ctx, stop, err := d.space(Least{Percent: 5}, log).Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d.fails.Store(true)
		time.Sleep(11 * time.Second)
		d.fails.Store(false)
		time.Sleep(10 * time.Second)
		ended := ctx.Err()
		stop()
		if ended != nil || !strings.Contains(log.String(), "it does not answer") {
			t.Errorf("%v, log %q", ended, log)
		}
		looks := d.looks.Load()
		time.Sleep(time.Minute)
		if got := d.looks.Load(); got != looks || looks != 3 {
			t.Errorf("%d looks, %d when stopped, want 3", got, looks)
		}
	})
}

func TestADirectoryThatCannotBeLookedAtIsRefused(t *testing.T) {
	s := Space{Dirs: []string{t.TempDir(), t.TempDir() + "/absent"}, Least: Least{Bytes: 1}, Every: time.Second, Statfs: Statfs}
	if _, _, err := s.Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
}

func TestAFileSystemHasNoMoreFreeThanInAll(t *testing.T) {
	free, total, err := Statfs(t.TempDir())
	if err != nil || free <= 0 || free > total {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}
