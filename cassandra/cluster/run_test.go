package cluster_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

// oddArguments are words that shells like to understand.
var oddArguments = []string{"", " ", "a b", "'", "''", `"`, `\`, `\'`, "$HOME", "`id`", "$(id)", ";", "|", "&", "*", "?", "~", "#", "!", "!!", "{a,b}",
	"\n", "\t", "\r", "-n", "--", "=", "a=b", "é", "\xff", "\x01", "%s", "<", ">", "(", "[a]", "'; touch /tmp/x; '"}

func TestAHostGetsEveryArgumentAsItIs(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	out, err := s.output(s.open(), cluster.Command{Args: append([]string{"args"}, oddArguments...)})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for _, arg := range oddArguments {
		want = append(want, strings.ToValidUTF8(arg, "\ufffd")) // as JSON has it
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAShellTakesACommandLineApartIntoItsWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.SampledFrom(oddArguments), rapid.StringN(0, 20, 40), rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 20),
			func(b []byte) string { return string(b) }))
		words := rapid.SliceOfN(word.Filter(func(s string) bool { return !strings.Contains(s, "\x00") }), 0, 8).Draw(t, "words")
		line, err := cluster.CommandLine(append([]string{"printf", `%s\0`}, words...)...)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sh", "-c", line).Output()
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := strings.Join(words, "\x00") + "\x00" // printf prints one for no words too
		if string(out) != want {
			t.Fatalf("words %q came as %q", words, out)
		}
	})
}

func TestACommandLineThatNoHostTakesIsNotSent(t *testing.T) {
	for name, words := range map[string][]string{
		"a NUL byte": {"a\x00b"},
		"too long":   {strings.Repeat("x", 100<<10)},
	} {
		if _, err := cluster.CommandLine(words...); err == nil {
			t.Errorf("%s is sent", name)
		}
	}
	if _, err := cluster.CommandLine(strings.Repeat("x", 90<<10)); err != nil {
		t.Errorf("90 KiB are not sent: %v", err)
	}
}

func TestHowACommandEndedIsTold(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	c := s.open()
	for name, want := range map[string]struct {
		args   []string
		code   int
		signal string
		last   string
	}{
		"exit code 1":            {[]string{"exit", "1", "table lost"}, 1, "", "node-1: exit code 1: table lost"},
		"exit code 130":          {[]string{"exit", "130", ""}, 130, "", "node-1: exit code 130: first words"},
		"the terminal is spared": {[]string{"exit", "4", "\x1b[2Jred\a"}, 4, "", "node-1: exit code 4: [2Jred"},
		"ended by a signal":      {[]string{"killed"}, 137, "KILL", "node-1: ended by SIGKILL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.output(c, cluster.Command{Args: want.args})
			var exit *cluster.ExitError
			if !errors.As(err, &exit) || exit.Code != want.code || exit.Signal != want.signal || exit.Host != "node-1" || err.Error() != want.last {
				t.Errorf("error is %#v: %v", exit, err)
			}
			if cluster.MayPass(err) || !cluster.MayPass(err, 2, want.code) {
				t.Errorf("exit code %d may pass only where it is listed", want.code)
			}
		})
	}
}

func TestOfStandardErrorTheEndIsKeptAndAllIsCopied(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	var all bytes.Buffer
	long := strings.Repeat("x", 10_000) + "end"
	_, err := s.output(s.open(), cluster.Command{Args: []string{"exit", "1", long}, Stderr: &all})
	var exit *cluster.ExitError
	if !errors.As(err, &exit) || len(exit.Stderr) != 4<<10 || !strings.HasSuffix(exit.Stderr, "xend\n") {
		t.Errorf("kept %d bytes of standard error: %v", len(exit.Stderr), err)
	}
	if all.String() != "first words\n"+long+"\n" {
		t.Errorf("copied %d bytes of standard error", all.Len())
	}
	if len(err.Error()) > 400 {
		t.Errorf("message has %d bytes", len(err.Error()))
	}
}

func TestABrokenCopyOfStandardErrorHoldsUpNothing(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	r, w := io.Pipe()
	r.Close()
	_, err := s.output(s.open(), cluster.Command{Args: []string{"exit", "7", strings.Repeat("x", 50_000)}, Stderr: w})
	var exit *cluster.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("error is %v", err)
	}
}

func TestAHostWithoutCbkSaysHowToPutItThere(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	s.cfg.RemoteCbk = "/nowhere/cbk"
	_, err := s.hello(s.open())
	if err == nil || !strings.Contains(err.Error(), "is cbk at /nowhere/cbk there? --push-binary copies it") {
		t.Errorf("error is %v", err)
	}
}

