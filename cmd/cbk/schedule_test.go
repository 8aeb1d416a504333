package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// nightly is the line of shell that the unit of a node runs, as systemd hands it over.
func nightly(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile("../../deploy/systemd/cbk-backup.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ExecStart=/bin/sh -c '(.*)'$`).FindSubmatch(unit)
	if m == nil {
		t.Fatal("the unit has no line of shell")
	}
	return strings.NewReplacer("$$", "$", "%%", "%", "/usr/local/bin/cbk", "cbk").Replace(string(m[1]))
}

// TestANightOfTheUnit runs what the unit runs, on a real node: the backup has the day for its name, and the same night again
// is refused as done, which docs/schedule.md counts on.
func TestANightOfTheUnit(t *testing.T) {
	var r *rig
	night := func() (code int, stderr string) {
		var errs strings.Builder
		cmd := exec.Command("/bin/sh", "-c", nightly(t))
		cmd.Env, cmd.Stderr = r.command().Env, &errs
		if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), errs.String()
	}
	today := func() string { return time.Now().UTC().Format(time.DateOnly) }
	for {
		r = newRig(t)
		before := today()
		code, stderr := night()
		again, said := night()
		if today() != before {
			continue // it was midnight: the two were not of one night
		}
		if code != exitOK {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		if again != exitUsage || !strings.Contains(said, "cbk: duplicate-name: ") {
			t.Errorf("again: exit %d\n%s", again, said)
		}
		if names := r.names(); names[len(names)-1] != before {
			t.Errorf("on %s the backups are %q", before, names)
		}
		return
	}
}
