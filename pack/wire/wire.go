package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is matched by every decoding error.
var ErrMalformed = errors.New("malformed bytes")

// Encoder appends values to a byte slice. The zero Encoder is ready to use.
type Encoder struct{ buf []byte }

// Out returns what has been written.
func (e *Encoder) Out() []byte { return e.buf }

// Uvarint appends v in the fewest bytes, 7 bits each, low bits first.
func (e *Encoder) Uvarint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }

// Varint appends a number of either sign, small where it is near zero: as the Uvarint of 2v, or of -2v-1.
func (e *Encoder) Varint(v int64) { e.Uvarint(uint64(v)<<1 ^ uint64(v>>63)) }

// Count appends the length of a list that follows.
func (e *Encoder) Count(n int) { e.Uvarint(uint64(n)) }

// Byte appends one byte.
func (e *Encoder) Byte(b byte) { e.buf = append(e.buf, b) }

// Fixed appends b without a length; the decoder must know it.
func (e *Encoder) Fixed(b []byte) { e.buf = append(e.buf, b...) }

// Bytes appends b behind its length.
func (e *Encoder) Bytes(b []byte) {
	e.Count(len(b))
	e.Fixed(b)
}

// String appends s behind its length in bytes.
func (e *Encoder) String(s string) {
	e.Count(len(s))
	e.buf = append(e.buf, s...)
}

// Decoder reads values back in the order they were written. After the first error every read returns a zero value.
type Decoder struct {
	buf []byte
	err error
}

// NewDecoder reads from b and never copies it: slices returned by Bytes and Fixed point into b.
func NewDecoder(b []byte) *Decoder { return &Decoder{buf: b} }

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
	d.buf = nil
}

// Uvarint reads a number that may not exceed limit and must be minimally encoded.
func (d *Decoder) Uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.buf)
	switch {
	case d.err != nil:
		return 0
	case n <= 0:
		d.fail("number cut short or too long")
		return 0
	case n > 1 && d.buf[n-1] == 0:
		d.fail("number not in its shortest form")
		return 0
	case v > limit:
		d.fail("number %d over its limit %d", v, limit)
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

// Varint reads a number of either sign.
func (d *Decoder) Varint() int64 {
	v := d.Uvarint(1<<64 - 1)
	return int64(v>>1) ^ -int64(v&1)
}

// Count reads the length of a list of at most limit items, each of at least size bytes (size ≥ 1), so that a count can
// never promise more than the remaining bytes hold.
func (d *Decoder) Count(limit, size int) int {
	n := int(d.Uvarint(uint64(limit)))
	if d.err == nil && n > len(d.buf)/size {
		d.fail("%d items in %d bytes", n, len(d.buf))
		return 0
	}
	return n
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	b := d.Fixed(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// Fixed reads n bytes; nil after an error.
func (d *Decoder) Fixed(n int) []byte {
	if d.err == nil && n > len(d.buf) {
		d.fail("%d bytes wanted, %d left", n, len(d.buf))
	}
	if d.err != nil {
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

// Array fills dst, whose length the format fixes.
func (d *Decoder) Array(dst []byte) { copy(dst, d.Fixed(len(dst))) }

// Bytes reads a byte string of at most limit bytes.
func (d *Decoder) Bytes(limit int) []byte { return d.Fixed(int(d.Uvarint(uint64(limit)))) }

// String reads a string of at most limit bytes.
func (d *Decoder) String(limit int) string { return string(d.Bytes(limit)) }

// Invalid records that a value just read makes no sense.
func (d *Decoder) Invalid(format string, args ...any) { d.fail(format, args...) }

// Err returns the first error, nil while everything read was well-formed.
func (d *Decoder) Err() error { return d.err }

// Done returns the first error, or an error if bytes are left over.
func (d *Decoder) Done() error {
	if d.err == nil && len(d.buf) > 0 {
		d.fail("%d bytes left over", len(d.buf))
	}
	return d.err
}
