package main

import (
	"encoding/json"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"cbk/snapshot/fleet"
)

// board shows how the nodes of a cluster are getting on.
type board interface {
	// show is told of each change, one after the other.
	show(standing)
	end()
}

// newBoard draws on a terminal, and writes events elsewhere.
func newBoard(w io.Writer) board {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newDrawing(w)
	}
	return &events{out: json.NewEncoder(w), now: time.Now, last: make(map[string]time.Time), state: make(map[string]string)}
}

// nodeJSONHead is who a node is and where it stands.
type nodeJSONHead struct {
	HostID  string `json:"host_id,omitempty"`
	Address string `json:"address"`
	DC      string `json:"dc"`
	Rack    string `json:"rack"`
	State   string `json:"state"`
}

// standing is how far a node has come.
type standing struct {
	nodeJSONHead
	fleet.Progress
	Err    error
	atWork bool // it has a bar
	over   bool // nothing more is done there
}

// nodeEventJSON is cbk.node-event/1.
type nodeEventJSON struct {
	Schema string `json:"schema"`
	At     string `json:"at"`
	nodeJSONHead
	Files      int64  `json:"files"`
	FilesTotal int64  `json:"files_total"`
	Bytes      int64  `json:"bytes"`
	BytesTotal int64  `json:"bytes_total"`
	Error      string `json:"error,omitempty"`
}

// events are lines of JSON: one for each change of state, and one every half minute while a node uploads.
type events struct {
	out   *json.Encoder
	now   func() time.Time
	last  map[string]time.Time
	state map[string]string
}

func (e *events) show(n standing) {
	now := e.now()
	if e.state[n.Address] == n.State && now.Sub(e.last[n.Address]) < progressEvery {
		return
	}
	e.state[n.Address], e.last[n.Address] = n.State, now
	line := nodeEventJSON{Schema: "cbk.node-event/1", At: clock(now), nodeJSONHead: n.nodeJSONHead,
		Files: n.Progress.Files, FilesTotal: n.Progress.FilesTotal, Bytes: n.Progress.Bytes, BytesTotal: n.Progress.BytesTotal}
	if n.Err != nil {
		line.Error = flat(n.Err)
	}
	// Nobody may be reading any more; the backup goes on.
	_ = e.out.Encode(line)
}

func (e *events) end() {}

// drawing has a bar for all nodes, and one for each that is at work.
type drawing struct {
	all   *mpb.Progress
	total *mpb.Bar
	bars  map[string]*mpb.Bar
	over  map[string]bool

	mu    sync.Mutex
	nodes map[string]standing
}

func newDrawing(w io.Writer, more ...mpb.ContainerOption) *drawing {
	d := &drawing{all: mpb.New(append(more, mpb.WithOutput(w))...), bars: make(map[string]*mpb.Bar), over: make(map[string]bool), nodes: make(map[string]standing)}
	d.total = d.all.AddBar(0, mpb.BarPriority(1<<30), mpb.PrependDecorators(decor.Name("nodes "), decor.CountersNoUnit("%d / %d")))
	return d
}

func (d *drawing) show(n standing) {
	d.mu.Lock()
	_, known := d.nodes[n.Address]
	d.nodes[n.Address] = n
	d.mu.Unlock()
	if !known {
		d.total.SetTotal(int64(len(d.nodes)), false)
	}
	if n.over != d.over[n.Address] {
		d.over[n.Address] = n.over
		d.total.IncrBy(map[bool]int{true: 1, false: -1}[n.over])
	}
	switch b := d.bars[n.Address]; {
	case n.atWork && b == nil:
		d.bars[n.Address] = d.bar(n)
	case !n.atWork && b != nil:
		b.Abort(true)
		delete(d.bars, n.Address)
	}
	if b := d.bars[n.Address]; b != nil && n.Progress.BytesTotal > 0 {
		b.SetTotal(n.Progress.BytesTotal, false)
		b.SetCurrent(n.Progress.Bytes)
	}
}

// bar is the line of a node.
func (d *drawing) bar(n standing) *mpb.Bar {
	state := decor.Any(func(decor.Statistics) string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.nodes[n.Address].State + " "
	}, decor.WCSyncSpaceR)
	return d.all.AddBar(n.Progress.BytesTotal,
		mpb.PrependDecorators(decor.Name(n.Address+" "+n.DC+" "+n.Rack, decor.WCSyncSpaceR), state, decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.AverageSpeed(decor.SizeB1024(0), " % .1f"), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
}

func (d *drawing) end() {
	for _, b := range d.bars {
		b.Abort(true)
	}
	d.total.Abort(false)
	d.all.Wait()
}
