// Command cbk backs up Apache Cassandra into an encrypted, deduplicating repository and brings it back.
//
// Each command has a file of its own that holds its flags, its wiring and what it prints; what a command does lives in
// the packages below. fail.go maps errors to exit codes, config.go reads the configuration file.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// These limits keep the garbage collector ahead of the 300 MiB a command may take on a node whose memory belongs to
// Cassandra. A backup has 144 MiB of pack buffers beside Go's own memory, a restore 64 MiB of read buffers; the program
// itself maps some 40 MiB.
// A control group with little memory lowers them, GOMEMLIMIT overrides them.
const (
	memoryLimit       = 170 << 20
	backupMemoryLimit = 110 << 20
)

var errInterrupted = errors.New("interrupted")

func main() { os.Exit(run()) }

func limitMemory(bytes int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit(bytes, os.DirFS("/")))
	}
}

func run() int {
	limitMemory(memoryLimit)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		signal.Stop(signals) // a second signal ends the process at once
	}()
	return execute(ctx, os.Args, os.Stdout, os.Stderr)
}
