package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// offline is a node whose commands are given and whose data directory is empty.
func offline(t *testing.T, c Config) *Node {
	t.Helper()
	c.YAML = writeYAML(t, "data_file_directories: ["+t.TempDir()+"]\n")
	n, err := New(c, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script, "sh"} }

func commandError(t *testing.T, err error) *CommandError {
	t.Helper()
	var e *CommandError
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no CommandError", err, err)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("message has several lines: %q", e.Error())
	}
	return e
}

func TestAFailedCommandTellsHowItEndedAndWhatItSaid(t *testing.T) {
	n := offline(t, Config{Nodetool: shell("echo starting; echo 'error: no such tag'; echo '-- StackTrace --'; echo at x >&2; exit 3")})
	e := commandError(t, n.Snapshot(t.Context(), "t1"))
	if e.ExitCode != 3 || !strings.Contains(e.Output, "at x") {
		t.Errorf("exit code %d, output %q", e.ExitCode, e.Output)
	}
	if got := strings.Join(e.Argv[len(e.Argv)-3:], " "); got != "snapshot -t t1" {
		t.Errorf("ran with %q", got)
	}
	for _, want := range []string{"sh snapshot: exit status 3", "error: no such tag", "check cassandra.nodetool in the config"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("message %q has no %q", e, want)
		}
	}
}

func TestAFailedCommandKeepsTheEndOfALongOutput(t *testing.T) {
	n := offline(t, Config{Nodetool: shell("seq 1 20000; exit 1")})
	e := commandError(t, n.ClearSnapshot(t.Context(), "t1"))
	if len(e.Output) != keptOutput || !strings.HasSuffix(e.Output, "\n20000\n") {
		t.Errorf("kept %d bytes that end with %q", len(e.Output), e.Output[len(e.Output)-10:])
	}
}

func TestACommandThatCannotStartIsACommandError(t *testing.T) {
	n := offline(t, Config{Nodetool: []string{"no-such-nodetool"}, Stop: []string{"/no/such/stop"}})
	e := commandError(t, n.Snapshot(t.Context(), "t1"))
	if e.ExitCode != -1 || !errors.Is(e, exec.ErrNotFound) {
		t.Errorf("exit code %d, error %v", e.ExitCode, e)
	}
	e = commandError(t, n.StopCassandra(t.Context()))
	if !errors.Is(e, os.ErrNotExist) || !strings.Contains(e.Error(), "check cassandra.stop in the config") {
		t.Errorf("error %v", e)
	}
}

func TestACommandThatIsNotConfiguredNamesItsKey(t *testing.T) {
	n := offline(t, Config{Stop: []string{""}})
	for want, err := range map[string]error{
		"cassandra.nodetool": n.Snapshot(t.Context(), "t1"),
		"cassandra.start":    n.StartCassandra(t.Context()),
		"cassandra.stop":     n.StopCassandra(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "no command in "+want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func TestACancelledCommandEndsWithTheProcessesItStarted(t *testing.T) {
	pipe := fifo(t)
	// The inner process would wait for ever; it opens the pipe once it runs.
	n := offline(t, Config{Start: shell("sh -c 'exec 3>" + pipe + "; sleep 3600' & wait")})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	failed := make(chan error, 1)
	go func() { failed <- n.StartCassandra(ctx) }()
	f, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel(why)
	if e := commandError(t, <-failed); !errors.Is(e, why) {
		t.Errorf("error %v", e)
	}
	// The last writer of the pipe is gone only when the inner process is.
	if _, err := io.ReadAll(f); err != nil {
		t.Error(err)
	}
}

func TestStartDoesNotWaitForTheDaemonItLeavesBehind(t *testing.T) {
	pipe := fifo(t)
	// The daemon keeps its output open until somebody writes to the pipe, which
	// happens below, after the start command: waiting for it would never end.
	n := offline(t, Config{Start: shell("cat " + pipe + " & echo started")})
	if err := n.StartCassandra(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(pipe, []byte("end"), 0); err != nil {
		t.Error(err)
	}
}

func TestACommandSeesNoneOfOurOwnVariables(t *testing.T) {
	t.Setenv("CBK_PASSPHRASE", "secret")
	t.Setenv("OTHER_VARIABLE", "kept")
	n := offline(t, Config{Nodetool: shell("env; exit 1")})
	e := commandError(t, n.Snapshot(t.Context(), "t1"))
	if strings.Contains(e.Output, "CBK_") || !strings.Contains(e.Output, "OTHER_VARIABLE=kept") {
		t.Errorf("environment of the command:\n%s", e.Output)
	}
}

func TestTheMessageNeverShowsTheConfiguredArguments(t *testing.T) {
	n := offline(t, Config{Nodetool: append(shell("exit 1"), "hunter2")})
	if e := commandError(t, n.Snapshot(t.Context(), "t1")); strings.Contains(e.Error(), "hunter2") {
		t.Errorf("message %q", e)
	}
}

func TestTagsAreChecked(t *testing.T) {
	n := offline(t, Config{Nodetool: shell("exit 0")})
	for _, tag := range []string{"", "-t", "A", "a/b", "..", "a b", "a_b", "ä", strings.Repeat("a", 65)} {
		if n.Snapshot(t.Context(), tag) == nil || n.ClearSnapshot(t.Context(), tag) == nil {
			t.Errorf("tag %q reaches a command", tag)
		}
	}
	for _, tag := range []string{"", ".", "..", "../a", "a/b", "a\x00"} {
		if _, err := n.SnapshotTables(tag); err == nil {
			t.Errorf("tag %q reaches a path", tag)
		}
	}
	// An operator's own tag may be any name.
	if _, err := n.SnapshotTables("Before upgrade_1"); err != nil {
		t.Error(err)
	}
	for _, tag := range []string{"a", "cbk-2024-01-02t03-04-05z", strings.Repeat("a", 64)} {
		if err := n.Snapshot(t.Context(), tag); err != nil {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
