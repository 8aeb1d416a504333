package roles

import (
	"errors"
	"testing"

	"cbk/pack"
)

func TestWhatOneWriterSealsReadersAndOwnersOpen(t *testing.T) {
	v := newVault(t)
	v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	writer, reader := v.open(WithKeyFile(v.export(RoleWriter, "node-1"))), v.open(WithKeyFile(v.export(RoleReader)))
	owner := v.open(WithPassphrase([]byte("sesame")))

	key, s := session(t, writer, "node-1")
	if !reads(t, reader, "node-1", s, key) || !reads(t, owner, "node-1", s, key) {
		t.Error("a session does not open")
	}
	if reads(t, reader, "node-2", s, key) {
		t.Error("a session opens as one of another domain")
	}
	other := s
	other.ID[15]++
	if reads(t, reader, "node-1", other, key) {
		t.Error("a session opens under another id")
	}
	if len(s.Sealed) != SealedSessionSize {
		t.Errorf("sealed key of %d bytes", len(s.Sealed))
	}
}

func TestRolesDeriveTheSameKeysOrNone(t *testing.T) {
	v := newVault(t)
	writer, keeper := v.open(WithKeyFile(v.export(RoleWriter, "a", "b"))), v.open(WithKeyFile(v.export(RoleKeeper)))
	reader := v.open(WithKeyFile(v.export(RoleReader)))
	want, err := reader.Domain("a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := writer.Domain("a")
	if err != nil {
		t.Fatal(err)
	}
	id := func(d *Domain) pack.ID { return d.Hasher.ID(pack.Data, []byte("content")) }
	if id(got) != id(want) || got.Polynomial != want.Polynomial || *got.Index != *want.Index {
		t.Error("writer and reader have different keys")
	}
	blind, err := keeper.Domain("a")
	if err != nil {
		t.Fatal(err)
	}
	if blind.Hasher != nil || blind.Polynomial != 0 || *blind.Index != *want.Index {
		t.Error("a keeper has other keys than the index key")
	}
	if blind.SnapshotID("x", 1) != want.SnapshotID("x", 1) || want.SnapshotID("x", 1) == want.SnapshotID("x", 2) {
		t.Error("snapshot ids are wrong")
	}
	other, err := writer.Domain("b")
	if err != nil {
		t.Fatal(err)
	}
	if id(other) == id(want) || other.Polynomial == want.Polynomial || *other.Index == *want.Index {
		t.Error("two domains share a key")
	}
	if _, err := writer.Domain("c"); !errors.Is(err, ErrRole) {
		t.Errorf("domain of another writer: %v", err)
	}
}

func TestTheKeyOfTheWholeIsForAllButWriters(t *testing.T) {
	v := newVault(t)
	want, err := v.open(WithKeyFile(v.export(RoleReader))).Whole()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{RoleOwner, RoleKeeper, RoleReader} {
		got, err := v.open(WithKeyFile(v.export(role))).Whole()
		if err != nil || *got.Index != *want.Index || got.Label != Whole || got.Hasher != nil {
			t.Errorf("%s: %v, %v", role, got, err)
		}
	}
	writer := v.open(WithKeyFile(v.export(RoleWriter, "a")))
	if _, err := writer.Whole(); !errors.Is(err, ErrRole) {
		t.Errorf("a writer: %v", err)
	}
	own, err := writer.Domain("a")
	if err != nil || *own.Index == *want.Index || checkLabel(Whole) == nil {
		t.Errorf("a domain has the key of the whole, or could have: %v", err)
	}
}
