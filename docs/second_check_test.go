package docs

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stored returns every object of a repository in a directory.
func stored(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	objects := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
			objects[name], err = fs.ReadFile(os.DirFS(dir), name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// seen is all that the second reader finds.
type seen struct {
	*second
	backups   map[string]nodeBackup
	full      []string            // of them, those with a copy of their own
	aborts    map[string]string   // reasons by snapshot id
	deletions map[string]deletion // by snapshot id
	condemned [][]condemned
	records   map[string]string   // bodies of holds and results of checks, by kind
	chains    map[string][]string // commands, by the role of the key
}

// readAll reads every object there is.
func readAll(objects map[string][]byte) (all *seen, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case refusal:
			err = fmt.Errorf("%s", string(r))
		default:
			panic(r)
		}
	}()
	all = &seen{second: openSecond(objects, passphrase), backups: make(map[string]nodeBackup),
		aborts: make(map[string]string), deletions: make(map[string]deletion), records: make(map[string]string), chains: make(map[string][]string)}
	for name, object := range all.objects {
		kind, rest, _ := strings.Cut(name, "/")
		domain, last, _ := strings.Cut(rest, "/")
		switch {
		case kind == "packs":
			demand(fmt.Sprintf("%x", sum(object)) == last, "%s has another hash", name)
			all.readTail(object, host)
		case kind == "deleted":
			all.deletions[last] = all.readDeletion(domain, last)
		case kind == "holds" || kind == "checks":
			demand(fmt.Sprintf("%x", sum(object)) == rest, "%s has another hash", name)
			all.records[kind] += all.readRecord(kind, object)
		case kind == "audit" && last == "1":
			role := all.principals[keyID(fromHex(domain, 8))].role
			all.chains[role] = append(all.chains[role], all.readChain(domain)...)
		case kind == "gc":
			all.condemned = append(all.condemned, all.readTombstone(domain, last))
		case kind == "snapshots" && isRecord(object):
			all.aborts[last] = all.readAbort(domain, last)
		case kind == "snapshots":
			all.readBackupAt(name)
		}
	}
	return all, nil
}

func (s *seen) readBackupAt(name string) {
	r := s.roots[name]
	demand(s.counts(r), "%s counts no more", name)
	s.backups[r.catalogue.Backup] = s.readBackup(r)
	if r.flags == 0 {
		return
	}
	s.full = append(s.full, r.catalogue.Backup)
	for name, pack := range s.libraryFor(r).objects {
		if strings.HasPrefix(name, "packs/") {
			demand(len(s.readTail(pack, r.domain)) > 0, "%s of the copy is empty", name)
		}
	}
}

func TestASecondReader(t *testing.T) {
	m := makeRepository(t)
	objects := stored(t, m.dir)
	s, err := readAll(objects)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("finds every file as it was", func(t *testing.T) { compareBackups(t, s, &m) })
	t.Run("meets every kind of recipe", func(t *testing.T) { compareRecipes(t, s) })
	t.Run("tells which attempt is the backup", func(t *testing.T) { compareAttempts(t, s) })
	t.Run("reads what is said of the whole", func(t *testing.T) {
		if !maps.Equal(s.records, m.records) {
			t.Errorf("records %v, made were %v", s.records, m.records)
		}
	})
	t.Run("reads who did what", func(t *testing.T) {
		if diff := cmp.Diff(m.chains, s.chains); diff != "" {
			t.Errorf("commands by role (-made +read):\n%s", diff)
		}
	})
	t.Run("finds in packs what shards say of them", func(t *testing.T) { compareTails(t, s) })
	t.Run("knows the keys that a writer is told", func(t *testing.T) { compareKeys(t, s, m.key) })
	t.Run("refuses a bit flipped anywhere", func(t *testing.T) { flipEverywhere(t, objects) })
}

