package roles

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cbk/pack"
)

// golden is a repository with one key of each kind and two sessions, one sealed before a rotation. It holds what other
// builds of this version wrote, and so catches a change of bytes that writing and reading would make together.
type golden struct {
	Passphrase, Recovery, KMS string
	Files                     map[Role]string
	Objects                   map[string][]byte
	Owner                     []byte
	Sessions                  []goldenSession
	IndexKey                  [32]byte // of domain "node-1", generation 2
	SnapshotID                string   // of backup "nightly", attempt 3
	Signature                 []byte   // of the writer, over "bytes" as "root"
}

type goldenSession struct {
	ID     pack.SessionID
	Sealed []byte
	Key    [32]byte
}

// update writes the golden repository anew: go test -run Golden -update. Only while the format may still change.
var update = flag.Bool("update", false, "write testdata/golden.json anew")

func makeGolden(t *testing.T) *golden {
	v := newVault(t)
	w, printed := Recovery()
	g := &golden{Passphrase: "sesame", Recovery: printed, KMS: kmsURL, Files: map[Role]string{}, Owner: v.public()}
	v.slot(RoleOwner, Passphrase([]byte(g.Passphrase), cheap))
	v.slot(RoleOwner, w)
	v.slot(RoleReader, KMS(t.Context(), kmsURL))
	g.Files[RoleReader] = string(exported(t, v, RoleReader))
	g.Files[RoleKeeper] = string(exported(t, v, RoleKeeper))
	g.Files[RoleWriter] = string(exported(t, v, RoleWriter, "node-1"))
	stolen := v.export(RoleWriter, "node-1")
	f, err := ParseKeyFile([]byte(g.Files[RoleWriter]))
	if err != nil {
		t.Fatal(err)
	}
	note := func() {
		key, s := session(t, v.open(WithKeyFile(f)), "node-1")
		g.Sessions = append(g.Sessions, goldenSession{s.ID, s.Sealed, key.Secret})
	}
	note()
	v.put(v.owner.RotateSeal(""))
	v.put(v.owner.RotateSeal("node-2"))
	v.put(v.owner.Revoke(stolen.KeyID, []LastRoot{{"node-1", 4, pack.ID{5}}}))
	v.put(v.owner.SetSettings([]byte(`{"pack":128}`)))
	v.put(v.owner.RetireSeal(newestSeal(t, v.trust(), "node-2")))
	note()
	k := v.open(WithKeyFile(f))
	d, err := k.Domain("node-1")
	if err != nil {
		t.Fatal(err)
	}
	g.IndexKey, g.SnapshotID = d.Index.Secret, d.SnapshotID("nightly", 3).String()
	g.Signature, g.Objects = k.Sign("root", []byte("bytes")).Bytes(), v.objects
	return g
}

func loadGolden(t *testing.T) *golden {
	path := filepath.Join("testdata", "golden.json")
	if *update {
		text, err := json.MarshalIndent(makeGolden(t), "", "\t")
		if err == nil {
			err = errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, append(text, '\n'), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{}
	if err := json.Unmarshal(text, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTheGoldenRepositoryOpens(t *testing.T) {
	g := loadGolden(t)
	v := &vault{t: t, id: [16]byte{1, 2, 3}, objects: g.Objects, owner: &Owner{trust: NewTrust([16]byte{}, g.Owner)}}
	recovery, err := WithRecovery(g.Recovery)
	if err != nil {
		t.Fatal(err)
	}
	unlocks := map[Role][]Unlock{RoleOwner: {WithPassphrase([]byte(g.Passphrase)), recovery},
		RoleReader: {WithKMS(t.Context(), g.KMS)}}
	for role, text := range g.Files {
		f, err := ParseKeyFile([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		unlocks[role] = append(unlocks[role], WithKeyFile(f))
	}
	for role, list := range unlocks {
		for _, u := range list {
			k := v.open(u)
			d, err := k.Domain("node-1")
			if k.Role() != role || err != nil || d.Generation != 2 || d.Index.Secret != g.IndexKey ||
				d.SnapshotID("nightly", 3).String() != g.SnapshotID {
				t.Errorf("%s opens a %s with other keys: %v", u, k.Role(), err)
			}
			for _, s := range g.Sessions {
				key, err := k.OpenSession("node-1", pack.Session{ID: s.ID, Sealed: s.Sealed}, nil)
				if role.opensContent() != (err == nil) || err == nil && key.Secret != s.Key {
					t.Errorf("%s and a session: %v", u, err)
				}
			}
		}
	}
	sig, err := ParseSignature(g.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.trust().Verify(sig, "root", []byte("bytes"), May("node-1", RoleWriter)); err != nil {
		t.Error(err)
	}
	if s := string(v.trust().Settings()); !strings.Contains(s, "128") {
		t.Errorf("settings %s", s)
	}
}
