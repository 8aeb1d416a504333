package ring

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// maxTokenText bounds a token's text. The longest is ByteOrderedPartitioner's:
// two hex digits for each byte of a key, and Cassandra's keys end at 64 KiB.
const maxTokenText = 2 * 65535

// token is a place on the ring. Those of the hashing partitioners are whole
// numbers, moved so that the lowest is 0; those of ByteOrderedPartitioner have
// the number 0 and go by their text.
type token struct {
	number uint128
	text   string // in the one form in which the partitioner writes it
}

func (t token) compare(o token) int {
	switch {
	case t.number.hi != o.number.hi:
		return cmp.Compare(t.number.hi, o.number.hi)
	case t.number.lo != o.number.lo:
		return cmp.Compare(t.number.lo, o.number.lo)
	}
	return strings.Compare(t.text, o.text)
}

type uint128 struct{ hi, lo uint64 }

func (a uint128) add(b uint128) uint128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return uint128{hi, lo}
}

func (a uint128) sub(b uint128) uint128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return uint128{hi, lo}
}

func (a uint128) float() float64 { return float64(a.hi)*(1<<64) + float64(a.lo) }

// partitioner is what the ring must know of one of Cassandra's.
type partitioner struct {
	name  string // of its class, without a package
	parse func(text string) (token, error)
	// size is how many tokens a key can have; zero where they are not numbers.
	size uint128
}

// newPartitioner knows a partitioner by its class, with or without a package.
func newPartitioner(class string) (partitioner, error) {
	switch name := shortClass(class); name {
	case "Murmur3Partitioner":
		// All of 64 bits but the lowest number, which stands for no token.
		return partitioner{name, parseMurmur3, uint128{0, 1<<64 - 1}}, nil
	case "RandomPartitioner":
		// The absolute value of 128 bits with a sign: 0 to 2^127.
		return partitioner{name, parseRandom, uint128{1 << 63, 1}}, nil
	case "ByteOrderedPartitioner":
		return partitioner{name, parseBytes, uint128{}}, nil
	}
	return partitioner{}, fmt.Errorf("partitioner %q is not known", class)
}

// shortClass is a Java class's name without its package.
func shortClass(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

func parseMurmur3(text string) (token, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return token{}, err
	}
	return token{uint128{0, uint64(v) ^ 1<<63}, strconv.FormatInt(v, 10)}, nil
}

func parseRandom(text string) (token, error) {
	if len(text) > 40 { // 2^127 has 39 digits
		return token{}, errors.New("the number is too long")
	}
	v, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return token{}, errors.New("it is no decimal number")
	}
	if v.Sign() < 0 || v.Cmp(new(big.Int).Lsh(big.NewInt(1), 127)) > 0 {
		return token{}, errors.New("the number is not within 0 and 2^127")
	}
	var b [16]byte
	v.FillBytes(b[:])
	return token{uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, v.String()}, nil
}

// parseBytes takes an odd number of digits as Cassandra does: a 0 goes before.
func parseBytes(text string) (token, error) {
	if text == "" || len(text) > maxTokenText {
		return token{}, fmt.Errorf("it has %d hex digits", len(text))
	}
	if len(text)%2 == 1 {
		text = "0" + text
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return token{}, err
	}
	return token{text: hex.EncodeToString(b)}, nil
}

// length is how many tokens of keys lie in (start, end]; where both are the same
// that is the whole ring.
func (p partitioner) length(start, end token) uint128 {
	d := end.number.sub(start.number)
	if end.compare(start) <= 0 {
		d = d.add(p.size)
	}
	return d
}

// Range is the part of the ring from behind Start up to and with End. Where End
// is not above Start it goes over the end of the ring, and where both are the
// same it is the whole ring.
type Range struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// String writes the range as Cassandra's users do: (5,9].
func (r Range) String() string {
	if r.Start == r.End {
		return "the whole ring"
	}
	return "(" + r.Start + "," + r.End + "]"
}
