package roles

import (
	"errors"
	"slices"
	"testing"

	"cbk/pack"
)

// overlaysOf serves one overlay.
func overlaysOf(id SealKeyID, sealed []byte) func(SealKeyID) ([]byte, error) {
	return func(asked SealKeyID) ([]byte, error) {
		if asked == id {
			return sealed, nil
		}
		return nil, nil
	}
}

func newestSeal(t *testing.T, trust *Trust, domain string) SealKeyID {
	t.Helper()
	id, _, err := trust.SealKey(domain)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRotationKeepsOldSessionsReadable(t *testing.T) {
	v := newVault(t)
	file, reading := v.export(RoleWriter, "a"), v.export(RoleReader)
	key, s := session(t, v.open(WithKeyFile(file)), "a")
	before := newestSeal(t, v.trust(), "a")
	v.put(v.owner.RotateSeal(""))
	after := newestSeal(t, v.trust(), "a")
	if before == after {
		t.Fatal("rotation offers the same seal key")
	}
	newKey, newSession := session(t, v.open(WithKeyFile(file)), "a")
	if SealKeyID(newSession.Sealed[:8]) != after || SealKeyID(s.Sealed[:8]) != before {
		t.Error("sessions are not sealed to the key of their time")
	}
	reader := v.open(WithKeyFile(reading))
	if !reads(t, reader, "a", s, key) || !reads(t, reader, "a", newSession, newKey) {
		t.Error("the reader's file of before the rotation does not read everything")
	}
}

func TestARetiredAndDestroyedSealKeyLeavesOnlyWhatWasResealed(t *testing.T) {
	v := newVault(t)
	reading := v.export(RoleReader)
	writer := v.open(WithKeyFile(v.export(RoleWriter, "a")))
	key, kept := session(t, writer, "a")
	_, lost := session(t, writer, "a")
	before := newestSeal(t, v.trust(), "a")
	v.put(v.owner.RotateSeal(""))
	after := newestSeal(t, v.trust(), "a")
	overlay, err := v.open(WithKeyFile(reading)).Reseal("a", kept, after)
	if err != nil {
		t.Fatal(err)
	}
	v.put(v.owner.RetireSeal(before))
	old, err := Superseded(v.trust(), v.keys())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		delete(v.objects, name)
	}
	reader := v.open(WithKeyFile(reading))
	if reader.bundle.seal(before) != nil {
		t.Fatal("the reader still gets the retired key")
	}
	got, err := reader.OpenSession("a", kept, overlaysOf(after, overlay))
	if err != nil || *got != *key {
		t.Errorf("re-sealed session: %v", err)
	}
	if _, err := reader.OpenSession("a", lost, overlaysOf(after, nil)); !errors.Is(err, ErrNoSealKey) {
		t.Errorf("session that was not re-sealed: %v", err)
	}
	if _, err := reader.OpenSession("a", lost, overlaysOf(after, overlay)); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("overlay of another session: %v", err)
	}
	if _, err := reader.OpenSession("b", kept, overlaysOf(after, overlay)); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("overlay for another domain: %v", err)
	}
}

func TestTheNewestGrantWinsWhereOlderOnesCarryMore(t *testing.T) {
	v := newVault(t)
	reading := v.export(RoleReader)
	before := newestSeal(t, v.trust(), "a")
	v.put(v.owner.RotateSeal(""))
	v.put(v.owner.RetireSeal(before))
	if v.open(WithKeyFile(reading)).bundle.seal(before) != nil {
		t.Error("an outranked grant is used although a newer one says otherwise")
	}
}

