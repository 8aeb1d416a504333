package store

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// trickle gives one byte after each pause.
type trickle struct {
	pauses []time.Duration
}

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.pauses) == 0 {
		return 0, io.EOF
	}
	time.Sleep(r.pauses[0])
	r.pauses = r.pauses[1:]
	return 1, nil
}

func TestOnlySilenceIsAStall(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pauses []time.Duration
		want   error
	}{
		{"a slow stream", []time.Duration{50 * time.Second, 59 * time.Second, 59 * time.Second}, nil},
		{"a silent stream", []time.Duration{time.Second, 61 * time.Second}, ErrStalled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, dog := watch(t.Context(), time.Minute)
				_, err := io.Copy(io.Discard, dog.reader(&trickle{tc.pauses}))
				if ctx.Err() != nil {
					err = ctx.Err() // as a client would
				}
				if err := dog.end(err); !errors.Is(err, tc.want) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
			})
		})
	}
}

func TestAStallIsNotTheCallersCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, cancel := context.WithCancelCause(t.Context())
		ctx, dog := watch(outer, time.Minute)
		cancel(errors.New("operator said stop"))
		<-ctx.Done()
		if err := dog.end(ctx.Err()); err.Error() != "operator said stop" {
			t.Errorf("error %v", err)
		}
	})
}

func TestASuccessIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, dog := watch(t.Context(), time.Minute)
		time.Sleep(2 * time.Minute) // a driver that cannot be interrupted
		if err := dog.end(nil); err != nil || ctx.Err() == nil {
			t.Errorf("error %v, context %v", err, ctx.Err())
		}
	})
}
