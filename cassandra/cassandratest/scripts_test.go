package cassandratest

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fake is a node whose server is a script that does nothing for ever: it shows
// the scripts around the server without a JVM.
func fake(t *testing.T) *Node {
	t.Helper()
	c, err := New(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	n := c.Nodes[0]
	server := "#!/bin/sh\ncd '" + n.Dir + "' && echo $$ >pid.new && mv pid.new pid\nwhile :; do sleep 0.1; done\n"
	if err := os.WriteFile(n.Bin("cassandra"), []byte(server), 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestStartOfANodeThatRunsDoesNothing(t *testing.T) {
	n := fake(t)
	run(t, n.Bin("start"))
	pid := n.pid()
	run(t, n.Bin("start"))
	if pid == 0 || n.pid() != pid {
		t.Errorf("process %d, then %d", pid, n.pid())
	}
}

func TestStopReturnsWhenTheNodeHasEndedAndDoesNothingTwice(t *testing.T) {
	n := fake(t)
	run(t, n.Bin("stop"))
	run(t, n.Bin("start"))
	run(t, n.Bin("stop"))
	if n.Running() {
		t.Error("the node runs")
	}
	run(t, n.Bin("stop"))
	run(t, n.Bin("start"))
	if !n.Running() {
		t.Error("the node does not run again")
	}
}

func TestKillEndsTheNode(t *testing.T) {
	n := fake(t)
	n.Kill()
	run(t, n.Bin("start"))
	n.Kill()
	if n.Running() {
		t.Error("the node runs")
	}
}

func TestAPidFileOfAnotherProcessIsNotBelieved(t *testing.T) {
	n := fake(t)
	other := exec.Command("sleep", "3600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	if err := os.WriteFile(n.path("pid"), []byte(strconv.Itoa(other.Process.Pid)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, n.Bin("stop"))
	n.Kill()
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process: %v", err)
	}
	run(t, n.Bin("start"))
	if n.pid() == other.Process.Pid || !n.Running() {
		t.Errorf("the node is process %d", n.pid())
	}
}

func TestANodeEndsWhenItsOwnerIsGone(t *testing.T) {
	n := fake(t)
	run(t, n.Bin("start"))
	n.slot.release() // as the kernel does for a process that dies
	for n.Running() {
		if !sleep(t.Context(), pollEvery) {
			t.Fatal("the node runs on")
		}
	}
}

func TestClusterStopEndsEveryNodeAndMayBeCalledTwice(t *testing.T) {
	n := fake(t)
	run(t, n.Bin("start"))
	n.cluster.Stop()
	n.cluster.Stop()
	if n.Running() {
		t.Error("the node runs")
	}
}

func TestQuoteSurvivesTheShell(t *testing.T) {
	words := []string{"plain", "two words", "it's", `"$HOME" \ *`, ""}
	got := run(t, "/bin/sh", "-c", `printf '%s\n' `+quote(words...))
	if want := strings.Join(words, "\n") + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