func TestOverlaysAreAskedOnlyForKeysThatMayHelp(t *testing.T) {
	v := newVault(t)
	v.put(v.owner.RotateSeal("other"))
	v.put(v.owner.RotateSeal("a"))
	reader := v.open(WithKeyFile(v.export(RoleReader)))
	_, s := session(t, v.open(WithKeyFile(v.export(RoleWriter, "a"))), "a")
	s.Sealed = append([]byte(nil), s.Sealed...)
	s.Sealed[20] ^= 1
	var asked []SealKeyID
	trouble := errors.New("store is away")
	_, err := reader.OpenSession("a", s, func(id SealKeyID) ([]byte, error) {
		asked = append(asked, id)
		return nil, trouble
	})
	if !errors.Is(err, pack.ErrAuthentication) || !errors.Is(err, trouble) {
		t.Errorf("error does not tell both: %v", err)
	}
	seals := v.trust().SealKeys()
	if want := []SealKeyID{seals[2].ID, seals[0].ID}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	wrong := append(make([]byte, 8), s.Sealed[8:]...)
	for name, overlay := range map[string][]byte{"of another seal key": wrong, "of three bytes": {1, 2, 3}} {
		if _, err := reader.OpenSession("a", s, overlaysOf(seals[0].ID, overlay)); !errors.Is(err, pack.ErrAuthentication) {
			t.Errorf("overlay %s: %v", name, err)
		}
	}
}

func TestADomainMayHaveSealKeysOfItsOwn(t *testing.T) {
	v := newVault(t)
	general := newestSeal(t, v.trust(), "a")
	v.put(v.owner.RotateSeal("a"))
	own := newestSeal(t, v.trust(), "a")
	v.put(v.owner.RotateSeal(""))
	if own == general || newestSeal(t, v.trust(), "a") != own {
		t.Error("a domain with its own key is sealed to another")
	}
	if newestSeal(t, v.trust(), "b") == own {
		t.Error("another domain is sealed to it too")
	}
	reader := v.open(WithKeyFile(v.export(RoleReader)))
	key, s := session(t, v.open(WithKeyFile(v.export(RoleOwner))), "a")
	if !reads(t, reader, "a", s, key) {
		t.Error("readers do not hold the domain's own key")
	}
	_, foreign := session(t, v.open(WithKeyFile(v.export(RoleOwner))), "b")
	if _, err := reader.Reseal("b", foreign, own); !errors.Is(err, ErrNoSealKey) {
		t.Errorf("re-sealed to the key of another domain: %v", err)
	}
	v.put(v.owner.RetireSeal(own))
	if newestSeal(t, v.trust(), "a") == own {
		t.Error("a retired key is offered")
	}
	if _, err := v.open(WithKeyFile(v.export(RoleReader))).Reseal("a", s, own); err == nil {
		t.Error("re-sealed to a retired key")
	}
}

func TestTheLastGeneralSealKeyCannotBeRetired(t *testing.T) {
	v := newVault(t)
	v.put(v.owner.RotateSeal("a"))
	first := v.trust().SealKeys()[0].ID
	if _, err := v.owner.RetireSeal(first); err == nil {
		t.Fatal("retired")
	}
	if s := v.owner.Trust().SealKeys()[0]; s.Retired {
		t.Error("the refused act left its mark")
	}
	if _, err := v.owner.RetireSeal(SealKeyID{1}); err == nil {
		t.Error("an unknown seal key was retired")
	}
}

func TestANewGenerationReachesTheOtherWriters(t *testing.T) {
	v := newVault(t)
	stolen, other, far := v.export(RoleWriter, "a", "b"), v.export(RoleWriter, "b", "c"), v.export(RoleWriter, "d")
	first, err := v.open(WithKeyFile(other)).Domain("b")
	if err != nil {
		t.Fatal(err)
	}
	before := len(v.names())
	v.put(v.owner.Revoke(stolen.KeyID, []LastRoot{{"a", 7, pack.ID{1}}, {"b", 9, pack.ID{2}}}))
	if n := len(v.names()) - before; n != 1 {
		t.Errorf("%d grants, want one for the writer that shares a domain", n)
	}
	k := v.open(WithKeyFile(other))
	all, err := k.Generations("b")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d generations: %v", len(all), err)
	}
	if *all[0].Index != *first.Index || all[0].Generation != 1 || all[1].Generation != 2 {
		t.Error("the first generation is another")
	}
	if *all[1].Index == *first.Index || all[1].Polynomial == first.Polynomial ||
		all[1].Hasher.ID(pack.Data, nil) == first.Hasher.ID(pack.Data, nil) {
		t.Error("the second generation shares a key with the first")
	}
	if all[1].SnapshotID("x", 0) != first.SnapshotID("x", 0) {
		t.Error("a name lands on another object in the second generation")
	}
	if d, err := k.Domain("b"); err != nil || d.Generation != 2 {
		t.Errorf("newest generation: %v", err)
	}
	if c, err := k.Domain("c"); err != nil || c.Generation != 1 {
		t.Errorf("a domain of no revoked key: %v", err)
	}
	if d, err := v.open(WithKeyFile(far)).Domain("d"); err != nil || d.Generation != 1 {
		t.Errorf("a writer far away: %v", err)
	}
}

