package snapshot

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
)

func tablesOf(names ...string) (all []node.Table) {
	for _, name := range names {
		all = append(all, node.Table{Keyspace: name[:1], Name: name[2:], ID: tableID(len(all))})
	}
	return all
}

func TestCassandraIsAskedForKeyspacesWithSelectedTablesOnly(t *testing.T) {
	tables := tablesOf("a.t", "a.u", "b.t", "c.v")
	for _, c := range []struct {
		name   string
		chosen Selection
		want   []string
	}{
		{"all", Selection{}, nil},
		{"one table in each of two", Selection{Tables: []string{"*.t"}}, []string{"a", "b"}},
		{"both tables of one, each once", Selection{Keyspaces: []string{"a"}}, []string{"a"}},
		{"all but a keyspace", Selection{Exclude: []string{"a"}}, []string{"b", "c"}},
		{"all but one table of one", Selection{Exclude: []string{"a.t"}}, []string{"a", "b", "c"}},
		{"all but the only table of one", Selection{Exclude: []string{"c.v"}}, []string{"a", "b"}},
	} {
		if diff := cmp.Diff(c.want, c.chosen.keyspaces(tables)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAPatternWithoutTextIsRefused(t *testing.T) {
	for _, s := range []Selection{{Keyspaces: []string{""}}, {Tables: []string{""}}, {Exclude: []string{"a", ""}}} {
		if err := s.Check(); err == nil {
			t.Errorf("took %+v", s)
		}
	}
}

// Tables are told by their ids: what was dropped and made again under its name is another.
func TestTheTablesOfTheSchemaAreComparedWithTheSnapshot(t *testing.T) {
	one, two := node.Table{Keyspace: "k", Name: "t", ID: "1"}, node.Table{Keyspace: "k", Name: "t", ID: "2"}
	of := func(tables ...node.Table) []node.Table { return tables }
	dir := func(id string) node.TableDir { return node.TableDir{Keyspace: "k", Table: "t", ID: id} }
	for _, c := range []struct {
		name          string
		before, after []node.Table
		dirs          []node.TableDir
		want          Found
	}{
		{"nothing", nil, nil, nil, Found{}},
		{"as it was", of(one), of(one), []node.TableDir{dir("1")}, Found{}},
		{"not in the snapshot", of(one), of(one), nil, Found{Missing: []string{"k.t"}}},
		{"another of its name in the snapshot", of(one), of(one), []node.TableDir{dir("2")}, Found{Missing: []string{"k.t"}}},
		{"a directory of before 2.1", of(one), of(one), []node.TableDir{dir("")}, Found{}},
		{"created meanwhile", nil, of(one), nil, Found{Appeared: []string{"k.t"}}},
		{"dropped meanwhile", of(one), nil, nil, Found{Gone: []string{"k.t"}}},
		{"dropped and made again meanwhile", of(one), of(two), []node.TableDir{dir("1")}, Found{Appeared: []string{"k.t"}, Gone: []string{"k.t"}}},
		{"a dropped table that still has a directory", nil, nil, []node.TableDir{dir("1")}, Found{}},
	} {
		if diff := cmp.Diff(c.want, findTables(c.before, c.after, c.dirs, &Selection{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(Found{}, findTables(c.before, c.after, c.dirs, &Selection{Exclude: []string{"k"}})); diff != "" {
			t.Errorf("%s, not selected (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestMissingTablesAreAllowedBesideOthersOnly(t *testing.T) {
	var missing *MissingError
	before := tablesOf("a.t", "b.t")
	for _, c := range []struct {
		name    string
		found   Found
		dirs    int
		allowed bool
		refused bool
	}{
		{"nothing is missing", Found{}, 1, false, false},
		{"no tables are there and none is missing", Found{}, 0, false, false},
		{"one is missing", Found{Missing: []string{"a.t"}}, 1, false, true},
		{"one is missing and may be", Found{Missing: []string{"a.t"}}, 1, true, false},
		{"all are missing though some may be", Found{Missing: []string{"a.t", "b.t"}}, 0, true, true},
		{"others came and went", Found{Appeared: []string{"a.x"}, Gone: []string{"a.y"}}, 1, false, false},
	} {
		err := c.found.check(before, make([]node.TableDir, c.dirs), c.allowed)
		if errors.As(err, &missing) != c.refused || c.refused && missing.Of != 2 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
