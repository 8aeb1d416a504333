package roles

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/pack"
)

// world is a repository, what its owner did, and what a reader of this file would expect of it.
type world struct {
	*vault
	boss     *KeyFile // an owner who is never revoked
	files    []*KeyFile
	revoked  map[KeyID]bool
	gens     map[string]uint32
	settings string
	seals    map[SealKeyID]bool // true = retired
	newest   map[string][]SealKeyID
	sessions []sealedSession
}

type sealedSession struct {
	domain string
	key    *pack.Key
	s      pack.Session
	to     SealKeyID
}

var labels = []string{"a", "b", "c"}

func newWorld(t *testing.T) *world {
	w := &world{vault: newVault(t), revoked: map[KeyID]bool{}, gens: map[string]uint32{}, settings: `{"pack":64}`,
		seals: map[SealKeyID]bool{}, newest: map[string][]SealKeyID{}}
	w.learn("")
	w.boss = w.export(RoleOwner)
	w.files = append(w.files, w.boss)
	return w
}

// learn notes the seal key that was added last.
func (w *world) learn(domain string) {
	all := w.owner.Trust().SealKeys()
	id := all[len(all)-1].ID
	w.seals[id], w.newest[domain] = false, append(w.newest[domain], id)
}

// offered is the seal key that a session of the domain must be sealed to.
func (w *world) offered(domain string) SealKeyID {
	for _, d := range []string{domain, ""} {
		for _, id := range slices.Backward(w.newest[d]) {
			if !w.seals[id] {
				return id
			}
		}
	}
	return SealKeyID{}
}

func (w *world) addKey(r *rapid.T) {
	role := rapid.SampledFrom(roleCodes[1:]).Draw(r, "role")
	var domains []string
	if role == RoleWriter {
		domains = rapid.SliceOfNDistinct(rapid.SampledFrom(labels), 1, 3, rapid.ID).Draw(r, "domains")
	}
	w.files = append(w.files, w.export(role, domains...))
}

func (w *world) revoke(r *rapid.T) {
	f := rapid.SampledFrom(w.files).Draw(r, "file")
	if f == w.boss || w.revoked[f.KeyID] {
		if f != w.boss {
			if _, err := w.owner.Revoke(f.KeyID, nil); !errors.Is(err, ErrRevoked) {
				r.Fatalf("second revocation: %v", err)
			}
		}
		return
	}
	w.put(w.owner.Revoke(f.KeyID, nil))
	w.revoked[f.KeyID] = true
	for _, d := range f.Domains {
		w.gens[d]++
	}
}

func (w *world) rotate(r *rapid.T) {
	domain := rapid.SampledFrom(append([]string{""}, labels...)).Draw(r, "domain")
	w.put(w.owner.RotateSeal(domain))
	w.learn(domain)
}

func (w *world) retire(r *rapid.T) {
	all := w.owner.Trust().SealKeys()
	id := rapid.SampledFrom(all).Draw(r, "seal").ID
	live := 0
	for _, g := range w.newest[""] {
		if !w.seals[g] {
			live++
		}
	}
	last := live == 1 && slices.Contains(w.newest[""], id)
	objects, err := w.owner.RetireSeal(id)
	if refused := err != nil; refused != (w.seals[id] || last) {
		r.Fatalf("retire %s: %v", id, err)
	}
	if err == nil {
		w.put(objects, nil)
		w.seals[id] = true
	}
}

func (w *world) set(r *rapid.T) {
	w.settings = fmt.Sprintf(`{"pack":%d}`, rapid.IntRange(1, 999).Draw(r, "pack"))
	w.put(w.owner.SetSettings(json.RawMessage(w.settings)))
}

// fall is an act whose statement never arrives: the process dies, and the next one opens the owner anew.
func (w *world) fall(r *rapid.T) {
	objects, err := w.owner.RotateSeal("")
	if err != nil {
		r.Fatal(err)
	}
	w.put(objects[:rapid.IntRange(0, len(objects)-1).Draw(r, "arrived")], nil)
	w.reopen(r)
}

func (w *world) reopen(r *rapid.T) {
	k, err := w.tryOpen(WithKeyFile(w.boss))
	if err != nil {
		r.Fatal(err)
	}
	now := w.owner.Now
	if w.owner, err = OpenOwner(k); err != nil {
		r.Fatal(err)
	}
	w.owner.Now = now
}

// sweep removes what Superseded names.
func (w *world) sweep(r *rapid.T) {
	names, err := Superseded(w.trust(), w.keys())
	if err != nil {
		r.Fatal(err)
	}
	for _, name := range names {
		delete(w.objects, name)
	}
}

