package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var someTokens = FirstStart{Restore: "20260501T120000Z", Tokens: []string{"-9223372036854775808", "5"}}

const shipped = `cluster_name: 'shop'
num_tokens: 16   # default
# initial_token:
auto_bootstrap: true
data_file_directories:
  - /d/data
  # num_tokens: in a list
seed_provider:
  - class_name: x
    parameters:
      - seeds: "127.0.0.1"
`

func TestTheFirstStartIsSetBetweenMarksAndTakenOutAgain(t *testing.T) {
	set, err := someTokens.set(shipped)
	if err != nil {
		t.Fatal(err)
	}
	const want = `cluster_name: 'shop'
#cbk 20260501T120000Z# num_tokens: 16   # default
# initial_token:
#cbk 20260501T120000Z# auto_bootstrap: true
data_file_directories:
  - /d/data
  # num_tokens: in a list
seed_provider:
  - class_name: x
    parameters:
      - seeds: "127.0.0.1"

# BEGIN cbk restore 20260501T120000Z: for the first start only
initial_token: "-9223372036854775808,5"
num_tokens: 2
auto_bootstrap: false
# END cbk restore 20260501T120000Z
`
	if diff := cmp.Diff(want, set); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := someTokens.set(set); err != nil || again != set {
		t.Errorf("set twice: %v", err)
	}
	// What somebody else changes meanwhile stays.
	edited := strings.Replace(set, "'shop'", "'store'", 1) + "listen_address: 10.0.0.1\n"
	back, err := someTokens.clear(edited)
	if want := strings.Replace(shipped, "'shop'", "'store'", 1) + "listen_address: 10.0.0.1\n"; err != nil || back != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, back))
	}
	if again, err := someTokens.clear(back); err != nil || again != back {
		t.Errorf("cleared twice: %v", err)
	}
}

func TestAnyConfigurationComesBackByteForByte(t *testing.T) {
	lines := []string{"cluster_name: a", "num_tokens: 16", "num_tokens : 4", "initial_token: 1,2", "auto_bootstrap: true", "# num_tokens: 3", "", "  ",
		"# a comment", "hints_directory: /h", "commitlog_directory: /c\r"}
	rapid.Check(t, func(t *rapid.T) {
		keys, text := make(map[string]bool), ""
		for _, line := range rapid.SliceOfN(rapid.SampledFrom(lines), 0, 8).Draw(t, "lines") {
			key, _, _ := strings.Cut(line, ":")
			if key = strings.TrimSpace(key); key != "" && key[0] != '#' && keys[key] {
				continue
			}
			keys[key] = true
			text += line + "\n"
		}
		if rapid.Bool().Draw(t, "without its last line feed") {
			text = strings.TrimSuffix(text, "\n")
		}
		set, err := someTokens.set(text)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := someTokens.clear(set); err != nil || back != text {
			t.Fatalf("%q became %q, %v", text, back, err)
		}
	})
}

func TestConfigurationsThatCannotBeEditedAreRefused(t *testing.T) {
	other := FirstStart{Restore: "20260502T120000Z", Tokens: []string{"1"}}
	theirs, err := other.set(shipped)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"one mapping on one line":     {"{cluster_name: a, num_tokens: 3}\n", "cassandra.first_start"},
		"the document ends before it": {shipped + "...\n", "cassandra.first_start"},
		"a key in quotes":             {`"num_tokens": 3` + "\n", "cassandra.first_start"},
		"another restore's":           {theirs, "settings of another restore"},
	} {
		if _, err := someTokens.set(c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	set, err := someTokens.set(shipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{someTokens.begin(), someTokens.end()} {
		if _, err := someTokens.clear(strings.Replace(set, line+"\n", "", 1)); err == nil || !strings.Contains(err.Error(), "by hand") {
			t.Errorf("without %q: %v", line, err)
		}
	}
	if _, err := someTokens.set(strings.Replace(set, "num_tokens: 2", "num_tokens: 3", 1)); err == nil {
		t.Error("settings that were changed are taken for set")
	}
	for _, f := range []FirstStart{{"a b", []string{"1"}}, {"", []string{"1"}}, {"a", nil}, {"a", []string{"1\nx: y"}}, {"a", []string{"one"}}} {
		if err := f.check(); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// configured is a node whose cassandra.yaml is reached by a link.
func configured(t *testing.T, command ...string) (n *Node, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "real.yaml")
	if err := os.WriteFile(path, []byte(shipped), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.yaml", filepath.Join(dir, "cassandra.yaml")); err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{YAML: filepath.Join(dir, "cassandra.yaml"), FirstStart: command}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n, path
}

func TestTheFileKeepsItsModeAndACopyIsKept(t *testing.T) {
	n, path := configured(t)
	keep := filepath.Join(t.TempDir(), "kept")
	for range 2 {
		if err := n.PrepareFirstStart(t.Context(), &someTokens, keep); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if kept, err := os.ReadFile(keep); err != nil || string(kept) != shipped {
		t.Errorf("the copy: %v\n%s", err, kept)
	}
	if info, err := os.Stat(keep); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v", err)
	}
	if link, err := os.Readlink(filepath.Join(filepath.Dir(path), "cassandra.yaml")); err != nil || link != "real.yaml" {
		t.Errorf("the link: %q, %v", link, err)
	}
	for range 2 {
		if err := n.EndFirstStart(t.Context(), &someTokens); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != shipped {
		t.Errorf("%v\n%s", err, b)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".cbk-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestACommandSetsTheFirstStartWhereTheFileIsManagedElsewhere(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	n, path := configured(t, "sh", "-c", `echo "$@" >> `+said, "first-start")
	if err := n.PrepareFirstStart(t.Context(), &someTokens, filepath.Join(t.TempDir(), "kept")); err != nil {
		t.Fatal(err)
	}
	if err := n.EndFirstStart(t.Context(), &someTokens); err != nil {
		t.Fatal(err)
	}
	const want = "set 20260501T120000Z -9223372036854775808,5\nclear 20260501T120000Z\n"
	if b, err := os.ReadFile(said); err != nil || string(b) != want {
		t.Errorf("%v: %q", err, b)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != shipped {
		t.Errorf("the file was touched: %v", err)
	}
	n, _ = configured(t, "false")
	if err := n.PrepareFirstStart(t.Context(), &someTokens, ""); err == nil || !strings.Contains(err.Error(), "cassandra.first_start") {
		t.Errorf("a command that fails: %v", err)
	}
}
