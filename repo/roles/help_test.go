package roles

import (
	"crypto/ed25519"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/pack"
)

// cheap is a cost at which tests do not wait.
var cheap = Cost{Time: 1, Memory: 64, Threads: 1}

// vault is a repository in memory: what a caller of the package keeps in an object store.
type vault struct {
	t       *testing.T
	id      [16]byte
	owner   *Owner
	objects map[string][]byte
	log     *Trust // of the statements read so far
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{t: t, id: [16]byte{1, 2, 3}, objects: map[string][]byte{}}
	owner, objects, err := Create(v.id, json.RawMessage(`{"pack":64}`))
	v.owner = owner
	v.put(objects, err)
	owner.Now = func() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 10, time.FixedZone("", 3600)) }
	return v
}

// put creates objects as a store would: a name that is taken fails the test.
func (v *vault) put(objects []Object, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	for _, o := range objects {
		if _, taken := v.objects[o.Name]; taken {
			v.t.Fatalf("%s is taken", o.Name)
		}
		v.objects[o.Name] = o.Data
	}
}

func (v *vault) public() ed25519.PublicKey { return v.owner.trust.Owner() }

func (v *vault) statements() [][]byte {
	var out [][]byte
	for n := uint64(1); v.objects[TrustName(n)] != nil; n++ {
		out = append(out, v.objects[TrustName(n)])
	}
	return out
}

// trust reads the statements that are new, as a long-running process would, and returns a log of its own.
func (v *vault) trust() *Trust {
	v.t.Helper()
	if v.log == nil {
		v.log = NewTrust(v.id, v.public())
	}
	n, _ := v.log.Head()
	for _, s := range v.statements()[n:] {
		if err := v.log.Append(s); err != nil {
			v.t.Fatal(err)
		}
	}
	return v.log.clone()
}

// names are the names of the key objects, in the order of a listing.
func (v *vault) names() []string {
	var names []string
	for name := range v.objects {
		if strings.HasPrefix(name, keysPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (v *vault) keys() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for _, name := range v.names() {
			if !yield(Object{name, v.objects[name]}, nil) {
				return
			}
		}
	}
}

func (v *vault) tryOpen(u Unlock) (*Keyring, error) {
	v.t.Helper()
	return Open(v.id, v.public(), v.trust(), v.keys(), u)
}

func (v *vault) open(u Unlock) *Keyring {
	v.t.Helper()
	k, err := v.tryOpen(u)
	if err != nil {
		v.t.Fatal(err)
	}
	return k
}

func (v *vault) slot(role Role, w Wrapping) KeyID {
	v.t.Helper()
	id, objects, err := v.owner.AddSlot(role, w)
	v.put(objects, err)
	return id
}

// export makes a key file and returns it parsed.
func (v *vault) export(role Role, domains ...string) *KeyFile {
	v.t.Helper()
	text, id, objects, err := v.owner.ExportKey(role, domains)
	v.put(objects, err)
	f, err := ParseKeyFile(text)
	if err != nil {
		v.t.Fatal(err)
	}
	if f.KeyID != id {
		v.t.Fatalf("key file of %s for key %s", f.KeyID, id)
	}
	return f
}

// session makes a session and returns what a pack would hold of it.
func session(t *testing.T, k *Keyring, domain string) (*pack.Key, pack.Session) {
	t.Helper()
	key, s, err := k.NewSession(domain)
	if err != nil {
		t.Fatal(err)
	}
	return key, s
}

// reads tells whether k opens the session to the key it was made with.
func reads(t *testing.T, k *Keyring, domain string, s pack.Session, want *pack.Key) bool {
	t.Helper()
	got, err := k.OpenSession(domain, s, nil)
	if err == nil && *got != *want {
		t.Fatalf("session %x opens to another key", s.ID)
	}
	return err == nil
}
