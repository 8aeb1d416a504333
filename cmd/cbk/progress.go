package main

import (
	"io"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"cbk/snapshot"
)

// newProgress returns a bar where standard error is a terminal, silence elsewhere, and what ends it.
func newProgress(w io.Writer) (p snapshot.Progress, end func()) {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return silent{}, func() {}
	}
	all := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	b := all.AddBar(0, mpb.PrependDecorators(decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f")))
	return &bar{b: b}, func() {
		b.Abort(false)
		all.Wait()
	}
}

type silent struct{}

// Expect implements snapshot.Progress.
func (silent) Expect(int64) {}

// Done implements snapshot.Progress.
func (silent) Done(int64) {}

// bar grows with what is expected.
type bar struct {
	b     *mpb.Bar
	total atomic.Int64
}

// Expect implements snapshot.Progress. The total grows while tables are listed.
func (p *bar) Expect(n int64) { p.b.SetTotal(p.total.Add(n), false) }

// Done implements snapshot.Progress.
func (p *bar) Done(n int64) { p.b.IncrInt64(n) }
