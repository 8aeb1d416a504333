package sstable

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseName(t *testing.T) {
	const uuid = "3gqe_1d9k_3kb0b2ylzyoquvlmql"
	tests := []struct {
		what      string
		name      string
		want      Descriptor
		component string
	}{
		{"a name of 4.0 to 5.0", "nb-1-big-Data.db", Descriptor{Version: "nb", ID: "1", Format: "big"}, Data},
		{"a name with a UUID identifier", "da-" + uuid + "-bti-Partitions.db", Descriptor{Version: "da", ID: uuid, Format: "bti"}, Partitions},
		{"a name of 2.2", "la-7-big-Digest.adler32", Descriptor{Version: "la", ID: "7", Format: "big"}, DigestAdler},
		{"a name of 2.1", "ks-table-ka-1-Data.db", Descriptor{Keyspace: "ks", Table: "table", Version: "ka", ID: "1"}, Data},
		{"a name of 2.1 of an index", "ks-t.by_mail-jb-33-Index.db", Descriptor{Keyspace: "ks", Table: "t.by_mail", Version: "jb", ID: "33"}, Index},
		{"a name of 2.1 that begins like a later one", "ab-1-ka-5-Data.db", Descriptor{Keyspace: "ab", Table: "1", Version: "ka", ID: "5"}, Data},
		{"a name of 2.1 of a keyspace named tmp", "tmp-ab-ka-5-TOC.txt", Descriptor{Keyspace: "tmp", Table: "ab", Version: "ka", ID: "5"}, TOC},
		{"a component of SAI", "nb-3-big-SAI+aa+by_name+TermsData.db", Descriptor{Version: "nb", ID: "3", Format: "big"}, "SAI+aa+by_name+TermsData.db"},
		{"a component of SASI", "me-3-big-SI_by_name.db", Descriptor{Version: "me", ID: "3", Format: "big"}, "SI_by_name.db"},
		{"a component with dashes", "oa-3-big-a-b-c.db", Descriptor{Version: "oa", ID: "3", Format: "big"}, "a-b-c.db"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			d, component, err := ParseName(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d); diff != "" || component != tt.component {
				t.Errorf("component %q, descriptor (-want +got):\n%s", component, diff)
			}
			if got := d.Prefix() + component; got != tt.name {
				t.Errorf("put together again it is %q", got)
			}
		})
	}
}

func TestParseNameRefusesWhatIsNoComponent(t *testing.T) {
	names := []string{
		"", "Data.db", "manifest.json", "schema.cql", "nb-1-big", "nb-1-big-", "nb--big-Data.db", "nb-x1-big-Data.db",
		"NB-1-big-Data.db", "nbb-1-big-Data.db", "nb-1-big-a/b", "nb-1-big-a\nb", "nb_txn_flush_1.log",
		"nb-12345678901234567890-big-Data.db", "nb-3gqe_1d9k_short-big-Data.db",
		"nb-1-big-" + strings.Repeat("x", maxName),
	}
	for _, name := range names {
		if d, component, err := ParseName(name); err == nil || errors.Is(err, ErrTemporary) {
			t.Errorf("%q gives %+v, %q, %v", name, d, component, err)
		}
	}
}

func TestParseNameTellsTemporaryFiles(t *testing.T) {
	names := []string{
		"nb-1-big-Statistics.db.tmp", "tmp-la-1-big-Data.db", "tmplink-lb-12-big-Data.db",
		"ks-table-tmp-ka-1-Data.db", "ks-table-tmplink-ka-1-Data.db", "ks-table.idx-tmp-ka-1-Data.db",
	}
	for _, name := range names {
		if _, _, err := ParseName(name); !errors.Is(err, ErrTemporary) {
			t.Errorf("%q gives %v", name, err)
		}
	}
}

func TestDirectoriesOfTablesAndIndexes(t *testing.T) {
	const id = "62217dc0e70911f1ab8e393b003723cb"
	for name, want := range map[string]string{
		"shop-" + id: "shop", "Shop_1-" + id: "Shop_1", strings.Repeat("t", 222) + "-" + id: strings.Repeat("t", 222),
		strings.Repeat("t", 223) + "-" + id: "", "-" + id: "", "shop": "", "shop-" + id[1:]: "", "shop-" + id + "0": "",
		"shop-" + strings.ToUpper(id): "", "a/b-" + id: "", "a-b-" + id: "", "shöp-" + id: "", "shop-" + id + "\n": "",
	} {
		table, got, ok := ParseTableDir(name)
		if ok != (want != "") || table != want || ok && got != id {
			t.Errorf("%q gives %q, %q, %v", name, table, got, ok)
		}
	}
	for name, want := range map[string]string{
		".by_mail": "by_mail", ".idx": "idx", "by_mail": "", ".": "", "..": "", "": "", "./a": "", "." + strings.Repeat("x", maxName): "",
	} {
		if got, ok := ParseIndexDir(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q gives %q, %v", name, got, ok)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, name := range []string{"nb-1-big-Data.db", "ks-t-ka-1-Data.db", "tmp-la-1-big-Data.db", "da-3gqe_1d9k_3kb0b2ylzyoquvlmql-bti-Rows.db"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d, component, err := ParseName(name)
		if err != nil {
			return
		}
		if d.Prefix()+component != name || component == "" || strings.ContainsAny(component, "/\x00\n") {
			t.Errorf("%q gives %+v and %q", name, d, component)
		}
	})
}
