package pack

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// MaxBlob is the largest plaintext of a blob: the largest chunk of a Data.db, 8 MiB.
const MaxBlob = 8 << 20

// The first byte of a blob's plaintext says how the rest is encoded. It lies inside the seal, so a store learns nothing.
const (
	codecRaw  = 0
	codecZstd = 1
)

const (
	// sampleSize bytes from the middle decide whether a blob is compressed at all: zstd over incompressible chunks is
	// the slowest stage of a backup of LZ4 SSTables.
	sampleSize = 64 << 10
	// sampleGain is the saving, in percent of the sample, below which compressing is not worth its CPU.
	sampleGain = 3
	// richGain is the saving, in percent of the sample, from which content is worth more than the fastest level: rows
	// that no one has compressed before. It lasts as long as the backup; LZ4 SSTables as they are save 15 at the most.
	richGain = 33
)

// Codec compresses blob plaintexts and undoes it within MaxBlob. Safe for concurrent use.
type Codec struct {
	enc  atomic.Pointer[encoder]
	rich *encoder // for what is worth it while enc is below it
	dec  *zstd.Decoder
}

// encoder is all that a level needs. One that is replaced is garbage once its last blob is done: only the memory of one
// level and of the rich one is held.
type encoder struct {
	*zstd.Encoder
	level Level
}

// NewCodec returns a codec at the fastest level. Its memory is at most 12 MiB per processor, at each level.
func NewCodec() (*Codec, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(MaxBlob),
		zstd.WithDecoderMaxWindow(MaxBlob), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	rich, err := newEncoder(Default)
	if err != nil {
		return nil, err
	}
	c := &Codec{dec: dec, rich: rich}
	return c, c.SetLevel(Fastest)
}

func newEncoder(l Level) (*encoder, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(l.zstd()), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(2<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	return &encoder{enc, l}, nil
}

// Level returns the level of the blobs encoded from here on.
func (c *Codec) Level() Level { return c.enc.Load().level }

// SetLevel changes the level; blobs being encoded keep theirs.
func (c *Codec) SetLevel(l Level) error {
	if have := c.enc.Load(); have != nil && have.level == l {
		return nil
	}
	enc, err := newEncoder(l)
	if err != nil {
		return err
	}
	c.enc.Store(enc)
	return nil
}

// Encode appends the codec byte and plain, compressed where that saves bytes, to dst.
func (c *Codec) Encode(dst, plain []byte) []byte {
	start := len(dst)
	if enc := c.encoderFor(plain); enc != nil {
		dst = enc.EncodeAll(plain, append(dst, codecZstd))
		if len(dst)-start <= len(plain) {
			return dst
		}
	}
	return append(append(dst[:start], codecRaw), plain...)
}

// encoderFor is nil for what is not worth compressing.
func (c *Codec) encoderFor(plain []byte) *encoder {
	enc := c.enc.Load()
	if len(plain) <= sampleSize {
		if len(plain) == 0 {
			return nil
		}
		return enc
	}
	gain := enc.gain(plain)
	if gain < sampleGain {
		return nil
	}
	if gain >= richGain && enc.level < c.rich.level {
		return c.rich
	}
	return enc
}

// gain is the saving of a sample from the middle, in percent.
func (e *encoder) gain(plain []byte) int {
	mid := (len(plain) - sampleSize) / 2
	sample := e.EncodeAll(plain[mid:mid+sampleSize], make([]byte, 0, sampleSize+1024))
	return 100 - (len(sample)*100+sampleSize-1)/sampleSize
}

// Decode returns the plaintext of size bytes in dst's storage where it fits. A different size is an error: the size was
// authenticated, so the codec is at fault.
func (c *Codec) Decode(dst, encoded []byte, size int) ([]byte, error) {
	if size > MaxBlob {
		return nil, fmt.Errorf("decode blob: %d bytes over the limit of %d", size, MaxBlob)
	}
	if len(encoded) == 0 {
		return nil, fmt.Errorf("decode blob: no codec byte")
	}
	if cap(dst) < size {
		dst = make([]byte, 0, size)
	}
	dst = dst[:0:cap(dst)]
	var err error
	switch encoded[0] {
	case codecRaw:
		if len(encoded)-1 == size {
			dst = append(dst, encoded[1:]...)
		}
	case codecZstd:
		dst, err = c.dec.DecodeAll(encoded[1:], dst[:0:size])
	default:
		err = fmt.Errorf("codec %d: %w", encoded[0], ErrNewer)
	}
	if err == nil && len(dst) != size {
		err = fmt.Errorf("%d bytes where %d belong", len(dst), size)
	}
	if err != nil {
		return nil, fmt.Errorf("decode blob: %w", err)
	}
	return dst, nil
}
