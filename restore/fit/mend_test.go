package fit

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// TestTheStatementsMendWhateverIsLeftOut takes any columns out of the schemas of real SSTables: told are exactly these, and
// with the columns of the statements the SSTables fit.
func TestTheStatementsMendWhateverIsLeftOut(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	mended := 0
	realHeaders(t, func(f cassandratest.Fixture, version string, m *sstable.Metadata) {
		target := schemaOf(t, &m.Header)
		var out []string
		leave := func(c Column) bool {
			if r.IntN(2) == 0 {
				return false
			}
			out = append(out, c.Name)
			return true
		}
		target.Static = slices.DeleteFunc(target.Static, leave)
		target.Regular = slices.DeleteFunc(target.Regular, leave)
		udts := make(map[string]Type)
		for _, c := range slices.Concat(m.Header.Static, m.Header.Regular) {
			typ, err := ParseClass(c.Type)
			if err != nil {
				t.Fatal(err)
			}
			gather(udts, typ)
		}
		problems := against(target, &m.Header, version)
		var told []string
		for _, p := range problems {
			told = append(told, p.Column)
			for _, cql := range p.Mend {
				alter(t, target, cql, udts)
			}
		}
		slices.Sort(out)
		if slices.Sort(told); !slices.Equal(out, told) {
			t.Fatalf("%s: %q left out, %q told", f, out, told)
		}
		if got := against(target, &m.Header, version); len(got) > 0 {
			t.Fatalf("%s, mended: %+v", f, got)
		}
		mended += len(told)
	})
	if mended < 100 {
		t.Errorf("only %d columns were left out", mended)
	}
}

// alter runs ALTER TABLE … ADD "name" type [static]; as Cassandra would.
func alter(t *testing.T, target *Table, cql string, udts map[string]Type) {
	t.Helper()
	rest, ok := strings.CutPrefix(cql, `ALTER TABLE "zoo"."t" ADD "`)
	if !ok {
		t.Fatal(cql)
	}
	end := quoted(`"`+rest, `"`) - 1
	name, text := strings.ReplaceAll(rest[:end-1], `""`, `"`), strings.TrimSuffix(rest[end:], ";")
	text, static := strings.CutSuffix(text, " static")
	typ, err := ParseCQL(text, func(name string) (fields, types []string, ok bool) {
		u, ok := udts[name]
		for _, a := range u.Args {
			types = append(types, a.cql(false))
		}
		return u.Fields, types, ok
	})
	if err != nil {
		t.Fatalf("%s: %v", cql, err)
	}
	if static {
		target.Static = append(target.Static, Column{name, typ})
		return
	}
	target.Regular = append(target.Regular, Column{name, typ})
}
