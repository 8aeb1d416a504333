package cluster_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cbk/cassandra/cluster"
)

// fakeVariable makes of the test binary the cbk of a node.
const fakeVariable = "CLUSTER_TEST_CBK"

// TestMain is also the command that runs on the nodes.
func TestMain(m *testing.M) {
	if os.Getenv(fakeVariable) != "" && len(os.Args) > 1 {
		os.Exit(fakeCbk(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// fakeCbk does on a node what the tests need of a command.
func fakeCbk(name string, args []string) int {
	switch name {
	case "args": // prints its arguments and then its input
		json.NewEncoder(os.Stdout).Encode(args)
		return 0
	case "sum":
		h := sha256.New()
		n, err := io.Copy(h, os.Stdin)
		fmt.Printf("%d %x\n", n, h.Sum(nil))
		return code(err)
	case "line": // of some length, then one more
		n, _ := strconv.Atoi(args[0])
		fmt.Println(strings.Repeat("x", n))
		fmt.Println("end")
		return 0
	case "exit":
		fmt.Fprintln(os.Stderr, "first words")
		fmt.Fprintln(os.Stderr, strings.Join(args[1:], " "))
		n, _ := strconv.Atoi(args[0])
		return n
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "leash":
		return leashed(args[0])
	case "stubborn": // ends by nothing but SIGKILL
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
		fmt.Println(os.Getpid())
		time.Sleep(time.Hour)
	case "go": // prints what it is told, a line each, until it has told everything
		io.Copy(os.Stdout, os.Stdin)
		return 0
	}
	return 99
}

// leashed prints its process id and its order, waits, and leaves a file when it has
// been let go.
func leashed(file string) int {
	ctx, in := cluster.Leash(context.Background(), os.Stdin)
	terminated, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	order := make([]byte, len("order"))
	_, err := io.ReadFull(in, order)
	fmt.Printf("%d\n%s\n", os.Getpid(), order)
	if err == nil {
		<-terminated.Done()
		if err = os.WriteFile(file, []byte(fmt.Sprint(context.Cause(terminated))), 0o600); err == nil {
			return 130
		}
	}
	return code(err)
}

func code(err error) int {
	if err != nil {
		return 98
	}
	return 0
}
