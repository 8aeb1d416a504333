package repo_test

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
)

// chain is a writer's chain of five records, and a thief of the key of another node.
type chain struct {
	*theft
	writer *repo.Repo
	key    roles.KeyID
	dir    string // its state
	u      roles.Unlock
}

func newChain(t *testing.T) *chain {
	t.Helper()
	v := newTheft(t)
	u, id := export(t, v.owner, roles.RoleWriter, "node-2")
	c := &chain{theft: v, key: id, dir: t.TempDir(), u: u}
	c.writer = openWith(t, v.st, u, c.dir)
	note(t, c.writer, "one", "two", "three", "four", "five")
	return c
}

func (c *chain) get(t *testing.T, seq int) []byte {
	t.Helper()
	data, err := c.st.Get(t.Context(), recordAt(c.key, seq), 1<<20)
	return must(t)(data, err)
}

// forged is a record of the writer's own making.
func (c *chain) forged(t *testing.T, seq uint64, previous pack.ID) []byte {
	t.Helper()
	return must(t)(c.writer.ForgeAudit("node-2", c.key, seq, previous, `{"command":"lie"}`))
}

func TestWhateverIsDoneToAChainIsFound(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, c *chain)
		says string
		at   []int
	}{
		{"one removed", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 3), nil) }, "1 records from here on are missing, record 4 is there", []int{3}},
		{"two removed", func(t *testing.T, c *chain) {
			replace(t, c.st, recordAt(c.key, 2), nil)
			replace(t, c.st, recordAt(c.key, 3), nil)
		}, "2 records from here on are missing, record 4 is there", []int{2}},
		{"the first removed", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 1), nil) }, "missing", []int{1}},
		{"a bit flipped", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 3), flip(c.get(t, 3), 100)) }, "authentication", []int{3}},
		{"one cut", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 3), c.get(t, 3)[:50]) }, "sealed", []int{3}},
		{"the newest altered", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 5), []byte("x")) }, "sealed", []int{5}},
		{"one altered and its neighbour removed", func(t *testing.T, c *chain) {
			replace(t, c.st, recordAt(c.key, 3), []byte("x"))
			replace(t, c.st, recordAt(c.key, 4), nil)
		}, "", []int{3, 4}},
		{"one in the place of another", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 3), c.get(t, 2)) }, "authentication", []int{3}},
		{"one made again by who has the key", func(t *testing.T, c *chain) {
			replace(t, c.st, recordAt(c.key, 3), c.forged(t, 3, sha256.Sum256(c.get(t, 2))))
		}, "it does not follow record 3 as that is", []int{4}},
		{"the first made again by who has the key", func(t *testing.T, c *chain) { replace(t, c.st, recordAt(c.key, 1), c.forged(t, 1, pack.ID{})) }, "does not follow record 1", []int{2}},
		{"a record of another key in the chain", func(t *testing.T, c *chain) {
			c.put(t, recordAt(c.key, 6), must(t)(c.thief.ForgeAudit("node-1", c.key, 6, sha256.Sum256(c.get(t, 5)), "{}")))
		}, "none of domain node-2", []int{6}},
		{"a record that another key signed and this one's domain sealed", func(t *testing.T, c *chain) {
			other := keyed(t, c.owner, c.st, roles.RoleWriter, "node-2")
			c.put(t, recordAt(c.key, 6), must(t)(other.ForgeAudit("node-2", c.key, 6, sha256.Sum256(c.get(t, 5)), "{}")))
		}, "this is the chain of key", []int{6}},
		{"one that an owner signed", func(t *testing.T, c *chain) {
			c.put(t, recordAt(c.key, 6), must(t)(c.owner.ForgeAudit("node-2", c.key, 6, sha256.Sum256(c.get(t, 5)), "{}")))
		}, "this is the chain of key", []int{6}},
		{"an entry that is none", func(t *testing.T, c *chain) {
			c.put(t, recordAt(c.key, 6), must(t)(c.writer.ForgeAudit("node-2", c.key, 6, sha256.Sum256(c.get(t, 5)), "{")))
		}, "entry: ", []int{6}},
		{"more bytes than a record has", func(t *testing.T, c *chain) { c.put(t, recordAt(c.key, 6), make([]byte, 1<<20)) }, "larger than allowed", []int{6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newChain(t)
			c.do(t, v)
			var want []string
			for _, n := range c.at {
				want = append(want, recordAt(v.key, n))
			}
			for role, r := range map[string]*repo.Repo{"owner": v.owner, "keeper": keyed(t, v.owner, v.st, roles.RoleKeeper)} {
				got := walk(t, r, repo.AuditOptions{})
				if names := slices.Sorted(maps.Keys(got.wrong)); !slices.Equal(names, want) || !strings.Contains(got.wrong[want[0]], c.says) {
					t.Errorf("%s finds %v", role, got.wrong)
				}
				f, _ := check(t, r, false)
				if !slices.Equal(f.objects(), want) {
					t.Errorf("a check by the %s finds %v", role, f.damage)
				}
			}
		})
	}
}

