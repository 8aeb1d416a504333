package roles

import (
	"errors"
	"slices"
	"testing"
)

// objectsOf are the names of the slots and of the grants of one key.
func objectsOf(v *vault, id KeyID) (slots, grants []string) {
	for _, name := range v.names() {
		o := Object{name, v.objects[name]}
		if s, _ := readSlot(v.trust(), o); s != nil && s.key == id {
			slots = append(slots, name)
		}
		if g := anyGrant(v.trust(), o); g != nil && g.key == id {
			grants = append(grants, name)
		}
	}
	return slots, grants
}

func guard(v *vault, remove string) error { return LastSlotGuard(v.trust(), v.keys(), remove) }

func TestTheLastOwnersSlotStays(t *testing.T) {
	v := newVault(t)
	first := v.slot(RoleOwner, Passphrase([]byte("a"), cheap))
	v.slot(RoleReader, Passphrase([]byte("b"), cheap))
	v.export(RoleOwner) // a file does not count: it may be lost
	slots, grants := objectsOf(v, first)
	if err := guard(v, slots[0]); !errors.Is(err, ErrLast) {
		t.Errorf("the last owner's slot: %v", err)
	}
	if err := guard(v, grants[0]); !errors.Is(err, ErrLast) {
		t.Errorf("the last owner's grant: %v", err)
	}
	second := v.slot(RoleOwner, Passphrase([]byte("c"), cheap))
	if err := guard(v, slots[0]); err != nil {
		t.Errorf("with a second owner: %v", err)
	}
	v.put(v.owner.Revoke(second, nil))
	if err := guard(v, slots[0]); !errors.Is(err, ErrLast) {
		t.Errorf("with a revoked second owner: %v", err)
	}
}

func TestTheLastSlotThatReadsStays(t *testing.T) {
	v := newVault(t)
	owner := v.slot(RoleOwner, Passphrase([]byte("a"), cheap))
	reader := v.slot(RoleReader, Passphrase([]byte("b"), cheap))
	ofOwner, _ := objectsOf(v, owner)
	delete(v.objects, ofOwner[0]) // somebody did it without asking
	slots, _ := objectsOf(v, reader)
	if err := guard(v, slots[0]); !errors.Is(err, ErrLast) {
		t.Errorf("the last reader's slot: %v", err)
	}
	keeper := v.slot(RoleKeeper, Passphrase([]byte("c"), cheap))
	slots, _ = objectsOf(v, keeper)
	if err := guard(v, slots[0]); err != nil {
		t.Errorf("a keeper's slot: %v", err)
	}
}

func TestADamagedSlotIsNoReasonToLetAnotherGo(t *testing.T) {
	v := newVault(t)
	first := v.slot(RoleOwner, Passphrase([]byte("a"), cheap))
	second := v.slot(RoleOwner, Passphrase([]byte("b"), cheap))
	broken, _ := objectsOf(v, second)
	v.objects[broken[0]][60] ^= 1
	slots, _ := objectsOf(v, first)
	if err := guard(v, slots[0]); !errors.Is(err, ErrLast) {
		t.Errorf("the last slot that is intact: %v", err)
	}
	if err := guard(v, broken[0]); err != nil {
		t.Errorf("the damaged one: %v", err)
	}
}

func TestOutrankedGrantsMayGoAndCurrentOnesNot(t *testing.T) {
	v := newVault(t)
	owner := v.slot(RoleOwner, Passphrase([]byte("a"), cheap))
	_, before := objectsOf(v, owner)
	v.put(v.owner.RotateSeal(""))
	_, after := objectsOf(v, owner)
	for _, name := range after {
		err := guard(v, name)
		if old := slices.Contains(before, name); old && err != nil {
			t.Errorf("an outranked grant: %v", err)
		} else if !old && !errors.Is(err, ErrLast) {
			t.Errorf("the current grant: %v", err)
		}
	}
}

func TestSupersededNamesWhatOnlyKeepsOldSecretsAlive(t *testing.T) {
	v := newVault(t)
	owner := v.slot(RoleOwner, Passphrase([]byte("a"), cheap))
	reader := v.slot(RoleReader, Passphrase([]byte("b"), cheap))
	if names, err := Superseded(v.trust(), v.keys()); err != nil || len(names) != 0 {
		t.Errorf("in a young repository %d: %v", len(names), err)
	}
	_, want := objectsOf(v, owner)
	slots, grants := objectsOf(v, reader)
	want = append(append(want, slots...), grants...)
	v.put(v.owner.Revoke(reader, nil))
	v.put(v.owner.RotateSeal(""))
	aborted, err := v.owner.RotateSeal("a")
	if err != nil {
		t.Fatal(err)
	}
	v.put(aborted[:len(aborted)-1], nil)
	names, err := Superseded(v.trust(), v.keys())
	slices.Sort(names)
	slices.Sort(want)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("superseded %v, want %v: %v", names, want, err)
	}
}

func TestAStoreThatFailsIsNotTakenForAnEmptyOne(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleOwner)
	trouble := errors.New("store is away")
	broken := func(yield func(Object, error) bool) { yield(Object{}, trouble) }
	_, err := Superseded(v.trust(), broken)
	_, opened := Open(v.id, v.public(), v.trust(), broken, WithPassphrase([]byte("a")))
	_, filed := Open(v.id, v.public(), v.trust(), broken, WithKeyFile(f))
	for name, err := range map[string]error{"guard": LastSlotGuard(v.trust(), broken, "x"), "superseded": err,
		"open by passphrase": opened, "open by key file": filed} {
		if !errors.Is(err, trouble) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = Open(v.id, v.public(), v.trust(), one(), WithKeyFile(f))
	if !errors.Is(err, ErrNoGrant) {
		t.Errorf("a store without key objects: %v", err)
	}
}
