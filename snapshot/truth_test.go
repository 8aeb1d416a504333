package snapshot

import (
	"crypto/md5"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
)

func TestAnSSTableThatDoesNotMatchItsDigestIsBackedUpAndMarked(t *testing.T) {
	content := noise(1, 3000)
	crc, adler := fmt.Sprint(crc32.ChecksumIEEE([]byte(content))), fmt.Sprint(adler32.Checksum([]byte(content)))
	for _, c := range []struct {
		name, digest, says string
		with               string // of the digest file
	}{
		{"a digest that fits", "Digest.crc32", "", crc},
		{"another digest", "Digest.crc32", "Data.db does not match Digest.crc32", "1"},
		{"a digest that is no number", "Digest.crc32", "Digest.crc32 cannot be read: digest \"x\" is not a 32 bit decimal number", "x"},
		{"the digest of 2.2", "Digest.adler32", "", adler},
		{"another digest of 2.2", "Digest.adler32", "Data.db does not match Digest.adler32", crc},
		{"the digest of 2.1", "Digest.sha1", "", adler},
		{"the digest of early 2.1", "Digest.sha1", "", strings.Repeat("ab", 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			dir := n.table(0, "t", 1)
			for name, body := range map[string]string{"Data.db": content, c.digest: c.with, "Index.db": "i", "TOC.txt": "Data.db\n"} {
				n.put(dir+"/zz-1-big-"+name, body)
			}
			n.put(dir+"/zz-1-big-Statistics.db", "of a version nobody knows")
			for _, name := range []string{"one", "two"} { // the second does not read Data.db again, and remembers
				res := r.take(n, name)
				var want []Damaged
				if c.says != "" {
					want = []Damaged{{"ks", "t", dir + "/zz-1-big-", []string{c.says}}}
				}
				if diff := cmp.Diff(want, res.DamagedNames); diff != "" || res.DamagedSSTables != len(want) {
					t.Errorf("%s: %d damaged (-want +got):\n%s", name, res.DamagedSSTables, diff)
				}
				if got := r.only(r.snapshot(name)); c.says != "" && !slices.Equal(got.Damage, []string{c.says}) {
					t.Errorf("%s: the page says %q", name, got.Damage)
				}
				r.mustHold(name, n.live())
			}
		})
	}
}

func TestAnIncompleteSSTableIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		gone []string
		toc  string
		says string
	}{
		{"nothing is missing", nil, "Data.db\nFilter.db\n", ""},
		{"no Data.db", []string{"Data.db"}, "Data.db\n", "incomplete: Data.db missing"},
		{"no index", []string{"Index.db"}, "Data.db\n", "incomplete: Index.db missing"},
		{"no statistics and no index", []string{"Statistics.db", "Index.db"}, "Data.db\n", "incomplete: Statistics.db, Index.db missing"},
		{"streamed as whole files, not opened again yet", []string{"TOC.txt"}, "", ""},
		{"no TOC, and nothing that every SSTable has one of", []string{"CRC.db", "TOC.txt"}, "", "incomplete: CompressionInfo.db or CRC.db missing"},
		{"a component that the TOC has", []string{"Filter.db"}, "Data.db\nFilter.db\nCRC.db\n", "incomplete: Filter.db missing"},
		{"an index component that the TOC has", nil, "Data.db\nSAI+aa+GroupMeta.db\nSI_by_mail.db\n", ""},
		{"a TOC caught while it was written", nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			dir := n.table(0, "t", 1)
			for _, name := range []string{"Data.db", "Index.db", "Statistics.db", "Filter.db", "CRC.db", "TOC.txt"} {
				body := noise(7, 300)
				if name == "TOC.txt" {
					body = c.toc
				}
				if !slices.Contains(c.gone, name) {
					n.put(dir+"/zz-1-big-"+name, body)
				}
			}
			res := r.take(n, "b")
			got := ""
			for _, d := range res.DamagedNames {
				got += strings.Join(d.What, "; ")
			}
			if got != c.says {
				t.Errorf("got %q, want %q", got, c.says)
			}
			r.mustHold("b", n.live())
		})
	}
}

func TestStatisticsThatCannotBeReadAreDamage(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 1000)
	n.put(dir+"/nb-1-big-Digest.crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(noise(1, 1000)))))
	res := r.take(n, "b")
	if len(res.DamagedNames) != 1 || len(res.DamagedNames[0].What) != 1 || !strings.HasPrefix(res.DamagedNames[0].What[0], "Statistics.db cannot be read: ") {
		t.Errorf("damaged: %+v", res.DamagedNames)
	}
}