func TestAChainOfAnUnknownKeyIsNamedOnce(t *testing.T) {
	v := newChain(t)
	for n := 1; n < 4; n++ {
		v.put(t, recordAt(roles.KeyID{1}, n), v.get(t, n))
	}
	got := walk(t, v.owner, repo.AuditOptions{})
	if what := got.wrong[recordAt(roles.KeyID{1}, 1)]; len(got.wrong) != 1 || !strings.Contains(what, "no key of this repository has this chain, of 3 records") {
		t.Errorf("found %v", got.wrong)
	}
	if got := walk(t, v.writer, repo.AuditOptions{}); len(got.wrong) > 0 || len(got.records) != 5 {
		t.Errorf("a writer finds %v", got.wrong)
	}
}

// A chain from which the newest records were taken is whole in itself: only who has seen more knows.
func TestARolledBackChainIsFoundByWhoeverHasSeenMore(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, v *chain)
		what string
	}{
		{"the newest removed", func(t *testing.T, v *chain) { replace(t, v.st, recordAt(v.key, 5), nil) }, "gone"},
		{"all removed", func(t *testing.T, v *chain) {
			for n := range 5 {
				replace(t, v.st, recordAt(v.key, n+1), nil)
			}
		}, "gone"},
		{"the newest made again", func(t *testing.T, v *chain) {
			replace(t, v.st, recordAt(v.key, 5), v.forged(t, 5, sha256.Sum256(v.get(t, 4))))
		}, "another record stood there before"},
		{"the newest removed and others added", func(t *testing.T, v *chain) {
			replace(t, v.st, recordAt(v.key, 5), nil)
			note(t, openWith(t, v.st, v.u, ""), "other", "another")
		}, "another record stood there before"},
		{"nothing", func(*testing.T, *chain) {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newChain(t)
			head := repo.AuditHead{Key: v.key, Seq: 5, Hash: sha256.Sum256(v.get(t, 5))}
			dir := t.TempDir()
			walk(t, openRepo(t, v.st, dir), repo.AuditOptions{})
			c.do(t, v)
			stateless := openRepo(t, v.st, "")
			if got := walk(t, stateless, repo.AuditOptions{}); len(got.wrong) > 0 {
				t.Errorf("found without having seen more: %v", got.wrong)
			}
			for name, found := range map[string]*walked{
				"with the head that was printed":   walk(t, stateless, repo.AuditOptions{Against: []repo.AuditHead{head}}),
				"on the machine that wrote it":     walk(t, openWith(t, v.st, v.u, v.dir), repo.AuditOptions{}),
				"on a machine that has looked":     walk(t, openRepo(t, v.st, dir), repo.AuditOptions{}),
				"with both, and of one chain only": walk(t, openRepo(t, v.st, dir), repo.AuditOptions{Key: v.key, Against: []repo.AuditHead{head}}),
			} {
				what, told := found.wrong[recordAt(v.key, 5)]
				if told != (c.what != "") || !strings.Contains(what, c.what) || len(found.wrong) > 1 {
					t.Errorf("%s: %v", name, found.wrong)
				}
			}
		})
	}
}

func TestHeadsThatAKeyCannotSeeAreRefused(t *testing.T) {
	v := newChain(t)
	head := repo.AuditHead{Key: v.key, Seq: 5, Hash: pack.ID{1}}
	err := v.thief.Audit(t.Context(), repo.AuditOptions{Against: []repo.AuditHead{head}}, nil)
	if !errors.Is(err, roles.ErrRole) {
		t.Errorf("got %v", err)
	}
}

func TestOneChainOrItsNewestRecordsAreReadAlone(t *testing.T) {
	v := newChain(t)
	note(t, v.owner, "six", "seven")
	for _, c := range []struct {
		o    repo.AuditOptions
		want string
	}{
		{repo.AuditOptions{Key: v.key}, "one two three four five "},
		{repo.AuditOptions{Key: v.key, Last: 2}, "four five "},
		{repo.AuditOptions{Key: v.key, Last: 9}, "one two three four five "},
		{repo.AuditOptions{Key: v.owner.Key().KeyID(), Last: 1}, "seven "},
		{repo.AuditOptions{Key: roles.KeyID{1}}, ""},
	} {
		got := walk(t, v.owner, c.o)
		all := ""
		for _, commands := range got.commands {
			all += commands
		}
		if all != c.want || len(got.wrong) > 0 {
			t.Errorf("%+v: %q, wrong %v", c.o, all, got.wrong)
		}
	}
	stop := errors.New("enough")
	if err := v.owner.Audit(t.Context(), repo.AuditOptions{}, func(repo.AuditRecord, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v", err)
	}
}
