// Command command is the stand-in's nodetool, start and stop: the arguments are a node's directory, then what to do.
package main

import (
	"bufio"
	"fmt"
	"os"

	"cbk/cassandra/cassandratest/standin"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: command DIRECTORY nodetool|start|stop ...")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	err := standin.Run(os.Args[1], os.Args[2:], out)
	if failed := out.Flush(); err == nil {
		err = failed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
