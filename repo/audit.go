package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// What a key was used for stands in its chain: the objects audit/<key id>/<number>, numbered from 1. Each is signed by
// that key and no other, and sealed under the index key of the first of a writer's domains, or of the whole for other
// roles. Body, in the grammar of package wire:
//
//	previous  32 bytes: SHA-256 of the newest record before it that is as written, zeros in the first
//	entry     byte string, at most 256 KiB: JSON, see AuditEntry
//
// So whoever removes or changes a record breaks the chain, but for the newest ones: these are missed by whoever knows a
// head, a later one's key, number and hash.
const (
	maxAuditEntry = 256 << 10
	// An entry of the longest arguments, each byte of which JSON may write as six, and 256 names of objects of at most
	// 140 bytes stays below maxAuditEntry.
	maxAuditArgs    = 64
	maxAuditArg     = 256
	maxAuditObjects = 256
)

// AuditEntry says what was done. AppendAudit cuts what is longer than the format allows.
type AuditEntry struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"` // of the operating system
	Host    string    `json:"host"`
	Command string    `json:"command"`
	Args    []string  `json:"args,omitempty"`        // without secrets
	Plan    string    `json:"plan_sha256,omitempty"` // of the plan that was carried out, as JSON
	Result  string    `json:"result"`                // "done", or the code word of what went wrong
	Exit    int       `json:"exit"`                  // code of the process
	Objects []string  `json:"objects,omitempty"`     // that were made, the first 256 of them
	Made    int       `json:"objects_total"`
}

// AuditHead names one record: who knows it will miss it.
type AuditHead struct {
	Key  roles.KeyID
	Seq  uint64  // from 1; 0 is none
	Hash pack.ID // SHA-256 of the object
}

// String returns <key id>:<number>:<hash>.
func (h AuditHead) String() string { return fmt.Sprintf("%s:%d:%s", h.Key, h.Seq, h.Hash) }

func (h AuditHead) name() string { return auditName(h.Key, h.Seq) }

// ParseAuditHead reads what String returns.
func ParseAuditHead(text string) (h AuditHead, err error) {
	part := strings.Split(text, ":")
	if len(part) != 3 || !isNumber(part[1]) {
		return h, fmt.Errorf("%.120q is no <key id>:<number>:<hash>", text)
	}
	h.Key, err = roles.ParseKeyID(part[0])
	if err == nil {
		h.Hash, err = pack.ParseID(part[2])
	}
	h.Seq, _ = strconv.ParseUint(part[1], 10, 63) // isNumber has looked
	if err != nil {
		return AuditHead{}, fmt.Errorf("%.120q: %w", text, err)
	}
	return h, nil
}

// AuditRecord is one record of a key's chain.
type AuditRecord struct {
	AuditHead
	Previous pack.ID
	Revoked  bool // the key was revoked, before or after
	AuditEntry
}

func auditName(key roles.KeyID, seq uint64) string {
	return auditPrefix + key.String() + "/" + strconv.FormatUint(seq, 10)
}

// auditOf takes the name of a record apart, which the grammar has accepted.
func auditOf(name string) (key roles.KeyID, seq uint64) {
	part := strings.Split(name, "/")
	hex.Decode(key[:], []byte(part[1]))
	seq, _ = strconv.ParseUint(part[2], 10, 63)
	return key, seq
}

// auditLabel returns where the keys belong that a chain is sealed under; ok is false for a key that the trust log lacks.
func (r *Repo) auditLabel(key roles.KeyID) (label string, ok bool) {
	p, ok := r.trust.Principal(key)
	switch {
	case !ok:
		return "", false
	case p.Role == roles.RoleWriter:
		return p.Domains[0], true
	}
	return roles.Whole, true
}

// seesChain reports whether this key can read a chain: a writer only those of writers that begin with its own domain.
func (r *Repo) seesChain(key roles.KeyID) bool {
	label, ok := r.auditLabel(key)
	return r.sees(roles.Whole) || ok && r.sees(label)
}

