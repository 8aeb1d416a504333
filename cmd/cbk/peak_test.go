package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watched runs cbk, which must succeed, and returns the highest resident memory of the process in bytes, as the kernel
// counts it.
func (r *rig) watched(args ...string) (peak int64) {
	r.t.Helper()
	cmd := r.command(args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		peak = max(peak, highWater(cmd.Process.Pid))
		select {
		case err := <-ended:
			if err != nil {
				r.t.Fatalf("cbk %v: %v\n%s", args, err, out.String())
			}
			r.t.Logf("cbk %s: %s, peak %d MiB\n%s", strings.Join(args, " "), time.Since(start).Round(time.Second), peak>>20, out.String())
			return peak
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func highWater(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kb, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kb << 10
}