func (w *world) backUp(r *rapid.T) {
	f := rapid.SampledFrom(w.files).Draw(r, "writer")
	if w.revoked[f.KeyID] {
		return
	}
	k, err := w.tryOpen(WithKeyFile(f))
	if err != nil {
		r.Fatal(err)
	}
	domain := rapid.SampledFrom(labels).Draw(r, "domain")
	key, s, err := k.NewSession(domain)
	if may := f.Role == RoleOwner || slices.Contains(f.Domains, domain); may != (err == nil) {
		r.Fatalf("session of %s in %s: %v", f, domain, err)
	}
	if err == nil {
		to := SealKeyID(s.Sealed[:8])
		if to != w.offered(domain) {
			r.Fatalf("sealed to %s, want %s", to, w.offered(domain))
		}
		w.sessions = append(w.sessions, sealedSession{domain, key, s, to})
	}
}

// folded is all that a trust log says, in a comparable form.
func folded(t *Trust) map[string]any {
	n, hash := t.Head()
	m := map[string]any{"n": n, "hash": hash, "settings": string(t.Settings())}
	for p := range t.Principals() {
		r, _ := t.Revoked(p.ID)
		if r != nil {
			m["revoked "+p.ID.String()] = r.Statement
		}
		m["principal "+p.ID.String()] = fmt.Sprint(p.Role, p.Domains, p.Created, p.Signing, p.Sealing)
	}
	for i, s := range t.SealKeys() {
		m[fmt.Sprint("seal ", i)] = fmt.Sprint(s.ID, s.Domain, s.Retired, s.Public.Bytes())
	}
	for _, l := range labels {
		m["generation "+l] = t.Generation(l)
	}
	return m
}

// check is the invariant: parsed log, owner's log and model agree.
func (w *world) check(r *rapid.T) {
	trust := w.trust()
	if d := cmp.Diff(folded(w.owner.Trust()), folded(trust)); d != "" {
		r.Fatalf("the owner's log is not what its statements give:\n%s", d)
	}
	if string(trust.Settings()) != w.settings {
		r.Fatalf("settings %s, want %s", trust.Settings(), w.settings)
	}
	for _, l := range labels {
		if trust.Generation(l) != w.gens[l]+1 {
			r.Fatalf("generation of %s is %d, want %d", l, trust.Generation(l), w.gens[l]+1)
		}
	}
}

func (w *world) checkKey(r *rapid.T, f *KeyFile) {
	k, err := w.tryOpen(WithKeyFile(f))
	if w.revoked[f.KeyID] != errors.Is(err, ErrRevoked) || !w.revoked[f.KeyID] && err != nil {
		r.Fatalf("%s opens with %v", f, err)
	}
	if err != nil {
		return
	}
	for _, l := range labels {
		may := f.Role != RoleWriter || slices.Contains(f.Domains, l)
		g, err := k.domainKeys(l, k.Trust().Generation(l))
		if may != (err == nil) {
			r.Fatalf("%s and domain %s: %v", f, l, err)
		}
		want, err := w.owner.bundle.secrets.keys(w.id, l, w.gens[l]+1)
		if may && (err != nil || g.index != want.index || f.Role != RoleKeeper && g.id != want.id) {
			r.Fatalf("%s has other keys of domain %s: %v", f, l, err)
		}
	}
	for _, s := range w.sessions {
		got, err := k.OpenSession(s.domain, s.s, nil)
		may := f.Role.opensContent() && !w.seals[s.to]
		if may != (err == nil) || err == nil && *got != *s.key {
			r.Fatalf("%s and a session sealed to %s (retired: %t): %v", f, s.to, w.seals[s.to], err)
		}
	}
}

func TestAnySequenceOfActsLeavesEveryKeyWithExactlyWhatItsRoleSays(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		r.Repeat(map[string]func(*rapid.T){
			"":                      w.check,
			"make a key":            w.addKey,
			"revoke a key":          w.revoke,
			"rotate":                w.rotate,
			"retire a seal key":     w.retire,
			"set":                   w.set,
			"fall":                  w.fall,
			"open the owner again":  w.reopen,
			"remove the superseded": w.sweep,
			"back up":               w.backUp,
		})
		for _, f := range w.files {
			w.checkKey(r, f)
		}
		scratch, err := ParseTrust(w.id, w.public(), w.statements())
		if err != nil {
			r.Fatal(err)
		}
		if d := cmp.Diff(folded(w.trust()), folded(scratch)); d != "" {
			r.Fatalf("a log that grew is not what parsing from scratch gives:\n%s", d)
		}
	})
}
