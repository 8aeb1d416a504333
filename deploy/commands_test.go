package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// probe is a cbk that looks at its flags alone: it notes what it was called with and how the built cbk, asked for help,
// ends. Of flags that it does not know, or values of the wrong type, cbk complains even then.
const probe = `#!/bin/sh
%s "$@" --help >/dev/null 2>&1
echo "$? $*" >>%s
`

// called runs a line of shell with a probe for cbk, and with nothing done by other programs that it names, and returns the
// calls of cbk: exit code and arguments. The date of now reads DATE.
func called(t *testing.T, shell string) (calls []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	write(t, log, "")
	programs := map[string]string{"cbk": fmt.Sprintf(probe, binary(t), log), "logger": "#!/bin/sh\nexec cat\n"}
	for name, script := range programs {
		write(t, filepath.Join(dir, name), script)
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().UTC().Format(time.DateOnly)
	cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(shell, "/usr/local/bin/cbk", "cbk"))
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", shell, err, out)
	}
	lines := read(t, log)
	for _, day := range []string{before, time.Now().UTC().Format(time.DateOnly)} {
		lines = strings.ReplaceAll(lines, day, "DATE")
	}
	return strings.Split(strings.TrimSpace(lines), "\n")
}

// unitLines are the command lines of a unit as the shell, or cbk, gets them.
func unitLines(unit string) (lines []string) {
	for _, name := range []string{"ExecStart", "ExecStopPost"} {
		for _, line := range settings(unit, name) {
			line = strings.NewReplacer("$$", "$", "%%", "%").Replace(strings.TrimPrefix(line, "-"))
			if inner, ok := strings.CutPrefix(line, "/bin/sh -c '"); ok {
				line = strings.TrimSuffix(inner, "'")
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// cronLines are the command lines of a file for /etc/cron.d, without times and user. Cron ends a command at a % that has no
// backslash.
func cronLines(table string) (lines []string) {
	for _, m := range regexp.MustCompile(`(?m)^[0-9*](?:\S+)?(?: \S+){4} [a-z]+ (.*)$`).FindAllStringSubmatch(table, -1) {
		command, _, _ := strings.Cut(strings.ReplaceAll(m[1], `\%`, "\x00"), "%")
		lines = append(lines, strings.ReplaceAll(command, "\x00", "%"))
	}
	return lines
}

const nightly = "0 backup --name DATE --stagger 3h"

func TestCbkUnderstandsTheLinesOfTheFiles(t *testing.T) {
	want := map[string][]string{
		"systemd/cbk-backup.service":    {nightly},
		"systemd/cbk-retention.service": {"0 purge --yes", "0 gc"},
		"systemd/cbk-check.service":     {"0 check --budget 2h", "0 check --status --metrics-file /var/lib/node_exporter/cbk-check.prom"},
		"systemd/cbk-last.service":      {"0 last --max-age 30h"},
		"cron.d/cbk-node":               {nightly},
		"cron.d/cbk-keeper":             {"0 purge --yes", "0 gc", "0 check --budget 2h", "0 last --max-age 30h"},
		"kubernetes/backup.yaml":        {nightly},
		"kubernetes/backup-now.yaml":    {"0 backup --name before-upgrade"},
		"kubernetes/keeper.yaml":        {"0 purge --yes", "0 gc"},
	}
	got := make(map[string][]string)
	for _, dir := range []string{"systemd", "cron.d", "kubernetes"} {
		for _, name := range files(t, dir) {
			for _, line := range commandLines(t, name) {
				got[name] = append(got[name], called(t, line)...)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls of cbk (-want +got):\n%s", diff)
	}
}

func commandLines(t *testing.T, name string) (lines []string) {
	switch {
	case strings.HasPrefix(name, "cron.d/"):
		return cronLines(read(t, name))
	case filepath.Ext(name) == ".service":
		return unitLines(read(t, name))
	case filepath.Ext(name) == ".yaml":
		for _, job := range jobs(t, name) {
			lines = append(lines, shellOf(t, job))
		}
	}
	return lines
}

func TestALineThatCbkDoesNotUnderstandIsFound(t *testing.T) {
	for _, line := range []string{"cbk backup --nmae x", "cbk backup --stagger soon", "cbk purge --keep-daily many", "cbk check --budget"} {
		if calls := called(t, line+" || true"); len(calls) != 1 || !strings.HasPrefix(calls[0], "2 ") {
			t.Errorf("%s: %q", line, calls)
		}
	}
}

// The keeper's units run, one after another, in a repository without backups, so that the flags' values are read too: all
// end with 0 but the one that must tell of that.
func TestTheKeepersUnitsRun(t *testing.T) {
	dir := t.TempDir()
	env := append(os.Environ(), "CBK_REPO="+dir+"/repo", "CBK_STATE_DIR="+dir+"/state", "CBK_CONFIG="+dir+"/cbk.yaml")
	run := func(exit int, shell string, also ...string) string {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(shell, "/usr/local/bin/cbk", binary(t)))
		cmd.Env = append(env, also...)
		out, err := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != exit {
			t.Errorf("%s: exit %d, %v", shell, code, err)
		}
		return string(out)
	}
	write(t, dir+"/cbk.yaml", "retention: {keep_daily: 14}\n")
	run(0, "/usr/local/bin/cbk init", "CBK_PASSPHRASE=correct horse")
	write(t, dir+"/keeper.key", run(0, "/usr/local/bin/cbk key export --role keeper", "CBK_PASSPHRASE=correct horse"))
	for unit, exit := range map[string]int{"retention": 0, "check": 0, "last": 3} {
		for _, line := range unitLines(read(t, "systemd/cbk-"+unit+".service")) {
			run(exit, strings.ReplaceAll(line, "/var/lib/node_exporter", dir), "CBK_KEY_FILE="+dir+"/keeper.key")
		}
	}
	if metrics := read(t, dir+"/cbk-check.prom"); !strings.Contains(metrics, "cbk_check_last_run_damaged_objects") {
		t.Errorf("metrics of the check:\n%s", metrics)
	}
}
