package roles

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"cbk/pack/wire"
)

// A recovery secret is 160 random bits, printed as 32 characters in groups of 4 and one more group, a checksum that
// tells a wrong character from a wrong secret: 20 bits of SHA-256, so one typo in a million goes unnoticed and then
// does not fit. The letters are Crockford's base32: no I, L, O or U, which are read as 1, 1 and 0.
const (
	recoverySize  = 20
	recoveryChars = 32
	checksumChars = 4
	groupChars    = 4
)

func crockford() *base32.Encoding {
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
}

// Recovery protects a slot by a random secret, which is returned as it is to be printed: nothing else keeps it.
func Recovery() (w Wrapping, printed string) {
	secret := make([]byte, recoverySize)
	rand.Read(secret)
	return Wrapping{slotRecovery, func() ([]byte, *slotSecret, error) {
		salt := newSalt()
		s, err := expand(secret, salt, slotRecovery)
		return salt, s, err
	}}, printRecovery(secret)
}

func printRecovery(secret []byte) string {
	text := crockford().EncodeToString(secret) + recoveryChecksum(secret)
	var groups []string
	for len(text) > 0 {
		groups, text = append(groups, text[:groupChars]), text[groupChars:]
	}
	return strings.Join(groups, "-")
}

func recoveryChecksum(secret []byte) string {
	h := sha256.New()
	h.Write([]byte("cbk recovery\x00"))
	h.Write(secret)
	return crockford().EncodeToString(h.Sum(nil))[:checksumChars]
}

// parseRecovery reads a secret as people type it: any case, with or without spaces and hyphens. Errors match ErrTypo
// and do not show what was typed.
func parseRecovery(typed string) ([]byte, error) {
	text := strings.NewReplacer(" ", "", "-", "", "\t", "", "\r", "", "\n", "", "O", "0", "I", "1", "L", "1").
		Replace(strings.ToUpper(typed))
	if len(text) != recoveryChars+checksumChars {
		return nil, fmt.Errorf("%d characters where %d belong: %w", len(text), recoveryChars+checksumChars, ErrTypo)
	}
	secret, err := crockford().DecodeString(text[:recoveryChars])
	if err != nil {
		return nil, fmt.Errorf("a character that never occurs in one: %w", ErrTypo)
	}
	if recoveryChecksum(secret) != text[recoveryChars:] {
		return nil, fmt.Errorf("its last group does not match the others: %w", ErrTypo)
	}
	return secret, nil
}

func parseSalt(params []byte) ([]byte, error) {
	if len(params) != saltSize {
		return nil, errors.Join(wire.ErrMalformed, fmt.Errorf("salt of %d bytes", len(params)))
	}
	return params, nil
}
