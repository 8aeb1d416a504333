package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/pack/wire"
)

// item is one value of a structure, with the kind that a reader has to know.
type item struct {
	Kind  string
	Num   uint64
	Bytes []byte
}

func (i item) write(e *wire.Encoder) {
	switch i.Kind {
	case "number":
		e.Uvarint(i.Num)
	case "byte":
		e.Byte(byte(i.Num))
	case "fixed":
		e.Fixed(i.Bytes)
	case "bytes":
		e.Bytes(i.Bytes)
	case "string":
		e.String(string(i.Bytes))
	}
}

// read reads a value of the kind and, for fixed, the length of i.
func (i item) read(d *wire.Decoder) item {
	out := item{Kind: i.Kind}
	switch i.Kind {
	case "number":
		out.Num = d.Uvarint(math.MaxUint64)
	case "byte":
		out.Num = uint64(d.Byte())
	case "fixed":
		out.Bytes = make([]byte, len(i.Bytes))
		d.Array(out.Bytes)
	case "bytes":
		out.Bytes = append([]byte{}, d.Bytes(math.MaxInt32)...)
	case "string":
		out.Bytes = append([]byte{}, d.String(math.MaxInt32)...)
	}
	return out
}

func encode(items []item) []byte {
	var e wire.Encoder
	for _, i := range items {
		i.write(&e)
	}
	return e.Out()
}

func decode(b []byte, shape []item) ([]item, error) {
	d := wire.NewDecoder(b)
	out := []item{}
	for _, i := range shape {
		out = append(out, i.read(d))
	}
	return out, d.Done()
}

func drawItem(t *rapid.T) item {
	i := item{Kind: rapid.SampledFrom([]string{"number", "byte", "fixed", "bytes", "string"}).Draw(t, "kind")}
	switch i.Kind {
	case "number":
		i.Num = rapid.Uint64().Draw(t, "number")
	case "byte":
		i.Num = uint64(rapid.Byte().Draw(t, "byte"))
	default:
		i.Bytes = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")...)
	}
	return i
}

func drawItems(t *rapid.T) []item {
	return append([]item{}, rapid.SliceOfN(rapid.Custom(drawItem), 0, 12).Draw(t, "items")...)
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t)
		got, err := decode(encode(items), items)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(items, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Equal structures must be equal bytes, or nothing would deduplicate: what decodes at all has no second encoding.
func TestBytesThatDecodeAreTheOnlyEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawItems(t)
		b := encode(shape)
		if len(b) > 0 {
			i := rapid.IntRange(0, len(b)-1).Draw(t, "position")
			b[i] ^= rapid.ByteRange(1, 255).Draw(t, "mask")
		}
		got, err := decode(b, shape)
		if err != nil {
			return
		}
		if again := encode(got); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but encodes as %x", b, again)
		}
	})
}

func TestEveryTruncationIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t)
		b := encode(items)
		if len(b) == 0 {
			return
		}
		n := rapid.IntRange(0, len(b)-1).Draw(t, "length")
		if _, err := decode(b[:n], items); !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%d of %d bytes: error %v", n, len(b), err)
		}
	})
}

func TestTheGrammarIsThatOfTheDocs(t *testing.T) {
	var e wire.Encoder
	e.Uvarint(0)
	e.Uvarint(127)
	e.Uvarint(128)
	e.Count(300)
	e.Byte(0xfe)
	e.Fixed([]byte{1, 2})
	e.Bytes([]byte{3, 4, 5})
	e.String("né")
	want := []byte{
		0x00,
		0x7f,
		0x80, 0x01,
		0xac, 0x02,
		0xfe,
		1, 2,
		3, 3, 4, 5,
		3, 'n', 0xc3, 0xa9,
	}
	if diff := cmp.Diff(want, e.Out()); diff != "" {
		t.Fatal(diff)
	}
}