func compareBackups(t *testing.T, s *seen, m *made) {
	if got, want := slices.Sorted(maps.Keys(s.backups)), slices.Sorted(maps.Keys(m.files)); !slices.Equal(got, want) {
		t.Fatalf("backups %v, taken were %v", got, want)
	}
	for name, got := range s.backups {
		if !maps.Equal(got.files, m.files[name]) {
			t.Errorf("%s: %d files that are not the %d backed up", name, len(got.files), len(m.files[name]))
		}
		members := got.ring.Members
		if got.schema != schemaText || got.roles != rolesText || got.config["cassandra.yaml"] != configText || got.ring.Cluster != "shop" || len(members) != 1 || members[0].HostID != host {
			t.Errorf("%s: schema %q, ring %+v", name, got.schema, got.ring)
		}
	}
	if !slices.Equal(s.full, []string{"full"}) {
		t.Errorf("copies of %v", s.full)
	}
	if len(s.ended) != 1 || s.generations[host] != 2 || len(s.seals) != 1 {
		t.Errorf("%d keys ended, generation %d, %d seal keys", len(s.ended), s.generations[host], len(s.seals))
	}
}

func compareAttempts(t *testing.T, s *seen) {
	d := s.deletions[s.rootID(host, "gone", 0)]
	if string(d.why) != reason || s.principals[d.author].role != "writer" || len(s.deletions) != 1 {
		t.Errorf("deletions %+v", s.deletions)
	}
	if r := s.find(host, "gone"); r != nil {
		t.Errorf("a deleted backup stands at %s", r.name)
	}
	if why := s.aborts[s.rootID(host, "again", 0)]; why == "" || len(s.aborts) != 1 {
		t.Errorf("abort records %v", s.aborts)
	}
	for name, attempt := range map[string]int{"monday": 0, "again": 1, "tuesday": 0, "full": 0} {
		if r := s.find(host, name); r == nil || r.id != s.rootID(host, name, attempt) || r.catalogue.Backup != name {
			t.Errorf("%s: found %+v", name, r)
		}
	}
	if len(s.condemned) != 1 {
		t.Fatalf("tombstones %v", s.condemned)
	}
	groups := s.condemned[0]
	for i, g := range groups {
		if (g.time == 0) != (i == len(groups)-1) || len(g.packs) == 0 {
			t.Errorf("group %d of %d: %+v", i, len(groups), g)
		}
	}
}

func compareTails(t *testing.T, s *seen) {
	l := s.openLibrary(s.objects, host)
	for name, pack := range s.objects {
		if !strings.HasPrefix(name, "packs/") {
			continue
		}
		entries := s.readTail(pack, host)
		for _, e := range entries {
			if p, ok := l.blobs[e.id]; !ok || bytes.Equal(p.pack, pack) && p.entry != e {
				t.Errorf("blob %x of %s: the shard says %+v", e.id, name, p.entry)
			}
		}
		if len(entries) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
}

func compareKeys(t *testing.T, s *seen, text string) {
	f := s.readKeyFile(text)
	if f.role != 2 || !slices.Equal(f.domains, []string{host}) || s.principals[f.id].role != "writer" {
		t.Errorf("key file of %x: role %d of %v", f.id, f.role, f.domains)
	}
	told := s.writerKeys(f.id, f.key)[host]
	if len(told) != s.generations[host] {
		t.Fatalf("keys of %d generations", len(told))
	}
	for i, got := range told {
		for purpose, key := range map[string][]byte{"id": got.id, "chunker": got.chunker, "index": got.index, "names": got.names} {
			secret := s.indexSecret
			if purpose == "id" || purpose == "chunker" {
				secret = s.idSecret
			}
			if !bytes.Equal(key, s.derive(secret, purpose, host, i+1)) {
				t.Errorf("%s key of generation %d", purpose, i+1)
			}
		}
	}
}

func flipEverywhere(t *testing.T, objects map[string][]byte) {
	for name, object := range objects {
		for _, at := range []int{0, len(object) / 2, len(object) - 1} {
			flipped := bytes.Clone(object)
			flipped[at] ^= 1
			damaged := maps.Clone(objects)
			damaged[name] = flipped
			if _, err := readAll(damaged); err == nil {
				t.Errorf("byte %d of %s is another, and all is read", at, name)
			}
		}
	}
}
