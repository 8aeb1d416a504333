package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asChild is the variable that makes the test binary a process whose priority may be lowered for good.
const asChild = "CBK_GUEST_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(asChild); how != "" {
		if err := child(how == "lower already"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child starts threads, lowers itself, starts more, and prints a line for each thread and one for a child of its own.
func child(already bool) error {
	if already {
		for _, t := range threads() {
			if err := unix.Setpriority(unix.PRIO_PROCESS, t, 15); err != nil {
				return err
			}
			if _, _, e := unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, uintptr(t), ioClassIdle<<ioClassShift); e != 0 {
				return e
			}
		}
	}
	startThreads(20)
	if err := LowerPriority(10); err != nil {
		return err
	}
	startThreads(20)
	for _, t := range threads() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", t))
		if err != nil {
			return err
		}
		io, _, failed := unix.Syscall(unix.SYS_IOPRIO_GET, ioWhoProcess, uintptr(t), 0)
		if failed != 0 {
			return failed
		}
		fmt.Printf("thread nice %s io %d/%d\n", niceness(stat), io>>ioClassShift, io&7)
	}
	stat, err := exec.Command("cat", "/proc/self/stat").Output()
	if err != nil {
		return err
	}
	fmt.Printf("child nice %s\n", niceness(stat))
	return nil
}

// niceness is the 19th field of stat; the second is a name in parentheses.
func niceness(stat []byte) string {
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(rest)[19-3]
}

func threads() (ids []int) {
	list, _ := os.ReadDir("/proc/self/task")
	for _, t := range list {
		id, _ := strconv.Atoi(t.Name())
		ids = append(ids, id)
	}
	return ids
}

func startThreads(n int) {
	started := make(chan bool)
	for range n {
		go func() {
			runtime.LockOSThread()
			started <- true
			select {}
		}()
	}
	for range n {
		<-started
	}
}

func TestEveryThreadIsLoweredAndThoseStartedAfterwards(t *testing.T) {
	for _, tc := range []struct{ how, thread, child string }{
		{"lower", "thread nice 10 io 2/7", "child nice 10"},
		{"lower already", "thread nice 15 io 3/0", "child nice 15"},
	} {
		t.Run(tc.how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), asChild+"="+tc.how)
			out, err := cmd.Output()
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				t.Fatalf("%v: %s", err, exit.Stderr)
			}
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) < 41 {
				t.Errorf("%d lines", len(lines))
			}
			for i, line := range lines {
				if want := tc.thread; i < len(lines)-1 && line != want {
					t.Errorf("%q, want %q", line, want)
				}
			}
			if got := lines[len(lines)-1]; got != tc.child {
				t.Errorf("%q, want %q", got, tc.child)
			}
		})
	}
}

func TestAThreadThatHasEndedIsSaidToHave(t *testing.T) {
	const none = 1<<22 + 1 // above the largest thread id there can be
	if err := lower(none, 10); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v", err)
	}
}
