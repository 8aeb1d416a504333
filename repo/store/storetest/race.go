package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"cbk/repo/store"
)

// racerEnv makes a test binary one of the racers of RaceProcesses. Its value is
// "name|writer|url".
const racerEnv = "CBK_STORETEST_RACER"

// Main runs the tests of a package that uses RaceProcesses, or the racer that
// such a test started. It belongs into TestMain, as os.Exit(storetest.Main(m)).
func Main(m *testing.M) int {
	if arg, ok := os.LookupEnv(racerEnv); ok {
		fmt.Print(racer(context.Background(), arg))
		return 0
	}
	return m.Run()
}

// racer waits for the end of standard input, creates one object and returns how
// that went.
func racer(ctx context.Context, arg string) string {
	parts := strings.SplitN(arg, "|", 3)
	s, err := store.Open(ctx, parts[2], store.Options{})
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	if _, err := s.Stat(ctx, "warm/up"); !errors.Is(err, store.ErrNotFound) {
		return err.Error() // connects before the start
	}
	fmt.Print(ready)
	io.Copy(io.Discard, os.Stdin)
	switch err := s.Create(ctx, parts[0], content(parts[1])); {
	case err == nil:
		return "won"
	case errors.Is(err, store.ErrExists):
		return "lost"
	default:
		return err.Error()
	}
}

// ready is what a racer prints when it only waits for the start.
const ready = "ready "

// report collects what a racer prints and tells of the first words.
type report struct {
	strings.Builder
	first chan struct{}
}

// Write implements io.Writer.
func (r *report) Write(p []byte) (int, error) {
	if r.Len() == 0 {
		close(r.first)
	}
	return r.Builder.Write(p)
}

// content is large enough that requests overlap.
func content(writer string) []byte { return bytesOf(writer+".", 1<<20) }

// RaceProcesses lets n processes create one object at url at the same time:
// exactly one wins, the others see ErrExists, and the object is the winner's.
func RaceProcesses(t *testing.T, url string, n int) {
	t.Helper()
	start, gate, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer start.Close()
	cmds := make([]*exec.Cmd, n)
	outs := make([]report, n)
	for i := range cmds {
		cmds[i] = exec.Command(os.Args[0])
		cmds[i].Env = append(os.Environ(), fmt.Sprintf("%s=race/prize|%d|%s", racerEnv, i, url))
		outs[i].first = make(chan struct{})
		cmds[i].Stdin, cmds[i].Stdout, cmds[i].Stderr = start, &outs[i], &outs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range outs {
		<-outs[i].first
	}
	gate.Close() // the end of their input starts them all
	winner := ""
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		switch out := strings.TrimPrefix(outs[i].String(), ready); out {
		case "won":
			winner += fmt.Sprint(i)
		case "lost":
		default:
			t.Errorf("process %d: %s", i, out)
		}
	}
	if err := checkWinner(t.Context(), url, winner); err != nil {
		t.Error(err)
	}
}

// checkWinner compares the object with what its winner wrote.
func checkWinner(ctx context.Context, url, winner string) error {
	s, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := s.Get(ctx, "race/prize", limit)
	if err != nil {
		return err
	}
	if string(got) != string(content(winner)) {
		return fmt.Errorf("the object is not that of process %q", winner)
	}
	return nil
}
