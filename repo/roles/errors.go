package roles

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cbk/pack"
)

// The errors a caller decides by.
var (
	// ErrRole means that a key's role, or its domains, do not allow what was asked.
	ErrRole = errors.New("this key may not do that")
	// ErrNoFit means that no slot opens with what was given.
	ErrNoFit = errors.New("key does not fit")
	// ErrNoGrant means that no valid grant for the key is in the repository.
	ErrNoGrant = errors.New("no grant for this key")
	// ErrStale means that the newest grant lacks keys that the trust log knows: read the trust log and the key objects
	// again, and if that does not help have the owner regrant.
	ErrStale = errors.New("grant is older than the trust log")
	// ErrRolledBack means that a trust log is shorter than, or differs from, one seen before.
	ErrRolledBack = errors.New("trust log was rolled back or replaced")
	// ErrWrongRepository means that a key belongs to another repository or owner.
	ErrWrongRepository = errors.New("key of another repository")
	// ErrUnknownSigner means that the trust log does not name the signer: it may be older than the signature.
	ErrUnknownSigner = errors.New("unknown signer")
	// ErrBadSignature means that bytes were not signed by the key they name.
	ErrBadSignature = errors.New("signature is wrong")
	// ErrRevoked means that a key was revoked.
	ErrRevoked = errors.New("key is revoked")
	// ErrNoSealKey means that none of the seal keys held opens a session.
	ErrNoSealKey = errors.New("no seal key held opens the session")
	// ErrTypo means that a recovery secret was mistyped.
	ErrTypo = errors.New("recovery secret is mistyped")
	// ErrKeyFile means that bytes are no intact key file.
	ErrKeyFile = errors.New("no intact key file")
	// ErrLoan means that bytes are no intact loan, or that nobody who may lend has signed them.
	ErrLoan = errors.New("no intact loan")
	// ErrExpired means that a loan's time is over.
	ErrExpired = errors.New("loan is over")
	// ErrNotLent means that a loan lacks the key of a session.
	ErrNotLent = errors.New("session key is not in the loan")
	// ErrLast means that the act would leave the repository without a key that can do what is still needed.
	ErrLast = errors.New("last key of its kind")
)

// DamagedObjectError reports an object whose bytes are not what its author wrote, or that a stranger wrote.
type DamagedObjectError struct {
	Name string // of the object
	What string // is wrong
}

// Error names the object and what is wrong with it.
func (e *DamagedObjectError) Error() string { return fmt.Sprintf("%s is damaged: %s", e.Name, e.What) }

// OverlayError reports the overlay of a session that does not open.
type OverlayError struct {
	Session pack.SessionID
	Seal    SealKeyID
	Err     error
}

// Error names the overlay.
func (e *OverlayError) Error() string {
	return fmt.Sprintf("overlay of session %x for seal key %s: %v", e.Session[:4], e.Seal, e.Err)
}

// Unwrap returns why it does not open.
func (e *OverlayError) Unwrap() error { return e.Err }

// Whatever holds a secret prints as a short description under every verb of fmt: the package's own methods would not
// reach fields printed by reflection.

func describe(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format, args...) }

// Format implements fmt.Formatter.
func (k Keyring) Format(f fmt.State, _ rune) {
	if k.principal == nil {
		describe(f, "empty keyring")
		return
	}
	if k.loan != nil {
		describe(f, "keyring of %s", k.loan)
		return
	}
	describe(f, "keyring of %s %s", k.principal.Role, k.principal.ID)
}

// Format implements fmt.Formatter.
func (d Domain) Format(f fmt.State, _ rune) {
	describe(f, "domain %s generation %d", d.Label, d.Generation)
}

// Format implements fmt.Formatter.
func (o Owner) Format(f fmt.State, _ rune) { describe(f, "owner's keys") }

// Format implements fmt.Formatter.
func (k KeyFile) Format(f fmt.State, _ rune) { describe(f, "key file of %s %s", k.Role, k.KeyID) }

// Format implements fmt.Formatter.
func (l Loan) Format(f fmt.State, _ rune) {
	describe(f, "loan of key %s until %s", l.Lender, l.NotAfter.UTC().Format(time.RFC3339))
}

// Format implements fmt.Formatter.
func (w Wrapping) Format(f fmt.State, _ rune) { describe(f, "%s wrapping", w.kind) }

// Format implements fmt.Formatter.
func (u Unlock) Format(f fmt.State, _ rune) {
	if u.loan != nil {
		describe(f, "%s unlock", u.loan)
		return
	}
	describe(f, "%s unlock", u.kind)
}
