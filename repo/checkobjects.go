package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// keys compares each key object with its name. That their owner signed them is seen by those who open with them.
func (c *Checker) keys(ctx context.Context) error {
	for _, name := range c.inv.keys {
		data, err := c.repo.st.Get(ctx, name, roles.MaxGrant)
		if err == nil && roles.KeyObjectName(data) != name {
			err = &DamageError{Object: name, What: "its bytes do not match its name"}
		}
		if err := c.note(asDamage(name, err)); err != nil {
			return err
		}
	}
	return nil
}

// trust compares the trust log in the store with the one that was verified as the repository was opened, part of which
// this machine may have kept.
func (c *Checker) trust(ctx context.Context) error {
	for i, want := range c.repo.trust.all() {
		name := roles.TrustName(uint64(i) + 1)
		got, err := c.repo.st.Get(ctx, name, roles.MaxStatement)
		if err == nil && !bytes.Equal(got, want) {
			err = &DamageError{Object: name, What: "it is not the statement seen before"}
		}
		if err := c.note(asDamage(name, err)); err != nil {
			return err
		}
	}
	return nil
}

// records opens pending roots and tombstones, holds, results of checks, losses, what is wanted, and the audit chains.
func (c *Checker) records(ctx context.Context) error {
	for _, name := range c.inv.records {
		var err error
		if Classify(name) == KindPending {
			_, err = c.repo.readPending(ctx, name)
		} else {
			_, err = c.repo.readEpoch(ctx, store.Info{Name: name})
		}
		// What another command has removed since the listing is no damage.
		if err := c.note(ignoreMissing(err)); err != nil {
			return err
		}
	}
	for _, kind := range recordKinds {
		if !c.inv.said {
			break
		}
		if err := c.repo.Records(ctx, kind, func(_ Record, err error) error { return c.note(err) }); err != nil {
			return err
		}
	}
	for domain := range c.inv.wanted {
		if err := c.repo.eachWanted(ctx, domain, func(_ *wantedRecord, err error) error { return c.note(err) }); err != nil {
			return err
		}
	}
	if c.inv.bare && len(c.inv.copies) > 0 {
		return nil // what is left is the copy of a backup, and need not have the chains
	}
	return c.repo.Audit(ctx, AuditOptions{}, func(_ AuditRecord, err error) error { return c.note(err) })
}

// overlays opens the session keys that rotation has sealed anew, if the key can, after packs has met the sessions.
func (c *Checker) overlays(ctx context.Context, t *shelf) error {
	for _, name := range t.inv.sessions {
		parts := strings.Split(logical(name), "/")
		raw, _ := hex.DecodeString(parts[1]) // the grammar has been checked
		id := pack.SessionID(raw)
		to, _ := roles.ParseSealKeyID(parts[2])
		sealed, err := t.repo.overlays(ctx, id)(to)
		if err == nil && sealed != nil {
			err = c.overlay(t.domains[id], id, to, sealed)
		}
		if err := c.note(asDamage(name, err)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checker) overlay(domain string, id pack.SessionID, to roles.SealKeyID, sealed []byte) error {
	if roles.SealKeyID(sealed[:8]) != to {
		return fmt.Errorf("it names another seal key: %w", pack.ErrAuthentication)
	}
	if domain == "" || !c.repo.Reads() {
		return nil
	}
	_, err := c.repo.Key().OpenSession(domain, pack.Session{ID: id, Sealed: sealed}, nil)
	if errors.Is(err, roles.ErrNoSealKey) {
		return nil // sealed to a key that this reader was not given, or that was destroyed
	}
	return err
}

// chains checks in every domain that no root went without a deletion record: each root names the one that its author
// made before.
func (c *Checker) chains(ctx context.Context) error {
	if c.inv.bare {
		return nil // of the roots of a copy's author only those in copies are left
	}
	for _, domain := range c.inv.Domains {
		var all []linked
		unread := 0
		err := c.repo.eachLink(ctx, domain, func(l linked, err error) error {
			if err == nil {
				all = append(all, l)
			} else {
				unread++
			}
			return c.note(err)
		})
		if err != nil {
			return err
		}
		gaps := broken(all)
		if len(gaps) <= unread {
			continue // what could not be read, and was told, may be what they lack
		}
		for _, l := range gaps {
			c.find.Damage(&DamageError{Object: l.name, What: fmt.Sprintf("backup %d of key %s here, whose backup before it has neither root nor deletion record", l.Sequence, l.Author)})
		}
	}
	return nil
}
