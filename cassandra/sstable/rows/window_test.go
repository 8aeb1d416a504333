package rows

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestAWindowFollowsItsSource(t *testing.T) {
	data := make([]byte, 3*windowSize)
	for i := range data {
		data[i] = byte(i * 7)
	}
	w := window{src: iotest.HalfReader(bytes.NewReader(data))}
	for at := 0; at < len(data); {
		n := min(1000+at%313, len(data)-at)
		if err := w.fill(n); err != nil {
			t.Fatal(err)
		}
		if w.position != int64(at) || !bytes.Equal(w.unread()[:n], data[at:at+n]) {
			t.Fatalf("window at %d stands at %d", at, w.position)
		}
		w.pass(n)
		at += n
	}
	if err := w.fill(1); err != io.EOF || len(w.buf) != windowSize {
		t.Errorf("behind the end: %v, buffer of %d bytes", err, len(w.buf))
	}
}

func TestAWindowGrowsWithWhatItReadsAndNotWithWhatItIsAskedFor(t *testing.T) {
	w := window{src: bytes.NewReader(make([]byte, 1000))}
	if err := w.fill(MaxUnfiltered); err != io.EOF || len(w.buf) > windowSize {
		t.Errorf("buffer of %d bytes for a source of 1000, error %v", len(w.buf), err)
	}
	w = window{src: bytes.NewReader(make([]byte, 10*windowSize))}
	if err := w.fill(10 * windowSize); err != nil || len(w.buf) > 20*windowSize {
		t.Errorf("buffer of %d bytes for %d, error %v", len(w.buf), 10*windowSize, err)
	}
}

func TestASourceThatFailsOrStallsEndsAWindow(t *testing.T) {
	broken := errors.New("broken")
	w := window{src: iotest.ErrReader(broken)}
	if err := w.fill(1); err != broken {
		t.Errorf("got %v", err)
	}
	w = window{src: stalled{}}
	if err := w.fill(1); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }
