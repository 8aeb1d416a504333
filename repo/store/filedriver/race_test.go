package filedriver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// racerEnv makes the test binary a writer that races for one object; its value
// is "directory publisher writer".
const racerEnv = "CBK_FILEDRIVER_RACER"

// race waits for a byte on standard input, tries to create the object "prize"
// and prints who won. It is the body of a child process.
func race(arg string) int {
	var dir, how, who string
	if _, err := fmt.Sscan(arg, &dir, &how, &who); err != nil {
		return 1
	}
	drv, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if how == "half" {
		return writeHalf(drv)
	}
	if how == "rename" {
		drv.(*bucket).publish = []publisher{renameNoReplace}
	}
	b := blob.NewBucket(drv)
	defer b.Close()
	os.Stdin.Read(make([]byte, 1))
	err = b.WriteAll(context.Background(), "prize", []byte(who), &blob.WriterOptions{IfNotExist: true})
	switch {
	case err == nil:
		fmt.Print("won")
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		fmt.Print("lost")
	default:
		fmt.Print(err)
	}
	return 0
}

// writeHalf starts an object and waits to be killed.
func writeHalf(drv driver.Bucket) int {
	w, err := drv.NewTypedWriter(context.Background(), "prize", "", &driver.WriterOptions{IfNotExist: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	w.Write([]byte("half"))
	fmt.Println("written")
	os.Stdin.Read(make([]byte, 1))
	return 0
}

func TestAKilledWriterLeavesNoObjectAndItsTemporaryFileIsSwept(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s half x", racerEnv, dir))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "written\n" {
		t.Errorf("child: %q, %v", line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	b := openTest(t, dir, Options{})
	left, err := os.ReadDir(filepath.Join(dir, tempDir))
	if got := keys(t, b, driver.ListOptions{}); got != nil || err != nil || len(left) != 1 {
		t.Errorf("objects %v, temporary files %v, %v", got, left, err)
	}
	b.sweep(time.Now().Add(2 * staleAfter))
	if left, err := os.ReadDir(filepath.Join(dir, tempDir)); err != nil || len(left) != 0 {
		t.Errorf("after sweeping: %v, %v", left, err)
	}
}

func TestOfManyProcessesExactlyOneCreatesAnObject(t *testing.T) {
	for _, how := range []string{"link", "rename"} {
		for round := range 4 {
			t.Run(fmt.Sprintf("%s, round %d", how, round), func(t *testing.T) {
				runRace(t, how, 8)
			})
		}
	}
}

func runRace(t *testing.T, how string, n int) {
	dir := t.TempDir()
	start, gate, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer start.Close()
	cmds := make([]*exec.Cmd, n)
	outs := make([]strings.Builder, n)
	for i := range cmds {
		cmds[i] = exec.Command(os.Args[0])
		cmds[i].Env = append(os.Environ(), fmt.Sprintf("%s=%s %s writer%d", racerEnv, dir, how, i))
		cmds[i].Stdin, cmds[i].Stdout = start, &outs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	gate.Close() // end of file starts them all
	winner := ""
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("writer %d: %v: %s", i, err, &outs[i])
		}
		switch outs[i].String() {
		case "won":
			winner += fmt.Sprintf("writer%d", i)
		case "lost":
		default:
			t.Errorf("writer %d: %s", i, &outs[i])
		}
	}
	got, err := os.ReadFile(dir + "/prize")
	if err != nil || string(got) != winner {
		t.Errorf("object holds %q (%v), winner %q", got, err, winner)
	}
}
