package roles

import (
	"errors"
	"testing"
)

func TestGrantsOfAnActThatNeverCameAboutAreVoid(t *testing.T) {
	v := newVault(t)
	owner, reading := v.export(RoleOwner), v.export(RoleReader)
	rival, err := OpenOwner(v.open(WithKeyFile(owner)))
	if err != nil {
		t.Fatal(err)
	}
	lost, err := rival.RotateSeal("")
	if err != nil {
		t.Fatal(err)
	}
	v.put(lost[:len(lost)-1], nil) // its grants, but its statement's number is taken by another act
	v.put(v.owner.SetSettings([]byte(`{}`)))
	k := v.open(WithKeyFile(reading))
	if len(k.bundle.seals) != 1 {
		t.Errorf("the reader holds %d seal keys", len(k.bundle.seals))
	}
	if _, taken := v.objects[lost[len(lost)-1].Name]; !taken {
		t.Error("the two acts do not contend for one name")
	}
	again, err := OpenOwner(v.open(WithKeyFile(owner)))
	if err != nil {
		t.Fatal(err)
	}
	v.owner = again
	v.put(v.owner.RotateSeal(""))
	if k := v.open(WithKeyFile(reading)); len(k.bundle.seals) != 2 {
		t.Errorf("after the repeated act the reader holds %d seal keys", len(k.bundle.seals))
	}
}

func TestAStaleGrantSaysSo(t *testing.T) {
	v := newVault(t)
	owner, writer, stolen := v.export(RoleOwner), v.export(RoleWriter, "a"), v.export(RoleWriter, "a")
	v.put(v.owner.RotateSeal("")) // so that the owner's grant may be lost
	kept := v.objects
	revoke, err := v.owner.Revoke(stolen.KeyID, nil)
	v.put(revoke, err)
	for _, o := range revoke {
		if g, _ := decodeGrant(v.trust(), o.Data); g != nil {
			delete(kept, o.Name)
		}
	}
	k := v.open(WithKeyFile(writer))
	if _, err := k.Domain("a"); !errors.Is(err, ErrStale) {
		t.Errorf("writer without the newest generation: %v", err)
	}
	if _, err := k.Generations("a"); !errors.Is(err, ErrStale) {
		t.Errorf("all generations: %v", err)
	}
	v.put(v.owner.RotateSeal(""))
	for _, name := range v.names() {
		if g := anyGrant(v.trust(), Object{name, v.objects[name]}); g != nil && g.key == owner.KeyID && g.number > 3 {
			delete(v.objects, name)
		}
	}
	if _, err := OpenOwner(v.open(WithKeyFile(owner))); !errors.Is(err, ErrStale) {
		t.Errorf("owner without the newest seal key: %v", err)
	}
	v.put(v.owner.Regrant())
	if _, err := OpenOwner(v.open(WithKeyFile(owner))); err != nil {
		t.Errorf("after a regrant: %v", err)
	}
	if _, err := v.open(WithKeyFile(writer)).Domain("a"); err != nil {
		t.Errorf("after a regrant: %v", err)
	}
}

func TestRenewFollowsTheLogWithoutASecret(t *testing.T) {
	v := newVault(t)
	v.slot(RoleReader, Passphrase([]byte("sesame"), cheap))
	k := v.open(WithPassphrase([]byte("sesame")))
	old := v.trust()
	v.put(v.owner.RotateSeal(""))
	key, s := session(t, v.open(WithKeyFile(v.export(RoleWriter, "a"))), "a")
	if reads(t, k, "a", s, key) {
		t.Error("a keyring opens what it was not given")
	}
	renewed, err := k.Renew(v.trust(), v.keys())
	if err != nil {
		t.Fatal(err)
	}
	if !reads(t, renewed, "a", s, key) {
		t.Error("the renewed keyring does not open the session")
	}
	if _, err := renewed.Renew(old, v.keys()); !errors.Is(err, ErrRolledBack) {
		t.Errorf("renewed with an older log: %v", err)
	}
	other := newVault(t)
	if _, err := renewed.Renew(other.trust(), other.keys()); !errors.Is(err, ErrWrongRepository) {
		t.Errorf("renewed with another owner's log: %v", err)
	}
}

func TestAnExactGrantEndsTheReading(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleWriter, "a")
	var cached []Object
	for _, name := range v.names() {
		if g := anyGrant(v.trust(), Object{name, v.objects[name]}); g != nil && g.key == f.KeyID {
			cached = append(cached, Object{name, v.objects[name]})
		}
	}
	read := 0
	_, err := Open(v.id, v.public(), v.trust(), func(yield func(Object, error) bool) {
		for _, o := range cached {
			if read++; !yield(o, nil) {
				return
			}
		}
		read++
		yield(Object{}, errors.New("the store was asked"))
	}, WithKeyFile(f))
	if err != nil || read != 1 {
		t.Errorf("%d objects read: %v", read, err)
	}
}