// AppendAudit puts an entry at the end of this key's chain and returns where it stands. Where the end is known from
// local state, it costs one request. A process of the same key that is faster only shifts the number. After an error the
// record may or may not be there, and the chain is whole. The error matches roles.ErrRole for a borrower.
func (r *Repo) AppendAudit(ctx context.Context, e AuditEntry) (AuditHead, error) {
	key := r.Key().KeyID()
	label, known := r.auditLabel(key)
	if !known {
		return AuditHead{}, notAllowed(fmt.Sprintf("a %s has no audit chain", r.Key().Role()))
	}
	d, err := r.domain(label)
	if err != nil {
		return AuditHead{}, err
	}
	entry, err := e.encode()
	if err != nil {
		return AuditHead{}, err
	}
	head := r.auditPin(key)
	if head.Seq == 0 {
		if head, err = r.AuditHead(ctx, key); err != nil {
			return head, err
		}
	}
	next := head
	for range maxRetries {
		next.Seq++
		data := r.sealAudit(d, next.name(), head.Hash, entry)
		next.Hash = sha256.Sum256(data)
		err := r.st.Create(ctx, next.name(), data)
		if err == nil {
			return next, r.pinAudit(next)
		}
		if !errors.Is(err, store.ErrExists) {
			return AuditHead{}, err
		}
		// Another process of this key was first; or somebody put down what is no record, which is stepped over.
		newest, err := r.AuditHead(ctx, key)
		if err != nil {
			return AuditHead{}, err
		}
		if newest.Seq >= next.Seq {
			head, next = newest, newest
		}
	}
	return AuditHead{}, fmt.Errorf("the end of the chain of key %s moved %d times in a row: try again later", key, maxRetries)
}

func (e AuditEntry) encode() ([]byte, error) {
	e.At = e.At.UTC()
	args := make([]string, 0, min(len(e.Args), maxAuditArgs))
	for _, a := range e.Args[:cap(args)] {
		if len(a) > maxAuditArg {
			a = a[:maxAuditArg-len("…")] + "…"
		}
		args = append(args, strings.ToValidUTF8(a, "?"))
	}
	e.Args = args
	e.Made = len(e.Objects)
	e.Objects = e.Objects[:min(len(e.Objects), maxAuditObjects)]
	text, err := json.Marshal(e)
	if err == nil && len(text) > maxAuditEntry {
		err = fmt.Errorf("%d bytes, at most %d", len(text), maxAuditEntry)
	}
	if err != nil {
		return nil, fmt.Errorf("audit record: %w", err)
	}
	return text, nil
}

func (r *Repo) sealAudit(d *roles.Domain, name string, previous pack.ID, entry []byte) []byte {
	var e wire.Encoder
	e.Fixed(previous[:])
	e.Bytes(entry)
	return r.sealSigned(d, pack.ClassRecord, name, e.Out())
}

// openAudit opens the bytes at the place of a record. What is not as the key wrote it is a *DamageError.
func (r *Repo) openAudit(ctx context.Context, key roles.KeyID, seq uint64, data []byte) (AuditRecord, error) {
	rec := AuditRecord{AuditHead: AuditHead{Key: key, Seq: seq, Hash: sha256.Sum256(data)}}
	name := rec.name()
	label, _ := r.auditLabel(key)
	s, err := r.openSignedBy(ctx, pack.ClassRecord, label, name, data, itself(key))
	if err != nil {
		return rec, asDamage(name, err)
	}
	rec.Revoked = s.revoked
	d := wire.NewDecoder(s.body)
	d.Array(rec.Previous[:])
	entry := d.Bytes(maxAuditEntry)
	err = d.Done()
	if err == nil && json.Unmarshal(entry, &rec.AuditEntry) != nil {
		err = fmt.Errorf("entry: %w", wire.ErrMalformed)
	}
	return rec, asDamage(name, err)
}

// itself is the need of a signature that one key alone may give.
func itself(key roles.KeyID) func(*roles.Principal) error {
	return func(p *roles.Principal) error {
		if p.ID != key {
			return fmt.Errorf("this is the chain of key %s: %w", key, roles.ErrRole)
		}
		return nil
	}
}
