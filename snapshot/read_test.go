package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
)

func TestPagesBesideADamagedOneAreStillRead(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range 4 * pageSSTables {
		n.put(fmt.Sprintf("%s/nb-%05d-big-Data.db", dir, i), fmt.Sprint("row ", i))
	}
	r.take(n, "one")
	s := r.snapshot("one")
	table := &s.Node.Tables[0]
	read := func() (n int, err error) {
		err = s.SSTables(t.Context(), table, func(*SSTable) error { n++; return nil })
		return n, err
	}
	object := r.spoil(s, pack.ID(table.Pages[1]))
	if got, err := read(); got != 3*pageSSTables || !isDamage(err, object) || strings.Contains(err.Error(), "pages") {
		t.Errorf("%d SSTables, %v", got, err)
	}
	r.spoil(s, pack.ID(table.Pages[3]))
	if got, err := read(); got != 2*pageSSTables || !isDamage(err, object) || !strings.HasPrefix(err.Error(), "2 of 4 pages: ") {
		t.Errorf("%d SSTables, %v", got, err)
	}
	stop := errors.New("enough")
	if err := s.SSTables(t.Context(), table, func(*SSTable) error { return stop }); !errors.Is(err, stop) || isDamage(err, object) {
		t.Errorf("got %v", err)
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.put(n.table(0, "t", 1)+"/nb-1-big-Index.db", noise(1, 8<<20))
	r.take(n, "one")
	s := r.snapshot("one")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got int64
	create := func(File) (io.Writer, error) {
		return writerFunc(func(p []byte) (int, error) { got += int64(len(p)); cancel(); return len(p), nil }), nil
	}
	err := s.Content(ctx, r.onePage(s), create, func(_ File, err error) error { return err })
	if !errors.Is(err, context.Canceled) || got == 0 || got == 8<<20 {
		t.Errorf("%d bytes written, %v", got, err)
	}
	if _, err := Check(ctx, r.seen, true); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
	// The reader serves on: what was interrupted gave back its buffers.
	for range 3 {
		if err := s.Content(t.Context(), r.onePage(s), discard, func(_ File, err error) error { return err }); err != nil {
			t.Error(err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

func TestAWriterThatFailsIsToldAndTheNextComponentGoesOn(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "one")
	s := r.snapshot("one")
	full := errors.New("no space left")
	create := func(f File) (io.Writer, error) {
		switch f.Component.Name {
		case "Data.db":
			return writerFunc(func([]byte) (int, error) { return 0, full }), nil
		case "Index.db":
			return nil, full
		}
		return io.Discard, nil
	}
	failed := make(map[string]bool)
	err := s.Content(t.Context(), r.onePage(s), create, func(f File, err error) error { failed[f.Component.Name] = errors.Is(err, full); return nil })
	want := map[string]bool{"CRC.db": false, "Data.db": true, "Digest.crc32": false, "Filter.db": false, "Index.db": true, "Statistics.db": false, "TOC.txt": false}
	if diff := cmp.Diff(want, failed); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
