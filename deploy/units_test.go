package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exposure is what systemd-analyze may find at most, in tenths: what release 252 finds, with nothing to spare.
const exposure = "14"

// installed copies the units to a directory, as they are installed, but with the cbk that these tests have built.
func installed(t *testing.T) (dir string, units []string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range files(t, "systemd") {
		text := strings.ReplaceAll(read(t, name), "/usr/local/bin/cbk", binary(t))
		to := filepath.Join(dir, strings.TrimPrefix(name, "systemd/"))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, to, text)
		if filepath.Ext(to) != ".conf" {
			units = append(units, to)
		}
	}
	return dir, units
}

// analyze runs systemd-analyze, which looks at files only, and returns what it prints.
func analyze(t *testing.T, args ...string) (printed string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: apt-get install systemd", err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err == nil
}

func TestSystemdHasNothingAgainstTheUnits(t *testing.T) {
	_, units := installed(t)
	if len(units) != 8 {
		t.Errorf("%d units: %q", len(units), units)
	}
	for _, unit := range units {
		if printed, ok := analyze(t, "verify", unit); !ok || printed != "" {
			t.Errorf("%s:\n%s", unit, printed)
		}
	}
}

func TestAMisspeltSettingIsFound(t *testing.T) {
	dir, _ := installed(t)
	unit := filepath.Join(dir, "cbk-last.service")
	write(t, unit, strings.Replace(read(t, "systemd/cbk-last.service"), "StateDirectory=", "StateDirectry=", 1))
	if printed, _ := analyze(t, "verify", unit); !strings.Contains(printed, "StateDirectry") {
		t.Errorf("verify says %q", printed)
	}
}

// Without the drop-in the same judge must find more: else it does not see it.
func TestTheServicesAreConfined(t *testing.T) {
	dir, units := installed(t)
	judge := func(unit string) (string, bool) {
		return analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+exposure, unit)
	}
	for _, unit := range services(units) {
		if printed, ok := judge(unit); !ok {
			t.Errorf("%s:\n%s", unit, printed)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "cbk-.service.d")); err != nil {
		t.Fatal(err)
	}
	for _, unit := range services(units) {
		if printed, ok := judge(unit); ok {
			t.Errorf("%s without the drop-in:\n%s", unit, printed)
		}
	}
}

func services(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), func(u string) bool { return filepath.Ext(u) != ".service" })
}

// settings returns the values of a setting of a unit, in order.
func settings(unit, name string) (values []string) {
	for _, m := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(unit, -1) {
		values = append(values, m[1])
	}
	return values
}

// exitCodes returns the exit codes of docs/cli.md.
func exitCodes(t *testing.T) (codes []string) {
	t.Helper()
	_, table, _ := strings.Cut(read(t, "../docs/cli.md"), "\n## Exit codes\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(table, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) < 9 || codes[0] != "0" || codes[1] != "1" {
		t.Fatalf("exit codes of cli.md: %q", codes)
	}
	return codes
}

// Every exit code but 0 fails a unit; only 1 is worth a retry. A code that cli.md gets must be thought of here.
func TestOnlyZeroIsSuccess(t *testing.T) {
	for _, name := range services(files(t, "systemd")) {
		unit := read(t, name)
		if s := settings(unit, "SuccessExitStatus"); s != nil {
			t.Errorf("%s takes %q for success", name, s)
		}
		for _, line := range settings(unit, "ExecStart") {
			if strings.HasPrefix(line, "-") {
				t.Errorf("%s does not care how this ends: %s", name, line)
			}
		}
		if settings(unit, "Restart") == nil {
			continue
		}
		never := strings.Fields(strings.Join(settings(unit, "RestartPreventExitStatus"), " "))
		if diff := cmp.Diff(exitCodes(t)[2:], never); diff != "" {
			t.Errorf("%s (-codes that end a night +in the unit):\n%s", name, diff)
		}
	}
}

// State that root's restores leave in a directory cannot be read by Cassandra's user: no unit may use that directory.
func TestUnitsHaveStateOfTheirOwn(t *testing.T) {
	for _, name := range services(files(t, "systemd")) {
		unit := read(t, name)
		dir, user := strings.Join(settings(unit, "StateDirectory"), " "), strings.Join(settings(unit, "User"), " ")
		want := map[string]string{"cassandra": "cbk-backup", "cbk": "cbk-keeper"}[user]
		if dir != want || !slices.Contains(settings(unit, "Environment"), "CBK_STATE_DIR=%S/"+dir) {
			t.Errorf("%s: user %q has state directory %q", name, user, dir)
		}
	}
}
