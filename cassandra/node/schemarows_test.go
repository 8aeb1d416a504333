package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/schema"
)

func TestValuesGetTheTypesOfARow(t *testing.T) {
	for _, v := range []struct{ driver, row any }{
		{gocql.UUID{1, 2}, [16]byte{1, 2}},
		{time.UnixMilli(5).In(time.FixedZone("x", 3600)), time.UnixMilli(5).UTC()},
		{int8(-1), -1}, {int16(-2), -2}, {-3, -3}, {int64(-4), int64(-4)}, {float32(0.5), 0.5},
		{"x", "x"}, {[]string{"a"}, []string{"a"}}, {map[string][]byte{"k": {1}}, map[string][]byte{"k": {1}}},
	} {
		if diff := cmp.Diff(v.row, rowValue(v.driver)); diff != "" {
			t.Errorf("%T (-want +got):\n%s", v.driver, diff)
		}
	}
}

func TestARowCountsWithAllThatItHolds(t *testing.T) {
	const long = "0123456789012345678901234567890123456789"
	for _, v := range []any{long, []byte(long), []string{long}, map[string]string{"k": long}, map[string]string{long: ""}, map[string][]byte{"k": []byte(long)}} {
		if got := sizeOf(schema.Row{"c": v}); got < 128+len(long) {
			t.Errorf("%T counts %d", v, got)
		}
	}
}

func TestFlawsOfADescriptionAreFound(t *testing.T) {
	for statement, want := range map[string]struct {
		kind   string
		flawed bool
	}{
		"CREATE TABLE k.t (id int PRIMARY KEY);":               {"table", false},
		"CREATE TABLE k.t () WITH comment = '$$ /*';":          {"table", false},
		"/*\nWarning: Table k.t omitted\n*/":                   {"table", true},
		"CREATE FUNCTION k.f() LANGUAGE java AS $$ x $$;":      {"function", false},
		"CREATE FUNCTION k.f() LANGUAGE java AS $$ x $$ y $$;": {"function", true},
		"CREATE FUNCTION k.f() LANGUAGE java AS $$ x$$$;":      {"function", true},
	} {
		if got := isFlawed(want.kind, statement); got != want.flawed {
			t.Errorf("%s: %v", statement, got)
		}
	}
	for quoted, want := range map[string]string{"plain": "plain", `"Mixed"`: "Mixed", `"a""b"`: `a"b`} {
		if got := unquoted(quoted); got != want {
			t.Errorf("%s gives %s", quoted, got)
		}
	}
}

// answer is an error that a node sent.
type answer struct{ code int }

func (a answer) Code() int       { return a.code }
func (a answer) Message() string { return "no" }
func (a answer) Error() string   { return "no" }

func TestAnAnswerIsToldFromALostConnection(t *testing.T) {
	syntax := fmt.Errorf("query: %w", answer{gocql.ErrCodeSyntax})
	if !answeredWith(syntax, gocql.ErrCodeInvalid, gocql.ErrCodeSyntax) || answeredWith(syntax, gocql.ErrCodeInvalid) {
		t.Error("a syntax error is not known by its code")
	}
	if answeredWith(errors.New("closed"), gocql.ErrCodeSyntax) || answeredWith(nil, gocql.ErrCodeSyntax) {
		t.Error("what is no answer counts as one")
	}
}
