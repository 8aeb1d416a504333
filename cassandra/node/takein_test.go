package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportTellsNodetoolTheNamesAsTheyAre(t *testing.T) {
	out := filepath.Join(t.TempDir(), "args")
	n := offline(t, Config{Nodetool: shell(`echo "$@" >>` + out)})
	if err := errors.Join(n.Import(t.Context(), "Shop", "Mixed_T", "/a/b", "/c d"), n.Refresh(t.Context(), "Shop", "Mixed_T")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if want := "import -- Shop Mixed_T /a/b /c d\nrefresh -- Shop Mixed_T\n"; err != nil || string(got) != want {
		t.Errorf("ran with %q, want %q: %v", got, want, err)
	}
}

// Releases differ in the code that nodetool import ends with where a directory was not taken in.
func TestAnImportThatFailsIsAnErrorWhateverNodetoolEndsWith(t *testing.T) {
	for _, script := range []string{
		"echo 'Some directories failed to import, check server logs for details:'; echo /staged/shop/orders",
		"echo 'Some directories failed to import, check server logs for details:'; echo /staged/shop/orders; exit 1",
	} {
		err := offline(t, Config{Nodetool: shell(script)}).Import(t.Context(), "shop", "orders", "/staged/shop/orders")
		if err == nil || !strings.Contains(err.Error(), "shop.orders") || !strings.Contains(err.Error(), "/staged/shop/orders") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", script, err)
		}
	}
	n := offline(t, Config{Nodetool: shell("echo 'ColumnFamilyStore for m/none not found.'; exit 1")})
	for _, err := range []error{n.Import(t.Context(), "m", "none", "/a"), n.Refresh(t.Context(), "m", "none")} {
		if e := commandError(t, err); !strings.Contains(e.Error(), "m/none not found") {
			t.Errorf("got %v", e)
		}
	}
}

func TestOnlyTablesAndWholePathsComeToNodetool(t *testing.T) {
	n := offline(t, Config{Nodetool: shell("echo must not run; exit 1")})
	for _, err := range []error{
		n.Import(t.Context(), "a b", "t", "/a"), n.Import(t.Context(), "k", `t"; DROP`, "/a"), n.Import(t.Context(), "k", "t", "relative"), n.Import(t.Context(), "k", "t", "--no-verify"),
		n.Refresh(t.Context(), "", "t"), n.Refresh(t.Context(), "k", "-x"), n.TruncateTable(t.Context(), "k", `t"`),
	} {
		if err == nil || errors.As(err, new(*CommandError)) {
			t.Errorf("got %v", err)
		}
	}
}
