package roles

import (
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"cbk/pack"
)

// A sealed session key, in a pack's tail or as an overlay sessions/<session id>/<seal key id>:
//
//	offset  size  field
//	0       8     seal key id: which private key opens it
//	8       1168  HPKE of the 32-byte data key; info "cbk/1" ‖ suite ‖ repository id ‖ domain ‖ session id ‖ seal key id
const (
	sessionContext = "cbk/1"
	// SealedSessionSize is the length of a sealed session key in bytes.
	SealedSessionSize = 8 + hpkeOverhead + 32
)

// sessionInfo has one part of variable length between fixed ones, so two different inputs never give the same bytes.
func sessionInfo(repo [16]byte, domain string, session pack.SessionID, seal SealKeyID) []byte {
	info := append([]byte(sessionContext), suite)
	info = append(info, repo[:]...)
	info = append(info, domain...)
	info = append(info, session[:]...)
	return append(info, seal[:]...)
}

func sealSession(repo [16]byte, domain string, id pack.SessionID, to SealKeyID, public hpke.PublicKey, k *pack.Key) ([]byte, error) {
	sealed, err := sealTo(public, sessionInfo(repo, domain, id, to), k.Secret[:])
	if err != nil {
		return nil, fmt.Errorf("seal session key to %s: %w", to, err)
	}
	return append(to[:], sealed...), nil
}

// NewSession draws the data key of a write session and seals it to the newest seal key of the trust log. The writer
// itself cannot open the sealed form. The error matches ErrRole unless the key may write the domain.
func (k *Keyring) NewSession(domain string) (*pack.Key, pack.Session, error) {
	if err := checkLabel(domain); err != nil {
		return nil, pack.Session{}, err
	}
	if !k.principal.Writes(domain) {
		return nil, pack.Session{}, fmt.Errorf("%s in domain %s: %w", k.Role(), domain, ErrRole)
	}
	var id pack.SessionID
	rand.Read(id[:])
	key := &pack.Key{ID: [8]byte(id[:8])}
	rand.Read(key.Secret[:])
	sealed, err := k.SealSession(domain, id, key)
	if err != nil {
		return nil, pack.Session{}, err
	}
	return key, pack.Session{ID: id, Sealed: sealed}, nil
}

// SealSession seals the key of a session, by who drew it, to the newest seal key of the trust log. Errors match
// ErrNoSealKey.
func (k *Keyring) SealSession(domain string, id pack.SessionID, key *pack.Key) ([]byte, error) {
	to, public, err := k.trust.SealKey(domain)
	if err != nil {
		return nil, err
	}
	return sealSession(k.trust.repository, domain, id, to, public, key)
}

// OpenSession returns the data key of a session, from the sealed form s carries or from an overlay. overlays returns
// the re-sealed form for a seal key, nil where there is none; it may be nil and is not called if s opens by itself.
// Errors match ErrRole for writers and keepers, ErrNoSealKey if no key held fits, pack.ErrAuthentication if a key held
// does not open what was sealed to it, ErrNotLent for a borrower whose loan lacks it.
func (k *Keyring) OpenSession(domain string, s pack.Session, overlays func(SealKeyID) ([]byte, error)) (*pack.Key, error) {
	if k.loan != nil {
		return k.loan.session(domain, s.ID)
	}
	if !k.Role().opensContent() {
		return nil, fmt.Errorf("open session as %s: %w", k.Role(), ErrRole)
	}
	key, err := k.unseal(domain, s)
	if err == nil || overlays == nil {
		return key, err
	}
	errs := []error{err}
	for _, seal := range slices.Backward(k.trust.SealKeys()) {
		if k.bundle.seal(seal.ID) == nil || seal.Domain != "" && seal.Domain != domain {
			continue
		}
		key, err := k.unsealOverlay(domain, s.ID, seal.ID, overlays)
		if key != nil {
			return key, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// unsealOverlay returns neither key nor error where there is no overlay.
func (k *Keyring) unsealOverlay(domain string, id pack.SessionID, seal SealKeyID, overlays func(SealKeyID) ([]byte, error)) (*pack.Key, error) {
	sealed, err := overlays(seal)
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	if len(sealed) < 8 || SealKeyID(sealed[:8]) != seal {
		return nil, &OverlayError{id, seal, fmt.Errorf("it names another seal key: %w", pack.ErrAuthentication)}
	}
	key, err := k.unseal(domain, pack.Session{ID: id, Sealed: sealed})
	if err != nil {
		return nil, &OverlayError{id, seal, err}
	}
	return key, nil
}

func (k *Keyring) unseal(domain string, s pack.Session) (*pack.Key, error) {
	if len(s.Sealed) != SealedSessionSize {
		return nil, fmt.Errorf("sealed key of session %x has %d bytes: %w", s.ID[:4], len(s.Sealed), pack.ErrAuthentication)
	}
	id := SealKeyID(s.Sealed[:8])
	held := k.bundle.seal(id)
	if held == nil {
		return nil, fmt.Errorf("session %x is sealed to %s: %w", s.ID[:4], id, ErrNoSealKey)
	}
	private, err := held.key()
	if err != nil {
		return nil, err
	}
	secret, err := openWith(private, sessionInfo(k.trust.repository, domain, s.ID, id), s.Sealed[8:])
	if err != nil {
		return nil, fmt.Errorf("session %x sealed to %s: %w", s.ID[:4], id, pack.ErrAuthentication)
	}
	defer clear(secret)
	return &pack.Key{ID: [8]byte(s.ID[:8]), Secret: [32]byte(secret)}, nil
}

// Opens reports whether the key holds the private half that the session is sealed to, overlays aside.
func (k *Keyring) Opens(s pack.Session) bool {
	return k.Role().opensContent() && len(s.Sealed) == SealedSessionSize && k.bundle.seal(SealKeyID(s.Sealed[:8])) != nil
}

// Reseal returns the overlay that seals the session's key to another seal key: a general one or one of its domain, not
// retired. Errors are those of OpenSession, and ErrRole for a borrower; ErrNoSealKey also if the trust log does not offer
// to.
func (k *Keyring) Reseal(domain string, s pack.Session, to SealKeyID) ([]byte, error) {
	if !k.Role().opensContent() {
		return nil, fmt.Errorf("seal session anew as %s: %w", k.Role(), ErrRole)
	}
	key, err := k.OpenSession(domain, s, nil)
	if err != nil {
		return nil, err
	}
	defer clear(key.Secret[:])
	for _, seal := range k.trust.SealKeys() {
		if seal.ID == to && !seal.Retired && (seal.Domain == "" || seal.Domain == domain) {
			return sealSession(k.trust.repository, domain, s.ID, to, seal.Public, key)
		}
	}
	return nil, fmt.Errorf("seal key %s is not offered to domain %s: %w", to, domain, ErrNoSealKey)
}
