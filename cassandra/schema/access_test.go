package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func someAccess() *Access {
	return &Access{
		Roles: []Row{
			{"role": "boss", "can_login": true, "is_superuser": true, "salted_hash": "$2a$10$abc'd"},
			{"role": "A b", "can_login": false, "is_superuser": false, "member_of": []string{"boss"}},
		},
		Members:  []Row{{"role": "boss", "member": "A b"}},
		Networks: []Row{{"role": "boss", "dcs": []string{"dc1", "d'2"}}, {"role": "A b"}},
		Permissions: []Row{
			{"role": "A b", "resource": "data/Ks/T", "permissions": []string{"SELECT", "MODIFY"}},
			{"role": "A b", "resource": "spaceships/7\nDROP", "permissions": []string{"FLY"}},
		},
		Identities: []Row{{"identity": "spiffe://x", "role": "boss"}},
	}
}

const madeAgain = `CREATE ROLE IF NOT EXISTS "A b" WITH SUPERUSER = false AND LOGIN = false;
CREATE ROLE IF NOT EXISTS boss WITH SUPERUSER = true AND LOGIN = true AND HASHED PASSWORD = '$2a$10$abc''d';
ALTER ROLE boss WITH ACCESS TO DATACENTERS {'dc1', 'd''2'};
GRANT boss TO "A b";
-- role "A b" has the permission "FLY" on the resource "spaceships/7\nDROP", which no statement gives
GRANT MODIFY ON TABLE "Ks"."T" TO "A b";
GRANT SELECT ON TABLE "Ks"."T" TO "A b";
ADD IDENTITY IF NOT EXISTS 'spiffe://x' TO ROLE boss;
`

func TestRolesBecomeStatementsThatMakeThemAgain(t *testing.T) {
	for _, release := range []string{"4.1.10", "4.1-beta1", "5.0.6", "6.0-alpha2"} {
		got, err := someAccess().CQL(release)
		if diff := cmp.Diff(madeAgain, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", release, err, diff)
		}
	}
	got, err := new(Access).CQL("5.0.6")
	if got != "" || err != nil {
		t.Errorf("no rows give %q, error %v", got, err)
	}
}

func TestReleasesThatTakeNoHashGetARow(t *testing.T) {
	want := "INSERT INTO system_auth.roles (role, can_login, is_superuser, salted_hash) VALUES ('boss', true, true, '$2a$10$abc''d') IF NOT EXISTS;\n"
	for _, release := range []string{"3.11.19", "4.0.19", "", "x"} {
		got, err := someAccess().CQL(release)
		if err != nil || !strings.Contains(got, want) || strings.Contains(got, "HASHED") {
			t.Errorf("%q: error %v, text\n%s", release, err, got)
		}
	}
}

func TestTheOrderOfTheRowsDoesNotShowInTheRoles(t *testing.T) {
	a := someAccess()
	a.Roles[0], a.Roles[1] = a.Roles[1], a.Roles[0]
	a.Permissions[0], a.Permissions[1] = a.Permissions[1], a.Permissions[0]
	a.Permissions[1]["permissions"] = []string{"MODIFY", "SELECT"}
	if got, err := a.CQL("5.0.6"); err != nil || got != madeAgain {
		t.Errorf("error %v, text\n%s", err, got)
	}
}

func TestRolesThatLackSomethingAreErrors(t *testing.T) {
	for want, a := range map[string]*Access{
		"row of roles: column role has no value":                        {Roles: []Row{{}}},
		"row of roles: column can_login is string, not bool":            {Roles: []Row{{"role": "x", "can_login": "yes"}}},
		"row of role_members: column member has no value":               {Members: []Row{{"role": "x"}}},
		"row of role_permissions: column permissions has no value":      {Permissions: []Row{{"role": "x", "resource": "data"}}},
		"row of network_permissions: column dcs is string, not []strin": {Networks: []Row{{"role": "x", "dcs": "dc1"}}},
	} {
		if got, err := a.CQL("5.0.6"); err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("text %q, error %v, want %q", got, err, want)
		}
	}
}

func TestResourcesAreTranslated(t *testing.T) {
	const m = "org.apache.cassandra.db.marshal."
	for name, want := range map[string]string{
		"data":               "ALL KEYSPACES",
		"data/Ks":            `KEYSPACE "Ks"`,
		"data/ks/T":          `TABLE ks."T"`,
		"data/ks/*":          "ALL TABLES IN KEYSPACE ks",
		"roles":              "ALL ROLES",
		"roles/a/b":          `ROLE "a/b"`,
		"mbean":              "ALL MBEANS",
		"mbean/o:type=T'x,*": "MBEANS 'o:type=T''x,*'",
		"functions":          "ALL FUNCTIONS",
		"functions/ks":       "ALL FUNCTIONS IN KEYSPACE ks",
		"functions/ks/f[]":   "FUNCTION ks.f()",
		"functions/ks/F [" + m + "Int32Type^" + m + "UTF8Type]":                                                          `FUNCTION ks."F "(int, text)`,
		"functions/ks/f[" + m + "FrozenType(" + m + "TupleType(" + m + "Int32Type," + m + "LongType))]":                  "FUNCTION ks.f(tuple<int, bigint>)",
		"functions/ks/f[" + m + "MapType(" + m + "UTF8Type," + m + "SetType(" + m + "DoubleType))]":                      "FUNCTION ks.f(map<text, set<double>>)",
		"functions/ks/f[" + m + "UserType(ks,506c616365,61:" + m + "Int32Type,62:" + m + "ListType(" + m + "UTF8Type))]": `FUNCTION ks.f("Place")`,
		"functions/ks/f[" + m + "VectorType(" + m + "FloatType , 3)]":                                                    "FUNCTION ks.f(vector<float, 3>)",
	} {
		if got, err := resourceCQL(name); err != nil || got != want {
			t.Errorf("%s gives %q, error %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "data/", "data/ks/", "data/ks/t/u", "rolesx", "functions/ks/f", "functions/ks/[]", "functions/ks/f[x]",
		"functions/ks/f[" + m + "ListType(]", "functions/ks/f[" + m + "Int32Type)]", "functions/ks/f[" + strings.Repeat("ListType(", 100) + "]"} {
		if got, err := resourceCQL(name); err == nil {
			t.Errorf("%s gives %q", name, got)
		}
	}
}

func FuzzResourceCQL(f *testing.F) {
	for _, name := range []string{"data/ks/t", "roles/x", "functions/ks/f[MapType(UTF8Type,UserType(ks,61,62:VectorType(FloatType , 3)))]", "mbean/x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, err := resourceCQL(name); err == nil && (got == "" || len(got) > 100+8*len(name)) {
			t.Errorf("%q gives %q", name, got)
		}
	})
}

func FuzzTypeNames(f *testing.F) {
	f.Add(`frozen<map<text, "A ""b"" c">>`)
	f.Fuzz(func(t *testing.T, text string) {
		size := 0
		for _, name := range TypeNames(text) {
			size += len(name)
		}
		if size > len(text) {
			t.Errorf("%q gives %d bytes of names", text, size)
		}
	})
}
