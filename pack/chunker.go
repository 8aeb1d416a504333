package pack

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/restic/chunker"
)

// Sizes bounds the chunks of one kind of content, in bytes. Bits sets the average to Min + 2^Bits.
type Sizes struct {
	Min  uint `json:"min"`
	Bits int  `json:"bits"`
	Max  uint `json:"max"`
}

// The default sizes. A Data.db is immutable, so most of its dedupe happens for the whole file: large chunks keep the
// index small. The other components are small, and parts of them survive a rewrite.
var (
	DataSizes  = Sizes{Min: 512 << 10, Bits: 21, Max: MaxBlob}
	OtherSizes = Sizes{Min: 64 << 10, Bits: 18, Max: 1 << 20}
)

// Check refuses sizes that could not have been written by cbk.
func (s Sizes) Check() error {
	if s.Min < 4<<10 || s.Max < s.Min || s.Max > MaxBlob || s.Bits < 12 || s.Bits > 23 {
		return fmt.Errorf("chunk sizes %d/2^%d/%d are out of range", s.Min, s.Bits, s.Max)
	}
	return nil
}

// Polynomial is a chunker's secret: where it cuts depends on it, so that boundaries do not name known content.
type Polynomial = chunker.Pol

// DerivePolynomial returns the polynomial of a 32-byte chunker key; the same key always gives the same one.
func DerivePolynomial(key [32]byte) (Polynomial, error) {
	// A candidate takes 8 bytes and is irreducible with a chance of 7.5 %: 8,000 bytes hold 1,000 candidates.
	stream, err := hkdf.Expand(sha256.New, key[:], "chunker polynomial", 8000)
	if err != nil {
		return 0, fmt.Errorf("derive polynomial: %w", err)
	}
	pol, err := chunker.DerivePolynomial(bytes.NewReader(stream))
	if err != nil {
		return 0, fmt.Errorf("derive polynomial: %w", err)
	}
	return pol, nil
}

// Chunker cuts a stream where its content says so: the same bytes are cut alike wherever they stand. Not safe for
// concurrent use; about 0.5 MiB each.
type Chunker struct{ c *chunker.Chunker }

// NewChunker cuts what r yields.
func NewChunker(r io.Reader, pol Polynomial, s Sizes) *Chunker {
	return &Chunker{chunker.New(r, pol, chunker.WithBoundaries(s.Min, s.Max), chunker.WithAverageBits(s.Bits))}
}

// Next returns the next chunk in buf's storage, which grows to the largest chunk met. At the end it returns io.EOF.
func (c *Chunker) Next(buf []byte) ([]byte, error) {
	chunk, err := c.c.Next(buf[:0])
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	return chunk.Data, err
}
