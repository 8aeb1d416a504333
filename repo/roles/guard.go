package roles

import (
	"bytes"
	"fmt"
	"iter"
)

// holding is what the key objects of one principal are worth.
type holding struct {
	slots map[string]bool // by object name
	grant string          // object name of its newest grant
	last  uint64          // number of that grant
}

// holdings reads all key objects. What is damaged or of no principal is worth nothing.
func holdings(t *Trust, objects iter.Seq2[Object, error]) (map[KeyID]*holding, error) {
	all := map[KeyID]*holding{}
	of := func(id KeyID) *holding {
		if all[id] == nil {
			all[id] = &holding{slots: map[string]bool{}}
		}
		return all[id]
	}
	for o, err := range objects {
		if err != nil {
			return nil, fmt.Errorf("read key objects: %w", err)
		}
		if s, _ := readSlot(t, o); s != nil {
			of(s.key).slots[o.Name] = true
		}
		if g := anyGrant(t, o); g != nil {
			if h := of(g.key); g.number >= h.last {
				h.grant, h.last = o.Name, g.number
			}
		}
	}
	return all, nil
}

// anyGrant returns the grant in an object if it is valid, whosever it is.
func anyGrant(t *Trust, o Object) *grant {
	if checkName(o) != nil || !bytes.HasPrefix(o.Data, grantMagic[:]) {
		return nil
	}
	g, _ := verifyGrant(t, o)
	return g
}

// opens reports whether the principal has a slot and its newest grant, even without the object remove ("" = none).
func (h *holding) opens(remove string) bool {
	left := len(h.slots)
	if h.slots[remove] {
		left--
	}
	return left > 0 && h.grant != "" && h.grant != remove
}

// LastSlotGuard refuses, with ErrLast, to let the object remove go if after it no slot would open as owner, or none as
// owner or reader, though one does with it. Slots of revoked keys do not count, nor slots without their newest grant,
// nor key files, which may be lost.
func LastSlotGuard(t *Trust, objects iter.Seq2[Object, error], remove string) error {
	all, err := holdings(t, objects)
	if err != nil {
		return err
	}
	for _, need := range []struct {
		what string
		role func(Role) bool
	}{
		{"owner", func(r Role) bool { return r == RoleOwner }},
		{"reader", Role.opensContent},
	} {
		before, after := 0, 0
		for p := range t.live() {
			h := all[p.ID]
			if h == nil || !need.role(p.Role) {
				continue
			}
			if h.opens("") {
				before++
			}
			if h.opens(remove) {
				after++
			}
		}
		if before > 0 && after == 0 {
			return fmt.Errorf("without %s no slot opens as %s: %w", remove, need.what, ErrLast)
		}
	}
	return nil
}

// Superseded returns the names of key objects that only keep old secrets alive: grants that a newer one replaces, and
// slots and grants of revoked keys. Objects of acts still under way are not among them.
func Superseded(t *Trust, objects iter.Seq2[Object, error]) ([]string, error) {
	all, err := holdings(t, objects)
	if err != nil {
		return nil, err
	}
	var names []string
	for o, err := range objects {
		if err != nil {
			return nil, fmt.Errorf("read key objects: %w", err)
		}
		if s, _ := readSlot(t, o); s != nil {
			if _, dead := t.Revoked(s.key); dead {
				names = append(names, o.Name)
			}
		}
		if g := anyGrant(t, o); g != nil {
			if _, dead := t.Revoked(g.key); dead || g.number < all[g.key].last {
				names = append(names, o.Name)
			}
		}
	}
	return names, nil
}

// Slot is one way to open a key.
type Slot struct {
	Name string // of the object
	Kind string // "passphrase", "KMS" or "recovery secret"
}

// Slots returns the slots of all keys, revoked ones too; a key that only its file holds has none.
func Slots(t *Trust, objects iter.Seq2[Object, error]) (map[KeyID][]Slot, error) {
	all := map[KeyID][]Slot{}
	for o, err := range objects {
		if err != nil {
			return nil, fmt.Errorf("read key objects: %w", err)
		}
		if s, _ := readSlot(t, o); s != nil {
			all[s.key] = append(all[s.key], Slot{o.Name, s.kind.String()})
		}
	}
	return all, nil
}