func TestARevocationSaysWhatStillCounts(t *testing.T) {
	v := newVault(t)
	stolen := v.export(RoleWriter, "a", "b")
	k := v.open(WithKeyFile(stolen))
	sig := k.Sign("root", []byte("x"))
	v.put(v.owner.Revoke(stolen.KeyID, []LastRoot{{"a", 7, pack.ID{1}}}))
	trust := v.trust()
	if err := trust.Verify(sig, "root", []byte("x"), May("a", RoleWriter)); !errors.Is(err, ErrRevoked) {
		t.Errorf("signature of a revoked key: %v", err)
	}
	for name, err := range map[string]error{
		"bad signature": trust.Verify(sig, "root", []byte("y"), May("a", RoleWriter)),
		"unmet need":    trust.Verify(sig, "root", []byte("x"), May("z", RoleWriter)),
	} {
		if errors.Is(err, ErrRevoked) || err == nil {
			t.Errorf("%s of a revoked key is told as revoked only: %v", name, err)
		}
	}
	r, ok := trust.Revoked(stolen.KeyID)
	if !ok || r.Statement != 4 {
		t.Fatalf("revocation %+v", r)
	}
	if l, ok := r.In("a"); !ok || l.Sequence != 7 || l.Root != (pack.ID{1}) {
		t.Errorf("last root %+v", l)
	}
	if _, ok := r.In("b"); ok {
		t.Error("something counts in a domain that was not named")
	}
	if _, err := v.tryOpen(WithKeyFile(stolen)); !errors.Is(err, ErrRevoked) {
		t.Errorf("the revoked key file opens: %v", err)
	}
}

func TestSenselessRevocationsAreRefused(t *testing.T) {
	v := newVault(t)
	owner, writer := v.export(RoleOwner), v.export(RoleWriter, "a")
	if _, err := v.owner.Revoke(owner.KeyID, nil); !errors.Is(err, ErrLast) {
		t.Errorf("last owner: %v", err)
	}
	if _, err := v.owner.Revoke(KeyID{1}, nil); !errors.Is(err, ErrUnknownSigner) {
		t.Errorf("unknown key: %v", err)
	}
	for name, last := range map[string][]LastRoot{
		"a domain that is not the writer's": {{Domain: "b"}},
		"the same domain twice":             {{Domain: "a"}, {Domain: "a"}},
		"a label that is none":              {{Domain: "A/"}},
	} {
		if _, err := v.owner.Revoke(writer.KeyID, last); err == nil {
			t.Errorf("last root in %s", name)
		}
	}
	v.put(v.owner.Revoke(writer.KeyID, nil))
	if _, err := v.owner.Revoke(writer.KeyID, nil); !errors.Is(err, ErrRevoked) {
		t.Errorf("second revocation: %v", err)
	}
	v.export(RoleOwner)
	v.put(v.owner.Revoke(owner.KeyID, nil))
}

func TestARevocationCutShortIsFinishedByTheSameCall(t *testing.T) {
	v := newVault(t)
	owner := v.export(RoleOwner)
	stolen, other := v.export(RoleWriter, "a", "b"), v.export(RoleWriter, "a", "b")
	objects, err := v.owner.Revoke(stolen.KeyID, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.put(objects[:len(objects)-1], nil) // the generation of domain b is missing
	again, err := OpenOwner(v.open(WithKeyFile(owner)))
	if err != nil {
		t.Fatal(err)
	}
	v.owner = again
	v.put(v.owner.Revoke(stolen.KeyID, nil))
	k := v.open(WithKeyFile(other))
	for _, label := range []string{"a", "b"} {
		if d, err := k.Domain(label); err != nil || d.Generation != 2 {
			t.Errorf("domain %s: %v", label, err)
		}
	}
}
