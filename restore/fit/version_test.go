package fit

import (
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
)

func TestReleasesReadTheVersionsTheyKnow(t *testing.T) {
	for _, c := range []struct{ release, mode, reads, refuses, unsure, older string }{
		{release: "3.0.31", reads: "jb ka la lb ma me", refuses: "ja ic na nb oa da/bti", older: "jb ka lb"},
		{release: "3.11.19", reads: "jb ma md me", refuses: "na oa", older: "la"},
		{release: "4.0.19", reads: "ma me na nb", refuses: "jb ka lb oa da/bti", older: "me ma"},
		{release: "4.1.10", reads: "ma nb", refuses: "lb oa pa", older: "mc"},
		{release: "5.0.6", mode: "NONE", reads: "ma nb oa da/bti", refuses: "lb pa ea/bti aa/bti", older: "me nb"},
		{release: "5.0.6", mode: "UPGRADING", reads: "oa", refuses: "pa"},
		{release: "5.0.6", mode: "cassandra_4", reads: "ma nb da/bti", refuses: "oa pa ea/bti", older: "me"},
		{release: "5.0.6", reads: "ma nb oa", refuses: "pa", unsure: "oa", older: "me"},
		{release: "5.0-rc1", reads: "nb da/bti"},
		{release: "6.0-alpha2", mode: "NONE", reads: "ma nb oa pa da/bti ea/bti", refuses: "lb qa fa/bti", older: "nb oa da/bti"},
		{release: "6.0-alpha2", mode: "CASSANDRA_5", reads: "oa", refuses: "pa", older: "nb"},
		{release: "6.0-alpha2", mode: "CASSANDRA_4", reads: "nb", refuses: "oa pa"},
		{release: "6.0-alpha2", reads: "nb oa pa", unsure: "oa pa"},
	} {
		t.Run(c.release+c.mode, func(t *testing.T) {
			each := func(list string, holds func(Reading) bool) {
				for _, v := range strings.Fields(list) {
					version, format, _ := strings.Cut(v, "/")
					if format == "" {
						format = "big"
					}
					if r := Reads(c.release, c.mode, version, format); !holds(r) {
						t.Errorf("%s: %+v", v, r)
					}
				}
			}
			each(c.reads, func(r Reading) bool { return r.Reads })
			each(c.refuses, func(r Reading) bool { return !r.Reads && r.Unsure == "" && !r.Older })
			each(c.unsure, func(r Reading) bool { return r.Reads && r.Unsure != "" })
			each(c.older, func(r Reading) bool { return r.Older })
		})
	}
}

func TestAnUnknownReleaseIsNotGuessedAt(t *testing.T) {
	for _, release := range []string{"", "7.0", "5.1", "2.2.19", "dse-6.8"} {
		if r := Reads(release, "", "nb", "big"); !r.Unknown || r.Reads {
			t.Errorf("%s: %+v", release, r)
		}
	}
	if Reads("5.0.6", "NONE", "", "big").Reads {
		t.Error("an SSTable without version is read")
	}
}

func TestEachReleaseReadsWhatItWrote(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		format := "big"
		if rel.Format == "da" {
			format = "bti"
		}
		if r := Reads(rel.Release, "NONE", rel.Format, format); !r.Reads || r.Unknown {
			t.Errorf("%v: %+v", rel, r)
		}
	}
}

func TestVersionsBecomeRisks(t *testing.T) {
	for _, c := range []struct {
		name, release, mode, version, says string
		refuses, final                     bool
	}{
		{"as the target writes it", "4.1.10", "", "nb", "", false, false},
		{"older, and read", "4.1.10", "", "me", "2 SSTables of version me: Cassandra 4.1.10 reads them and writes newer ones; rewrite them with nodetool upgradesstables", false, false},
		{"newer", "4.1.10", "", "oa", "2 SSTables of version oa: Cassandra 4.1.10 does not read them", true, true},
		{"held back by a mode", "5.0.6", "CASSANDRA_4", "oa", "2 SSTables of version oa: Cassandra 5.0.6 does not read them in storage_compatibility_mode CASSANDRA_4", true, true},
		{"the mode is not known", "5.0.6", "", "oa", "2 SSTables of version oa: Cassandra 5.0.6 reads them only where its storage_compatibility_mode is newer, which is not known", true, false},
		{"the release is not known", "9.9", "", "nb", `2 SSTables of version nb: whether Cassandra "9.9" reads them is not known`, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Release: c.release, Mode: c.mode}
			r := in.judgeVersion(c.version, "big", 2)
			if r == nil {
				r = &Risk{Code: Version}
			}
			if r.What != c.says || r.Refuses != c.refuses || r.Final != c.final || r.Code != Version {
				t.Errorf("%+v", r)
			}
		})
	}
}