func TestContentOfAnySizeReachesACommand(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	c := s.open()
	for _, size := range []int{0, 1, 1 << 20, 20<<20 + 7} {
		content := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		out, err := s.output(c, cluster.Command{Args: []string{"sum"}, Stdin: bytes.NewReader(content), EndInput: true})
		if want := fmt.Sprintf("%d %x\n", size, sha256.Sum256(content)); err != nil || out != want {
			t.Errorf("%d bytes came as %q, not %q: %v", size, out, want, err)
		}
	}
}

func TestALineIsBounded(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	c := s.open()
	out, err := s.output(c, cluster.Command{Args: []string{"line", fmt.Sprint(1<<20 - 1)}})
	if err != nil || len(out) != 1<<20+len("end\n") {
		t.Errorf("got %d bytes: %v", len(out), err)
	}
	out, err = s.output(c, cluster.Command{Args: []string{"line", fmt.Sprint(1 << 21)}})
	if err == nil || !strings.Contains(err.Error(), "node-1: a line of more than 1048576 bytes") || out != "" {
		t.Errorf("got %d bytes: %v", len(out), err)
	}
}

func TestALineThatIsNotTakenEndsTheCommand(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	why, calls := errors.New("no such phase"), 0
	err := s.open().Run(t.Context(), s.host, cluster.Command{Args: []string{"leash", s.file("end")}, Stdin: strings.NewReader("order"),
		Line: func([]byte) error { calls++; return why }})
	if !errors.Is(err, why) || calls != 1 {
		t.Errorf("error after %d lines is %v", calls, err)
	}
	if _, err := os.Stat(s.file("end")); err != nil {
		t.Errorf("the command was not ended: %v", err)
	}
}

func TestInputThatCannotBeReadFailsTheCommand(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	why := errors.New("disk gone")
	in := io.MultiReader(strings.NewReader("order"), iotest.ErrReader(why))
	_, err := s.output(s.open(), cluster.Command{Args: []string{"leash", s.file("end")}, Stdin: in})
	if !errors.Is(err, why) {
		t.Errorf("error is %v", err)
	}
}

func TestACommandThatTakesNoInputEndsAllTheSame(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	_, err := s.output(s.open(), cluster.Command{Args: []string{"args"}, Stdin: bytes.NewReader(make([]byte, 16<<20))})
	if err != nil {
		t.Error(err)
	}
}

func TestSudoIsAskedWithoutAPassword(t *testing.T) {
	// A stand-in: whether the real one lets somebody do something is the machine's affair.
	s, _ := newSite(t)
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"sudo $1 $2\" >&2\ntest \"$1 $2\" = '-n --' || exit 1\nshift 2\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	v := s.Start(sshtest.Options{Env: []string{fakeVariable + "=1", "PATH=" + bin + ":/usr/bin:/bin"}})
	s.know(v.Line())
	s.cfg.Nodes = []cluster.NodeConfig{{Address: "node-1", SSHHost: v.IP, SSHPort: v.Port}}
	s.cfg.SSH.Sudo = true
	var stderr bytes.Buffer
	out, err := s.output(s.open(), cluster.Command{Args: []string{"args", "a b"}, Stderr: &stderr})
	if err != nil || out != "[\"a b\"]\n" || stderr.String() != "sudo -n --\n" {
		t.Errorf("got %q, %q: %v", out, stderr.String(), err)
	}
}

func TestOneConnectionCarriesManyCommands(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{})
	c := s.open()
	results := cluster.Each(t.Context(), make([]cluster.Host, 8), cluster.Plan{}, func(ctx context.Context, _ cluster.Host) error {
		return c.Run(ctx, s.host, cluster.Command{Args: []string{"args"}})
	})
	if failed := cluster.Failed(results); len(failed) > 0 {
		t.Error(failed)
	}
	if got := servers[0].Accepted(); got != 1 {
		t.Errorf("8 commands took %d connections", got)
	}
}

func TestAServerWithTooManySessionsMayTakeOneLater(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{Conf: []string{"MaxSessions 0"}})
	_, err := s.hello(s.open())
	var dial *cluster.DialError
	if !errors.As(err, &dial) || !cluster.MayPass(err) {
		t.Errorf("error is %T: %v", err, err)
	}
}

func TestAClosedClusterRunsNothing(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	for _, used := range []bool{true, false} {
		c := s.open()
		if used {
			if _, err := s.hello(c); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if _, err := s.hello(c); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("error is %v", err)
		}
	}
}

// started is a command that waits on the node.
type started struct {
	pid    int
	cancel context.CancelCauseFunc
	err    chan error
}