func TestMalformedBytesAreRefused(t *testing.T) {
	number := func(limit uint64) func(*wire.Decoder) { return func(d *wire.Decoder) { d.Uvarint(limit) } }
	for _, c := range []struct {
		name string
		in   []byte
		read func(*wire.Decoder)
		want string
	}{
		{"a number of no bytes", nil, number(9), "cut short"},
		{"a number that does not end", []byte{0x80, 0x80}, number(9), "cut short"},
		{"a number of eleven bytes", bytes.Repeat([]byte{0x80}, 11), number(math.MaxUint64), "too long"},
		{"a number over 64 bits", append(bytes.Repeat([]byte{0xff}, 9), 2), number(math.MaxUint64), "too long"},
		{"zero in two bytes", []byte{0x80, 0x00}, number(9), "shortest form"},
		{"one in three bytes", []byte{0x81, 0x80, 0x00}, number(9), "shortest form"},
		{"a number over its limit", []byte{10}, number(9), "number 10 over its limit 9"},
		{"more items than may be", []byte{4, 0, 0, 0, 0}, func(d *wire.Decoder) { d.Count(3, 1) }, "over its limit"},
		{"more items than bytes can hold", []byte{3, 0, 0, 0, 0, 0}, func(d *wire.Decoder) { d.Count(9, 2) }, "3 items in 5 bytes"},
		{"a byte string over its limit", []byte{4, 0, 0, 0, 0}, func(d *wire.Decoder) { d.Bytes(3) }, "over its limit"},
		{"a byte string cut short", []byte{4, 0, 0, 0}, func(d *wire.Decoder) { d.Bytes(9) }, "4 bytes wanted, 3 left"},
		{"a string cut short", []byte{1}, func(d *wire.Decoder) { d.String(9) }, "1 bytes wanted, 0 left"},
		{"an array cut short", []byte{1, 2, 3}, func(d *wire.Decoder) { d.Array(make([]byte, 4)) }, "4 bytes wanted, 3 left"},
		{"a byte that is not there", nil, func(d *wire.Decoder) { d.Byte() }, "1 bytes wanted, 0 left"},
		{"bytes left over", []byte{1, 2}, func(d *wire.Decoder) { d.Byte() }, "1 bytes left over"},
		{"a value the reader calls invalid", []byte{7}, func(d *wire.Decoder) { d.Invalid("type %d", d.Byte()) }, "type 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := wire.NewDecoder(c.in)
			c.read(d)
			err := d.Done()
			if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestNumbersAtTheirLimitPass(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 1<<32 - 1, 1 << 63, math.MaxUint64} {
		d := wire.NewDecoder(binary.AppendUvarint(nil, v))
		if got := d.Uvarint(v); got != v || d.Done() != nil {
			t.Errorf("%d comes back as %d: %v", v, got, d.Done())
		}
	}
}

func TestAfterTheFirstErrorEveryReadIsZero(t *testing.T) {
	d := wire.NewDecoder([]byte{200, 1, 5, 5, 5, 5, 5, 5})
	d.Uvarint(10)
	first := d.Err()
	array := []byte{9, 9}
	d.Array(array)
	got := []any{d.Uvarint(99), d.Count(99, 1), d.Byte(), d.Fixed(1), d.Bytes(9), d.String(9)}
	want := []any{uint64(0), 0, byte(0), []byte(nil), []byte(nil), ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	d.Invalid("something else")
	if first == nil || d.Err() != first || d.Done() != first {
		t.Errorf("the first error %v became %v", first, d.Done())
	}
}

func TestSlicesPointIntoTheInputAndCannotGrowIntoIt(t *testing.T) {
	in := []byte{2, 'a', 'b', 'c'}
	d := wire.NewDecoder(in)
	s := d.Bytes(2)
	in[1] = 'x'
	if string(s) != "xb" {
		t.Errorf("%q is a copy", s)
	}
	if _ = append(s, '!'); in[3] != 'c' {
		t.Error("appending to a slice overwrote the bytes after it")
	}
}

// A few bytes may not make the decoder allocate for what they promise.
func TestHostileCountsAllocateNothing(t *testing.T) {
	huge := binary.AppendUvarint(nil, math.MaxInt32)
	reads := map[string]func(*wire.Decoder){
		"items":       func(d *wire.Decoder) { d.Count(math.MaxInt32, 1) },
		"byte string": func(d *wire.Decoder) { d.Bytes(math.MaxInt32) },
		"string":      func(d *wire.Decoder) { _ = d.String(math.MaxInt32) },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := wire.NewDecoder(huge)
			read(d)
			runtime.ReadMemStats(&after)
			if !errors.Is(d.Done(), wire.ErrMalformed) {
				t.Fatalf("error %v", d.Done())
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Fatalf("%d bytes allocated for %d bytes of input", got, len(huge))
			}
		})
	}
}
