package main

import (
	"bytes"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vbauerster/mpb/v8"

	"cbk/snapshot"
)

// logged collects a log without its times.
func logged() (*slog.Logger, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), out
}

func TestWithoutATerminalALineIsLoggedEveryHalfMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := logged()
		p, end := newProgress(&bytes.Buffer{}, log)
		p.Expect(10, 1000)
		p.Done(4, 400)
		time.Sleep(31 * time.Second)
		p.Expect(90, 299000)
		p.Done(6, 60000)
		time.Sleep(30 * time.Second)
		time.Sleep(30 * time.Second) // nothing happens
		end()
		time.Sleep(time.Hour)
		want := `level=INFO msg=progress files=4 files_total=10 bytes=400 bytes_total=1000 rate=13 eta=46s
level=INFO msg=progress files=10 files_total=100 bytes=60400 bytes_total=300000 rate=2000 eta=1m59s
level=INFO msg=progress files=10 files_total=100 bytes=60400 bytes_total=300000 rate=0 eta=unknown
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
	})
}

func TestAShortRunLogsNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := logged()
		p, end := newProgress(os.Stdin, log) // a file that is no terminal
		p.Expect(1, 1)
		p.Done(1, 1)
		time.Sleep(29 * time.Second)
		end()
		end() // as a command does that also defers it
		if out.Len() > 0 {
			t.Errorf("got %s", out)
		}
	})
}

func TestTheBarShowsFilesBytesRateAndTimeLeft(t *testing.T) {
	out := &bytes.Buffer{}
	p, end := newBar(out, mpb.WithAutoRefresh())
	p.Expect(4, 3<<20)
	p.Expect(4, 1<<20)
	p.Done(3, 1<<20)
	end()
	text := strings.ReplaceAll(out.String(), "\n", " ")
	want := regexp.MustCompile(`3 / 8 files +1\.0 MiB / 4\.0 MiB +\[=+>-+\] +[0-9.]+ [KMGT]iB/s +[0-9hms]+`)
	if !want.MatchString(text) {
		t.Errorf("got %q", text)
	}
}

func TestManyFilesAreCountedAtATime(t *testing.T) {
	var p snapshot.Progress = &tally{}
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range 1000 {
				p.Expect(2, 20)
				p.Done(1, 10)
			}
		})
	}
	g.Wait()
	got := p.(*tally)
	for i, n := range []int64{got.files.Load(), got.filesTotal.Load(), got.bytes.Load(), got.bytesTotal.Load()} {
		if want := []int64{8000, 16000, 80000, 160000}[i]; n != want {
			t.Errorf("count %d is %d, want %d", i, n, want)
		}
	}
}