func TestMD5IsOfTheWholeFileAndAskedForLaterReadsAgain(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	sums := func(name string, ask bool) (got, want map[string]string) {
		t.Helper()
		opt := r.options(name)
		opt.MD5 = ask
		if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
			t.Fatal(err)
		}
		got, want = make(map[string]string), make(map[string]string)
		one := r.only(r.snapshot(name))
		for i := range one.Components {
			c := &one.Components[i]
			b, err := os.ReadFile(filepath.Join(n.Layout().DataDirs[0], r.snapshot(name).Node.Tables[0].Dir, one.File(c)))
			if err != nil {
				t.Fatal(err)
			}
			sum := md5.Sum(b)
			got[c.Name], want[c.Name] = string(c.MD5), string(sum[:])
		}
		return got, want
	}
	r.clock = written.AddDate(0, 0, 1)
	if got, _ := sums("without", false); strings.Join([]string{got["Data.db"], got["TOC.txt"]}, "") != "" {
		t.Error("MD5 that nobody asked for")
	}
	for _, name := range []string{"with", "again"} {
		got, want := sums(name, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Sizes that are multiples of those a file is cut by have no last part of their own.
func TestFilesOfWholePartsAreStoredOnceWithMD5(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	r.clock = written.AddDate(0, 0, 1)
	dir := n.table(0, "t", 1)
	n.put(dir+"/nb-1-big-Digest.crc32", digest(1))
	for name, size := range map[string]int{"Data.db": 2 << 20, "Index.db": smallest, "Filter.db": 64 << 10, "Summary.db": inlineLimit} {
		n.put(dir+"/nb-1-big-"+name, strings.Repeat("\x00", size)) // zeros are cut at every least size
	}
	n.put(dir+"/nb-1-big-SI_x.db", noise(3, 1<<20))
	opt := r.options("one")
	opt.MD5 = true
	if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r.opened, opt.Name = nil, fmt.Sprint("again", i)
		res, err := Take(t.Context(), r.repo, n, opt)
		if err != nil {
			t.Fatal(err)
		}
		r.mustOpen("t/nb-1-big-Digest.crc32", "t/nb-1-big-Summary.db")
		if table := r.snapshot(opt.Name).Node.Tables[0]; table.BytesNew != 0 || table.BytesStored != 0 || res.Unchanged != res.Files {
			t.Errorf("%d of %d files unchanged, table: %+v", res.Unchanged, res.Files, table.Cost)
		}
		one := r.only(r.snapshot(opt.Name))
		for _, c := range one.Components {
			if sum := md5.Sum([]byte(n.live()["0/"+dir+"/"+one.Prefix+c.Name])); string(c.MD5) != string(sum[:]) {
				t.Errorf("%s has another MD5", c.Name)
			}
		}
	}
}

func TestOnlyChosenTablesAreBackedUpAndTheBackupSaysSo(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	for i, name := range []string{"t", "u", "peers_x"} {
		n.sstable(n.table(0, name, i+1), "nb-1-big-", byte(i), 1000)
	}
	for _, c := range []struct {
		name   string
		chosen Selection
		want   []string
		says   string
	}{
		{"all", Selection{}, []string{"peers_x", "t", "u"}, ""},
		{"a keyspace", Selection{Keyspaces: []string{"k?"}}, []string{"peers_x", "t", "u"}, ""},
		{"a table", Selection{Tables: []string{"ks.u"}}, []string{"u"}, ""},
		{"tables by pattern", Selection{Tables: []string{"ks.[tu]"}, Exclude: []string{"ks.t"}}, []string{"u"}, ""},
		{"all but one", Selection{Exclude: []string{"*.peers_*"}}, []string{"t", "u"}, ""},
		{"a table that is not there", Selection{Tables: []string{"ks.u", "ks.v"}}, nil, `no table matches "ks.v"`},
		{"a keyspace that is not there", Selection{Keyspaces: []string{"kx"}}, nil, `no table matches "kx"`},
		{"nothing left", Selection{Keyspaces: []string{"ks"}, Exclude: []string{"ks"}}, nil, "no table matches what is selected"},
		{"a malformed pattern", Selection{Tables: []string{"ks.["}}, nil, "malformed"},
		{"a table without its keyspace", Selection{Tables: []string{"u"}}, nil, "give KEYSPACE.TABLE"},
		{"a keyspace that is a table", Selection{Keyspaces: []string{"ks.u"}}, nil, "has a dot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := r.options(c.name)
			opt.Selection = c.chosen
			res, err := Take(t.Context(), r.repo, n, opt)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %v, want %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := r.snapshot(c.name)
			var got []string
			for _, table := range s.Node.Tables {
				got = append(got, table.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("tables (-want +got):\n%s", diff)
			}
			if all := c.chosen.All(); res.Selected == all || (s.Node.Selection == nil) != all {
				t.Errorf("selected: %v, %+v", res.Selected, s.Node.Selection)
			}
		})
	}
}

func TestTablesMayBeMissingOnlyWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 1000)
	n.schema.Tables = []node.Table{{Keyspace: "ks", Name: "t", ID: tableID(1)}, {Keyspace: "ks", Name: "u", ID: tableID(2)}}
	opt := r.options("b")
	var missing *MissingError
	if _, err := Take(t.Context(), r.repo, n, opt); !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	opt.AllowMissing = true
	res, err := Take(t.Context(), r.repo, n, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ks.u"}, res.Found.Missing); diff != "" || res.MissingTables != 1 {
		t.Errorf("%d missing (-want +got):\n%s", res.MissingTables, diff)
	}
	if all := r.list(); all[0].Complete() {
		t.Error("a backup without a table counts as complete")
	}
}

func TestAnOperatorsSnapshotIsBackedUpAndStays(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	opt := r.options("b")
	opt.Way, opt.Tag = WayExisting, "Before Upgrade"
	if _, err := Take(t.Context(), r.repo, n, opt); err == nil || !strings.Contains(err.Error(), `lacks 1 of 1 tables`) && !strings.Contains(err.Error(), "has a snapshot") {
		t.Fatalf("without such a snapshot: %v", err)
	}
	if err := n.Snapshot(t.Context(), opt.Tag); err != nil {
		t.Fatal(err)
	}
	n.calls = nil
	if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(n.calls, "Snapshot") || slices.Contains(n.calls, "ClearSnapshot") {
		t.Errorf("calls %v", n.calls)
	}
	if diff := cmp.Diff([]string{opt.Tag}, n.snapshots()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	if s := r.snapshot("b"); s.Node.Way != WayExisting || s.Node.Tag != opt.Tag {
		t.Errorf("way %q, tag %q", s.Node.Way, s.Node.Tag)
	}
}
