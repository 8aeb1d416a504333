package guest

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// An I/O priority is a class above a level; see ioprio_set(2).
const (
	ioClassShift      = 13
	ioClassBestEffort = 2
	ioClassIdle       = 3
	ioLowest          = ioClassBestEffort<<ioClassShift | 7
	ioWhoProcess      = 1 // which means a thread
)

// threadPasses bounds the search for threads that were started while others were lowered. A thread inherits from the one
// that starts it, so each pass leaves fewer that can start one as it was; two or three are the rule.
const threadPasses = 100

// LowerPriority makes all threads of the process nice, and last in the best-effort I/O class. Linux keeps both by the
// thread; threads and processes started later inherit them. Whoever stands lower already stays there. It cannot be
// undone without privileges. The doc of the package says why not the idle class, and where this has no effect.
func LowerPriority(nice int) error {
	lowered := make(map[int]bool)
	for range threadPasses {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		found := false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || lowered[id] {
				continue
			}
			if err := lower(id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			lowered[id], found = true, true
		}
		if !found {
			return nil
		}
	}
	return errors.New("lower priority: threads are started faster than they can be lowered")
}

// lower lowers a thread. The error matches unix.ESRCH if it has ended.
func lower(thread, nice int) error {
	inverse, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		return fmt.Errorf("niceness of thread %d: %w", thread, err)
	}
	// The system call returns 20 less the niceness, so that no answer is negative.
	if 20-inverse < nice {
		if err := unix.Setpriority(unix.PRIO_PROCESS, thread, nice); err != nil {
			return fmt.Errorf("set niceness of thread %d: %w", thread, err)
		}
	}
	io, _, failed := unix.Syscall(unix.SYS_IOPRIO_GET, ioWhoProcess, uintptr(thread), 0)
	if failed != 0 {
		return fmt.Errorf("I/O priority of thread %d: %w", thread, failed)
	}
	if io>>ioClassShift == ioClassIdle {
		return nil
	}
	if _, _, failed := unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, uintptr(thread), ioLowest); failed != 0 {
		return fmt.Errorf("set I/O priority of thread %d: %w", thread, failed)
	}
	return nil
}
