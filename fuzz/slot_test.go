package fuzz

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/keys"
)

// fixedSlot was made for passphrase "golden". It is the same in every process of a search, which a fresh slot is not.
const fixedSlot = `
	63626b53010108016461657e82e74f470384f4bf238ac6b2e2c31bc1f2e5047e21de576c2b8048c1616c2d57fdd147f0
	4a60f77971704e37970163626b0100010500000000000000002d332d7001d970e4e0d68d648f2146316fa01125053f27
	86b522cb7b9896be6fb9576a0b35d4f319f13d014d5aa40b294ade2adb7ac326e23ea672722912a033b7e3c714d3bc26
	79fb40b213a5ed956e3415ffcc3d8c7593df39999357b4ce3d1bbf0a089bc6ea7bf2a613505a02ca765b2db169e7e240
	0744f77f28236d5037b1bc4635f64592b8`

// FuzzSlot opens key slots. Nothing but the genuine slot opens, and what asks for too much is refused before it is paid.
func FuzzSlot(f *testing.F) {
	const passphrase = "golden"
	owner := [16]byte([]byte("repository one.."))
	genuine, err := hex.DecodeString(strings.Join(strings.Fields(fixedSlot), ""))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := keys.OpenSlot(genuine, owner, []byte(passphrase)); err != nil {
		f.Fatal(err)
	}
	f.Add(genuine, passphrase)
	f.Add(genuine, "wrong")
	f.Add(genuine[:60], passphrase)
	f.Add(append(bytes.Clone(genuine), 0), passphrase)
	f.Add(append([]byte("cbkS\x01\x01\x80\x80\x80\x02\x01"), genuine[8:]...), passphrase)
	f.Fuzz(func(t *testing.T, slot []byte, word string) {
		if dear(slot) {
			return
		}
		s, err := keys.OpenSlot(slot, owner, []byte(word))
		if err == nil {
			if !bytes.Equal(slot, genuine) || word != passphrase {
				t.Fatalf("slot %x opens with %q", slot, word)
			}
			return
		}
		known := errors.Is(err, keys.ErrPassphrase) || errors.Is(err, wire.ErrMalformed) ||
			errors.Is(err, pack.ErrAuthentication) || errors.Is(err, pack.ErrNewer)
		if s != nil || !known {
			t.Fatalf("error %v", err)
		}
	})
}

// dear reports whether a slot asks for a cost that is allowed but would slow the search down.
func dear(slot []byte) bool {
	d := wire.NewDecoder(slot)
	d.Fixed(5)
	time, memory, threads := d.Uvarint(16), d.Uvarint(256<<10), d.Uvarint(16)
	return d.Err() == nil && (time > 2 || memory > 64 || threads > 4)
}
