package chunk

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// seeds are short chunks of each kind.
func seeds() (all [][]byte) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, kind := range kinds {
		b := make([]byte, 300)
		kind.fill(r, b)
		all = append(all, b)
	}
	return all
}

// FuzzDecodeBlock decodes arbitrary bytes into a room with a guard behind it.
func FuzzDecodeBlock(f *testing.F) {
	for _, plain := range seeds() {
		f.Add(NewEncoder(Late).AppendBlock(nil, plain), uint16(len(plain)))
	}
	f.Fuzz(func(t *testing.T, block []byte, room uint16) {
		guard := bytes.Repeat([]byte{0xa5}, 64)
		buf := append(make([]byte, room), guard...)
		n, err := DecodeBlock(buf[:room], block)
		if n < 0 || n > int(room) || !bytes.Equal(buf[room:], guard) {
			t.Fatalf("%d bytes in the room of %d, %v, guard %x", n, room, err, buf[room:])
		}
		if err != nil {
			return
		}
		again := make([]byte, n)
		if m, err := DecodeBlock(again, block); err != nil || !bytes.Equal(again[:m], buf[:n]) {
			t.Fatalf("with just the room of %d: %d, %v", n, m, err)
		}
	})
}

// FuzzBlocksComeBack encodes arbitrary bytes, repeated so that large blocks are met too.
func FuzzBlocksComeBack(f *testing.F) {
	for i, plain := range seeds() {
		f.Add(plain, uint8(i*50))
	}
	early, late := NewEncoder(Early), NewEncoder(Late)
	f.Fuzz(func(t *testing.T, piece []byte, times uint8) {
		plain := bytes.Repeat(piece, 1+int(times))
		if len(plain) > 1<<20 {
			return
		}
		for _, e := range []*Encoder{early, late} {
			block := e.AppendBlock(nil, plain)
			got := make([]byte, len(plain))
			if n, err := DecodeBlock(got, block); err != nil || !bytes.Equal(got[:n], plain) || len(block) > BlockBound(len(plain)) {
				t.Fatalf("%v: %d bytes in a block of %d come back as %d, %v", e.dialect, len(plain), len(block), n, err)
			}
		}
	})
}

// FuzzFormat decodes arbitrary bytes as a chunk of each class. What a reproducible format
// decodes goes back into a chunk of the same plain bytes.
func FuzzFormat(f *testing.F) {
	for i, class := range classes {
		for _, plain := range seeds() {
			f.Add(uint8(i), uint16(4096), class.store(plain))
		}
	}
	encoder := NewEncoder(Early)
	f.Fuzz(func(t *testing.T, class uint8, most uint16, stored []byte) {
		const length = 4096
		rawFrom := int(most)
		if rawFrom > length {
			rawFrom = math.MaxInt32
		}
		f := format(t, classes[int(class)%len(classes)].name, length, rawFrom)
		plain, err := f.Decode(nil, stored)
		if len(plain) > length {
			t.Fatalf("%d bytes", len(plain))
		}
		if err != nil || !f.Reproducible() {
			return
		}
		again, err := f.Decode(nil, encoder.AppendChunk(nil, plain, f))
		if err != nil || !bytes.HasPrefix(again, plain) || len(bytes.Trim(again[len(plain):], "\x00")) > 0 {
			t.Fatalf("%x comes back as %x, %v", plain, again, err)
		}
	})
}
