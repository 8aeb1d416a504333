package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// Repo is an open repository, as far as the key allows that opened it. Safe for concurrent use.
type Repo struct {
	identity *identity
	settings Settings
	id       [16]byte
	st       store.Store
	codec    *pack.Codec
	stateDir string
	within   string // full/<snapshot id>/ where this is a self-contained copy, see inside

	*opened
}

// opened is what a repository and its self-contained copies share: the keys, and what is known of those who wrote.
type opened struct {
	reading sync.Mutex // one at a time reads the trust log anew
	trust   *trustLog
	read    bool // the trust log was read by Open and by nobody since

	mu      sync.Mutex
	keyring *roles.Keyring
	renewed uint64                     // statements of the trust log that the keyring was opened with
	domains map[string][]*roles.Domain // all generations, oldest first
	ends    map[end]lineage            // what counts of revoked keys

	spare mappings // pack buffers of sessions that ended
}

// Open opens the repository in st. stateDir is where this machine keeps local indexes and the newest trust log seen;
// empty means that each reader builds a temporary index and nothing is remembered. Errors: ErrNoRepository, those of
// package roles for a key that does not fit (KeyMismatch), roles.ErrRolledBack, pack.ErrNewer, *DamageError.
func Open(ctx context.Context, st store.Store, u roles.Unlock, stateDir string) (*Repo, error) {
	raw, err := st.Get(ctx, configName, maxConfig)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoRepository
	}
	if err != nil {
		return nil, asDamage(configName, err)
	}
	c, err := decodeConfig(raw)
	if err != nil {
		return nil, err
	}
	trust := openTrust(c, stateDir)
	if err := trust.refresh(ctx, st); err != nil {
		return nil, err
	}
	settings, err := parseSettings(trust.Settings())
	if err != nil {
		return nil, err
	}
	objects := openKeyObjects(ctx, st, c, stateDir)
	keyring, err := roles.Open(c.id, c.owner, trust.Trust, objects.all(), u)
	if err == nil {
		err = objects.keep()
	}
	if err != nil {
		return nil, fromRoles(err)
	}
	codec, err := pack.NewCodec()
	if err != nil {
		return nil, err
	}
	if keyring.Role() == roles.RoleBorrower {
		st = store.ReadOnly(st)
	}
	head, _ := trust.Head()
	return &Repo{identity: c, settings: settings, id: c.id, st: st, codec: codec, stateDir: stateDir, opened: &opened{trust: trust,
		read: true, keyring: keyring, renewed: head, domains: make(map[string][]*roles.Domain), ends: make(map[end]lineage)}}, nil
}

// ID returns the repository's identity, 32 hex digits.
func (r *Repo) ID() string { return r.identity.Repository }

// Key returns the opened key: its role, id and domains, and the trust log.
func (r *Repo) Key() *roles.Keyring {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keyring
}

// By returns the repository as it is by way of another store, such as one that is open for writing. A borrower writes to
// none.
func (r *Repo) By(st store.Store) *Repo {
	by := *r
	if by.st = st; r.Key().Role() == roles.RoleBorrower {
		by.st = store.ReadOnly(st)
	}
	return &by
}

// Forgetful returns the repository with a state directory of none: what is read from here on, such as a view of the store
// that is not everyday's, gets into no local index.
func (r *Repo) Forgetful() *Repo {
	apart := *r
	apart.stateDir = ""
	return &apart
}

// Close releases the store.
func (r *Repo) Close() error { return r.st.Close() }

