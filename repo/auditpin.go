package repo

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// maxPin bounds the file that holds a head: 16 + 19 + 64 characters.
const maxPin = 128

// pinDir is where this machine keeps the newest record that it has seen of each chain; "" = nowhere.
func (r *Repo) pinDir() string {
	if r.stateDir == "" {
		return ""
	}
	return filepath.Join(r.stateDir, "audit", r.ID())
}

// auditPin returns the newest record of a chain that this machine has seen. A file that cannot be used counts as none.
func (r *Repo) auditPin(key roles.KeyID) AuditHead {
	if r.pinDir() == "" {
		return AuditHead{}
	}
	f, err := os.Open(filepath.Join(r.pinDir(), key.String()))
	if err != nil {
		return AuditHead{}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPin))
	h, bad := ParseAuditHead(string(text))
	if errors.Join(err, bad) != nil || h.Key != key {
		return AuditHead{}
	}
	return h
}

// auditPins returns the newest records that this machine has seen.
func (r *Repo) auditPins() (heads []AuditHead, err error) {
	if r.pinDir() == "" {
		return nil, nil
	}
	files, err := os.ReadDir(r.pinDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		if key, err := roles.ParseKeyID(f.Name()); err == nil {
			heads = append(heads, r.auditPin(key))
		}
	}
	return slices.DeleteFunc(heads, func(h AuditHead) bool { return h.Seq == 0 }), err
}

// pinAudit remembers the newest record of a chain, unless this machine has seen a later one.
func (r *Repo) pinAudit(h AuditHead) error {
	if r.pinDir() == "" || r.auditPin(h.Key).Seq >= h.Seq {
		return nil
	}
	return replaceFile(filepath.Join(r.pinDir(), h.Key.String()), []byte(h.String()))
}

// AuditHead returns the newest record of a key's chain in the store that is as written; its Seq is 0 where there is none.
func (r *Repo) AuditHead(ctx context.Context, key roles.KeyID) (AuditHead, error) {
	var numbers []uint64
	err := r.st.List(ctx, auditPrefix+key.String()+"/", func(i store.Info) error {
		if Classify(i.Name) != KindAudit {
			return nil
		}
		_, seq := auditOf(i.Name)
		numbers = append(numbers, seq)
		return tooMany(len(numbers))
	})
	if err != nil {
		return AuditHead{}, err
	}
	slices.Sort(numbers)
	tried := 0
	for _, seq := range slices.Backward(numbers) {
		rec, err := r.readAudit(ctx, key, seq)
		tried++
		if ignoreDamage(err) != nil || err != nil && tried == maxRetries {
			return AuditHead{}, err
		}
		if err == nil {
			return rec.AuditHead, nil
		}
	}
	return AuditHead{Key: key}, nil
}

func (r *Repo) readAudit(ctx context.Context, key roles.KeyID, seq uint64) (AuditRecord, error) {
	name := auditName(key, seq)
	data, err := r.st.Get(ctx, name, maxAuditEntry+maxFrame)
	if err != nil {
		return AuditRecord{}, asDamage(name, err)
	}
	return r.openAudit(ctx, key, seq, data)
}
