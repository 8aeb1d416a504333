package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"cbk/snapshot"
)

// progressEvery is the time between two lines in the log: seldom enough that a night's backup has some hundred of them,
// often enough that silence means something.
const progressEvery = 30 * time.Second

// newProgress returns a bar where standard error is a terminal, a line in the log every half minute elsewhere, and what
// ends it.
func newProgress(w io.Writer, log *slog.Logger) (p snapshot.Progress, end func()) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBar(w)
	}
	return newLines(log)
}

// tally counts. It is safe for concurrent use, and a snapshot.Progress that shows nothing.
type tally struct{ files, filesTotal, bytes, bytesTotal atomic.Int64 }

// Expect implements snapshot.Progress. The totals grow while tables are listed.
func (t *tally) Expect(files int, bytes int64) {
	t.filesTotal.Add(int64(files))
	t.bytesTotal.Add(bytes)
}

// Done implements snapshot.Progress.
func (t *tally) Done(files int, bytes int64) {
	t.files.Add(int64(files))
	t.bytes.Add(bytes)
}

// bar draws.
type bar struct {
	tally
	b *mpb.Bar
}

func newBar(w io.Writer, more ...mpb.ContainerOption) (snapshot.Progress, func()) {
	all := mpb.New(append(more, mpb.WithOutput(w))...)
	p := &bar{}
	files := decor.Any(func(decor.Statistics) string {
		return fmt.Sprintf("%d / %d files  ", p.files.Load(), p.filesTotal.Load())
	})
	p.b = all.AddBar(0,
		mpb.PrependDecorators(files, decor.CountersKibiByte("% .1f / % .1f ")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), " % .1f"), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
	return p, func() {
		p.b.Abort(false)
		all.Wait()
	}
}

// Expect implements snapshot.Progress.
func (p *bar) Expect(files int, bytes int64) {
	p.tally.Expect(files, bytes)
	p.b.SetTotal(p.bytesTotal.Load(), false)
}

// Done implements snapshot.Progress.
func (p *bar) Done(files int, bytes int64) {
	p.tally.Done(files, bytes)
	p.b.IncrInt64(bytes)
}

// newLines logs what was done. end waits for the last line, and may be called again.
func newLines(log *slog.Logger) (p *tally, end func()) {
	p = &tally{}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for before := int64(0); ; {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			before = p.line(log, before)
		}
	}()
	return p, sync.OnceFunc(func() { close(quit); <-done })
}

// line logs one line and returns the bytes it told of. The rate is that since the line before: the mean over all would
// be that of the unchanged files, which are done first and in no time.
func (t *tally) line(log *slog.Logger, before int64) int64 {
	bytes, total := t.bytes.Load(), t.bytesTotal.Load()
	rate := (bytes - before) / int64(progressEvery/time.Second)
	eta := "unknown"
	if rate > 0 {
		eta = (time.Duration(max(total-bytes, 0)/rate) * time.Second).String()
	}
	log.Info("progress", "files", t.files.Load(), "files_total", t.filesTotal.Load(), "bytes", bytes, "bytes_total", total,
		"rate", rate, "eta", eta)
	return bytes
}
