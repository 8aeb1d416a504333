package store

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/time/rate"
)

// minRate is the slowest rate in bytes a second. Below it a single piece would
// wait long enough to pass for a stall.
const minRate = 64 << 10

// Rate limits the bytes per second that all operations of s together send (up)
// and receive (down); 0 is no limit. Bodies are slowed as they flow, so a large
// object does not leave in one burst.
func Rate(s Store, up, down int64) (Store, error) {
	if up == 0 && down == 0 {
		return s, nil
	}
	for _, r := range []int64{up, down} {
		if r != 0 && r < minRate {
			return nil, fmt.Errorf("%w rate: %d bytes a second, at least %d", ErrInvalid, r, minRate)
		}
	}
	lanes := &lanes{up: limiter(up), down: limiter(down)}
	return &telling{s, func(ctx context.Context) context.Context {
		return context.WithValue(ctx, lanesKey{}, lanes)
	}}, nil
}

// lanes are the limits of the two directions; a nil one is free.
type lanes struct{ up, down *rate.Limiter }

type lanesKey struct{}

// limiter lets a quarter of a second's bytes through at once, at least what a
// network packet buffer holds.
func limiter(perSecond int64) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/4, 16<<10), pieceSize)))
}

// paced slows a body down to the rate that ctx tells of.
func paced(ctx context.Context, r io.Reader, direction func(*lanes) *rate.Limiter) io.Reader {
	l, _ := ctx.Value(lanesKey{}).(*lanes)
	if l == nil || direction(l) == nil {
		return r
	}
	return &pacedReader{ctx, r, direction(l)}
}

func upward(l *lanes) *rate.Limiter   { return l.up }
func downward(l *lanes) *rate.Limiter { return l.down }

type pacedReader struct {
	ctx     context.Context
	r       io.Reader
	limiter *rate.Limiter
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b[:min(len(b), p.limiter.Burst())])
	if n > 0 {
		if waitErr := p.limiter.WaitN(p.ctx, n); waitErr != nil {
			return 0, waitErr
		}
	}
	return n, err
}