// refresh reads what was added to the trust log, and the grant that came with it. Errors are those of Open;
// roles.ErrRevoked means that this key is at its end. After an error the next call tries again: a key that has ended
// stays at its end.
func (r *Repo) refresh(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.read = false
	if err := r.trust.refresh(ctx, r.st); err != nil {
		return err
	}
	head, _ := r.trust.Head()
	if head == r.renewed { // guarded by reading
		return nil
	}
	objects := openKeyObjects(ctx, r.st, r.identity, r.stateDir)
	k, err := r.Key().Renew(r.trust.Trust, objects.all())
	if err == nil {
		err = objects.keep()
	}
	if err != nil {
		return fromRoles(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keyring, r.renewed = k, head
	clear(r.domains)
	clear(r.ends)
	return nil
}

// refreshOnce is refresh, unless Open has just done it.
func (r *Repo) refreshOnce(ctx context.Context) error {
	r.reading.Lock()
	fresh := r.read
	r.read = false
	r.reading.Unlock()
	if fresh {
		return nil
	}
	return r.refresh(ctx)
}

// generations returns all generations of a domain's keys, or of the whole repository's, oldest first.
func (r *Repo) generations(label string) ([]*roles.Domain, error) {
	if label != roles.Whole {
		if err := CheckDomain(label); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.domains[label]; ok {
		return d, nil
	}
	d, err := derive(r.keyring, label)
	if err != nil {
		return nil, err
	}
	r.domains[label] = d
	return d, nil
}

func derive(k *roles.Keyring, label string) ([]*roles.Domain, error) {
	if label != roles.Whole {
		return k.Generations(label)
	}
	d, err := k.Whole()
	return []*roles.Domain{d}, err
}

// domain returns the generation of a domain's keys in which it is written.
func (r *Repo) domain(label string) (*roles.Domain, error) {
	d, err := r.generations(label)
	if err != nil {
		return nil, err
	}
	return d[len(d)-1], nil
}

// sees reports whether the key can see a domain, or the whole, at all: writers and borrowers see only their own domains.
func (r *Repo) sees(label string) bool { return r.Key().Sees(label) }

// Reads reports whether the key opens all content, or only what is said about it, and what it was lent.
func (r *Repo) Reads() bool {
	role := r.Key().Role()
	return role == roles.RoleOwner || role == roles.RoleReader
}

// MustRead refuses what needs content if the key opens none. The error matches roles.ErrRole. What a borrower was lent is
// seen when it is read.
func (r *Repo) MustRead(do string) error {
	if r.Key().Role() == roles.RoleBorrower {
		return nil
	}
	return r.must(do, roles.RoleReader, roles.RoleOwner)
}

// must refuses what the key's role may not do, before anything is tried. The error matches roles.ErrRole.
func (r *Repo) must(do string, may ...roles.Role) error {
	if have := r.Key().Role(); !slices.Contains(may, have) {
		return notAllowed(fmt.Sprintf("a %s key cannot %s: use the key of %s", have, do, either(may)))
	}
	return nil
}

// notAllowed is an error that matches roles.ErrRole and says it in its own words.
type notAllowed string

// Error returns one line.
func (n notAllowed) Error() string { return string(n) }

// Is makes it match roles.ErrRole.
func (n notAllowed) Is(target error) bool { return target == roles.ErrRole }

func either(may []roles.Role) string {
	var s string
	for i, m := range may {
		switch {
		case i > 0 && i == len(may)-1:
			s += " or "
		case i > 0:
			s += ", "
		}
		s += "a " + string(m)
		if m == roles.RoleOwner {
			s = s[:len(s)-len("a owner")] + "an owner"
		}
	}
	return s
}

// openCache opens the local index of one generation of a domain; each generation starts with an empty one. A reader falls
// back to a temporary one while a backup holds it.
func (r *Repo) openCache(d *roles.Domain, writing bool) (*index.Cache, error) {
	if r.stateDir == "" {
		return index.OpenTemporary()
	}
	c, err := index.Open(filepath.Join(r.stateDir, "cache", r.ID(), d.Label, fmt.Sprintf("g%d", d.Generation)))
	if errors.Is(err, index.ErrLocked) && !writing {
		return index.OpenTemporary()
	}
	return c, err
}

func isShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