// start runs a command that first prints its process id, and returns when it has.
func (s *site) start(c *cluster.Cluster, args ...string) *started {
	s.t.Helper()
	ctx, cancel := context.WithCancelCause(s.t.Context())
	r := &started{cancel: cancel, err: make(chan error, 1)}
	said := make(chan string, 10)
	go func() {
		r.err <- c.Run(ctx, s.host, cluster.Command{Args: args, Stdin: strings.NewReader("order"), Line: func(line []byte) error {
			said <- string(line)
			return nil
		}})
	}()
	select {
	case first := <-said:
		r.pid, _ = strconv.Atoi(first)
	case err := <-r.err:
		s.t.Fatalf("%v ended: %v", args, err)
	}
	if args[0] == "leash" && <-said != "order" {
		s.t.Fatal("the command got another order")
	}
	return r
}

func TestACancelledCommandEndsOnTheNode(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	c := s.open()
	r := s.start(c, "leash", s.file("end"))
	if _, err := s.hello(c); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.file("end")); err == nil {
		t.Error("it ended before it was told to")
	}
	why := errors.New("interrupted")
	r.cancel(why)
	if err := <-r.err; !errors.Is(err, why) || err.Error() != "node-1: interrupted" {
		t.Errorf("error is %v", err)
	}
	if sshtest.Alive(r.pid) {
		t.Error("it still runs")
	}
	if _, err := os.Stat(s.file("end")); err != nil {
		t.Errorf("it had no time to clean up: %v", err)
	}
}

func TestACommandThatDoesNotEndIsNotTakenForEnded(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	c := s.open()
	c.Hurry(time.Hour, 200*time.Millisecond)
	r := s.start(c, "stubborn")
	defer kill(r.pid)
	r.cancel(errors.New("interrupted"))
	if err := <-r.err; err == nil || !strings.Contains(err.Error(), "node-1: interrupted; the command has not ended in 200ms and may still run there") {
		t.Errorf("error is %v", err)
	}
}

func kill(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}

func TestACommandEndsOnTheNodeWhenItsConnectionIsCut(t *testing.T) {
	for name, cut := range map[string]func(*cluster.Cluster, *sshtest.Server){
		"the server's processes die": func(_ *cluster.Cluster, v *sshtest.Server) { v.Cut() },
		"the coordinator goes":       func(c *cluster.Cluster, _ *sshtest.Server) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s, servers := newSite(t, sshtest.Options{})
			c := s.open()
			r := s.start(c, "leash", s.file("end"))
			cut(c, servers[0])
			var lost *cluster.LostError
			if err := <-r.err; !errors.As(err, &lost) || lost.Host != "node-1" || !cluster.MayPass(err) {
				t.Errorf("error is %T: %v", err, err)
			}
			sshtest.Until(t, "the command has ended", func() bool { return !sshtest.Alive(r.pid) })
			b, err := os.ReadFile(s.file("end"))
			if err != nil || string(b) != cluster.ErrUnleashed.Error() {
				t.Errorf("it ended by %q: %v", b, err)
			}
		})
	}
}

func TestALostConnectionIsMadeAnew(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{})
	c := s.open()
	r := s.start(c, "leash", s.file("end"))
	servers[0].Cut()
	<-r.err
	if out, err := s.hello(c); err != nil || out == "" {
		t.Errorf("said %q: %v", out, err)
	}
	if got := servers[0].Accepted(); got != 2 {
		t.Errorf("%d connections", got)
	}
}

func TestAServerThatNoLongerAnswersIsLost(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{})
	c := s.open()
	c.Hurry(time.Second, time.Hour)
	r := s.start(c, "leash", s.file("end"))
	servers[0].Freeze()
	defer servers[0].Thaw()
	var lost *cluster.LostError
	if err := <-r.err; !errors.As(err, &lost) || err.Error() != "node-1: connection lost: no answer for 3s" {
		t.Errorf("error is %T: %v", err, err)
	}
}

func TestAJumpHostThatNoLongerAnswersLosesTheNodesBehindIt(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{})
	s.sshConfig("Host 127.0.0.9", "ProxyJump "+servers[1].Addr())
	c := s.open()
	c.Hurry(time.Second, time.Hour)
	r := s.start(c, "leash", s.file("end"))
	servers[1].Freeze()
	defer servers[1].Thaw()
	var lost *cluster.LostError
	if err := <-r.err; !errors.As(err, &lost) {
		t.Errorf("error is %T: %v", err, err)
	}
}

func TestWhoCancelsAFrozenCommandNeedNotWaitForKeepalives(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{})
	c := s.open()
	c.Hurry(time.Hour, 100*time.Millisecond)
	r := s.start(c, "leash", s.file("end"))
	servers[0].Freeze()
	defer servers[0].Thaw()
	r.cancel(errors.New("interrupted"))
	if err := <-r.err; err == nil || !strings.Contains(err.Error(), "may still run there") {
		t.Errorf("error is %v", err)
	}
}
