package fuzz

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"cbk/pack/wire"
)

// FuzzWire reads data as the values that shape names, one letter each, and writes them again: what decodes has exactly
// one encoding.
func FuzzWire(f *testing.F) {
	var e wire.Encoder
	e.Uvarint(300)
	e.Byte(7)
	e.Bytes([]byte("bytes"))
	e.String("string")
	e.Fixed([]byte("four"))
	f.Add("nobsf", e.Out())
	f.Add("n", []byte{0x80, 0x00})
	f.Add("n", bytes.Repeat([]byte{0xff}, 10))
	f.Add("c", []byte{0xff, 0xff, 0xff, 0xff, 0x07})
	f.Add("b", []byte{5, 1, 2})
	f.Fuzz(func(t *testing.T, shape string, data []byte) {
		var e wire.Encoder
		d := wire.NewDecoder(data)
		for _, kind := range shape {
			again(d, &e, kind)
		}
		err := d.Done()
		if err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("error %v", err)
		}
		if err == nil && !bytes.Equal(e.Out(), data) {
			t.Fatalf("%x decodes, and encodes as %x", data, e.Out())
		}
	})
}

// again reads one value and writes it.
func again(d *wire.Decoder, e *wire.Encoder, kind rune) {
	switch kind {
	case 'n':
		e.Uvarint(d.Uvarint(math.MaxUint64))
	case 'c':
		n := d.Count(math.MaxInt32, 1)
		e.Count(n)
		e.Fixed(d.Fixed(n))
	case 'o':
		e.Byte(d.Byte())
	case 'b':
		e.Bytes(d.Bytes(math.MaxInt32))
	case 's':
		e.String(d.String(math.MaxInt32))
	default:
		e.Fixed(d.Fixed(4))
	}
}
