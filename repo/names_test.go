package repo_test

import (
	"strings"
	"testing"

	"cbk/index"
	"cbk/pack"
	"cbk/repo"
)

func TestNamesAreToldByTheGrammar(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		kind  repo.Kind
		names []string
	}{
		{repo.KindConfig, []string{"config"}},
		{repo.KindKey, []string{"keys/" + id}},
		{repo.KindPack, []string{"packs/01/" + id}},
		{repo.KindShard, []string{"index/n/0000000001-0123456789abcdef", "index/a.b-c.9/9999999999-0123456789abcdef"}},
		{repo.KindRoot, []string{"snapshots/n/" + id, "snapshots/" + strings.Repeat("n", 64) + "/" + id}},
		{repo.KindPending, []string{"pending/n/" + id}},
		{repo.KindDeleted, []string{"deleted/n/" + id}},
		{repo.KindEpoch, []string{"gc/n/1", "gc/a.b-c.9/9223372036854775807"}},
		{repo.KindTrust, []string{"trust/1", "trust/65536"}},
		{repo.KindSession, []string{"sessions/" + id[:32] + "/" + id[:16]}},
		{repo.KindRecord, []string{"holds/" + id, "checks/" + id}},
		{repo.KindWanted, []string{"wanted/n/" + id}},
		{repo.KindAudit, []string{"audit/0123456789abcdef/1", "audit/" + id[:16] + "/9223372036854775807"}},
		{repo.KindFull, []string{"full/" + id + "/packs/01/" + id, "full/" + id + "/index/n/0000000001-0123456789abcdef",
			"full/" + id + "/snapshots/n/" + id, "full/" + id + "/sessions/" + id[:32] + "/" + id[:16]}},
		{repo.Stranger, []string{
			"", "/", "README", "Config", "config/", "config/x", "config.tmp", "x/config",
			"keys", "keys/", "keys/" + id[1:], "keys/" + id + "0", "keys/" + strings.ToUpper(id), "keys/x/" + id, "key/" + id,
			"packs/" + id, "packs/02/" + id, "packs/0/" + id, "packs/01/" + id + ".tmp", "packs/01/.tmp-" + id, "packs/01/x/" + id,
			"packs//" + id, "pack/01/" + id,
			"index/0000000001-0123456789abcdef", "index/n/1-0123456789abcdef", "index/n/0000000001", "index/n/" + id,
			"index/N/0000000001-0123456789abcdef", "index//0000000001-0123456789abcdef", "index/n/m/0000000001-0123456789abcdef",
			"index/a..b/0000000001-0123456789abcdef", "index/.n/0000000001-0123456789abcdef",
			"snapshots/" + id, "snapshots/n/" + id[2:], "snapshots/-n/" + id, "snapshots/n /" + id, "snapshots/n/m/" + id,
			"snapshots/" + strings.Repeat("n", 65) + "/" + id, "snapshots/n/" + id + "/", "snapshots/é/" + id,
			"trust/0", "trust/01", "trust/x", "trust/1/2", "sessions/" + id[:32], "sessions/" + id + "/" + id[:16], "sessions/" + id[:32] + "/" + id,
			"full/" + id + "/config", "full/" + id + "/keys/" + id, "full/" + id + "/full/" + id + "/packs/01/" + id, "full/" + id,
			"full/x/packs/01/" + id, "full/" + id + "packs/01/" + id, "holds/x", "checks/n/" + id, "wanted/" + id,
			"audit/x", "audit/1", "audit/" + id[:16], "audit/" + id[:16] + "/0", "audit/" + id[:16] + "/01", "audit/" + id + "/1", "audit/" + id[:16] + "/" + id, "holds/*/" + id,
			"gc/n/0", "gc/n/01", "gc/n/-1", "gc/n/x", "gc/1", "gc/n/99999999999999999999",
			"pending/" + id, "pending/n/x", "deleted/N/" + id,
		}},
	} {
		for _, name := range c.names {
			if got := repo.Classify(name); got != c.kind {
				t.Errorf("%q is of kind %d, want %d", name, got, c.kind)
			}
		}
	}
}

func TestNamesThatAreMadeAreOfTheGrammar(t *testing.T) {
	id := pack.ID{0xab, 0xcd}
	for name, want := range map[string]repo.Kind{
		repo.PackName(id):                     repo.KindPack,
		repo.RootName("node-1.example", id):   repo.KindRoot,
		index.ShardName("node-1", 7, nil):     repo.KindShard,
		index.ShardName("node-1", 1<<60, nil): repo.KindShard,
		repo.RootName("../../etc/passwd", id): repo.Stranger,
		repo.RootName("node-1/../node-2", id): repo.Stranger,
	} {
		if got := repo.Classify(name); got != want {
			t.Errorf("%q is of kind %d, want %d", name, got, want)
		}
	}
	if got := repo.PackName(id); !strings.HasPrefix(got, "packs/ab/abcd0000") {
		t.Errorf("pack name %s", got)
	}
}

func TestLabelsAreWhatCanStandInAName(t *testing.T) {
	for _, good := range []string{"a", "0", "node-1", "db1.example.org", "8e8ae4f2-9c1f-4d3b-8f0e-0d8d3f6f2b1a", strings.Repeat("a", 64)} {
		if err := repo.CheckDomain(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".a", "-a", "a..b", "a/b", "a b", "A", "a\n", "a\x00", "_", "ä", strings.Repeat("a", 65)} {
		if err := repo.CheckDomain(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

// What others put beside our objects is counted, never read and never fatal.
func TestStrangersAreCountedAndLeftAlone(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", []byte("file"))
	backup(t, r, "node-2", "daily", []byte("file"))
	before, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	strangers := []string{"README", "packs/x", "index/node-1/tmp", "index/node-3/tmp", "snapshots/node-1/tmp", "keys/old", "zzz"}
	for _, name := range strangers {
		if err := st.Create(t.Context(), name, []byte("stranger")); err != nil {
			t.Fatal(err)
		}
	}
	inv, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if inv.Strangers != len(strangers) || inv.Objects != before.Objects || inv.Bytes != before.Bytes {
		t.Errorf("%+v, before %+v", inv, before)
	}
	if inv.Objects != 14 || len(inv.Roots) != 2 || strings.Join(inv.Domains, " ") != "node-1 node-2" {
		t.Errorf("%d objects, roots %v, domains %v", inv.Objects, inv.Roots, inv.Domains)
	}
	mustBeSound(t, r)
	mustRestore(t, r, "node-1", "daily", []byte("file"))
}
