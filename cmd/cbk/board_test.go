package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"cbk/cassandra/ring"
	"cbk/snapshot/fleet"
)

func at(address, state string, bytes int64, err error) standing {
	return backupStanding(&fleet.Node{Member: member(address), State: state, Progress: fleet.Progress{Bytes: bytes, BytesTotal: 100 << 20}, Err: err})
}

// TestEventsAreLinesOfEachChangeAndSeldomOfProgress counts lines: what says nothing new more often than needed would fill a log.
func TestEventsAreLinesOfEachChangeAndSeldomOfProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	b := newBoard(&out).(*events)
	b.now = func() time.Time { return now }
	for i := range 61 {
		b.show(at("10.0.0.1", fleet.Upload, int64(i), nil))
		b.show(at("10.0.0.2", fleet.Upload, 0, nil))
		now = now.Add(time.Second)
	}
	b.show(at("10.0.0.1", fleet.Failed, 61, errors.New("two\nlines")))
	b.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 7 {
		t.Fatalf("%d lines:\n%s", len(lines), &out)
	}
	var last nodeEventJSON
	if err := json.Unmarshal([]byte(lines[6]), &last); err != nil {
		t.Fatal(err)
	}
	want := nodeEventJSON{Schema: "cbk.node-event/1", At: "2027-01-15T08:01:01Z", nodeJSONHead: nodeJSONHead{"id of 10.0.0.1", "10.0.0.1", "dc1", "r1", fleet.Failed},
		Bytes: 61, BytesTotal: 100 << 20, Error: last.Error}
	if last != want || !strings.Contains(last.Error, "two") || strings.Contains(last.Error, "\n") {
		t.Errorf("%+v", last)
	}
}

// TestABarIsThereForEachNodeAtWork reads what is drawn.
func TestABarIsThereForEachNodeAtWork(t *testing.T) {
	r, w := io.Pipe()
	drawn := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		drawn <- string(b)
	}()
	refresh := make(chan any)
	d := newDrawing(w, mpb.WithManualRefresh(refresh), mpb.WithAutoRefresh())
	d.show(at("10.0.0.1", fleet.Upload, 50<<20, nil))
	d.show(at("10.0.0.2", fleet.Waiting, 0, nil))
	for range 3 {
		refresh <- time.Now()
	}
	d.show(at("10.0.0.1", fleet.Done, 100<<20, nil))
	refresh <- time.Now()
	if len(d.bars) != 0 {
		t.Errorf("bars left: %v", d.bars)
	}
	d.end()
	w.Close()
	out := <-drawn
	for _, want := range []string{"10.0.0.1 dc1 r1", "upload", "50.0 MiB / 100.0 MiB", "50 %", "nodes 0 / 2", "nodes 1 / 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not drawn:\n%q", want, out)
		}
	}
	if strings.Contains(out, "10.0.0.2") {
		t.Errorf("a node that waits has a bar:\n%q", out)
	}
}

func member(address string) ring.Member {
	return ring.Member{HostID: "id of " + address, Address: address, DC: "dc1", Rack: "r1"}
}
