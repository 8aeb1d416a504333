package standin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const partitioner = "org.apache.cassandra.dht.Murmur3Partitioner"

// errDown is what nodetool says of a node that does not run.
var errDown = errors.New("nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused (Connection refused)'")

// Run does what the command does in a node's directory: nodetool with its arguments, start, or stop.
func Run(dir string, args []string, out io.Writer) error {
	n := command{dir: dir, out: out}
	if err := readJSON(filepath.Join(dir, "conf/node.json"), &n.config); err != nil {
		return err
	}
	var err error
	if n.me, err = n.self(); err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "start":
		return n.start()
	case len(args) == 1 && args[0] == "stop":
		n.me.Up = false
		return n.say(n.me)
	case len(args) > 1 && args[0] == "nodetool":
		if !n.me.Up {
			return errDown
		}
		return n.nodetool(args[1], args[2:])
	}
	return fmt.Errorf("start, stop, or nodetool with a subcommand, not %q", args)
}

// command is one run.
type command struct {
	config
	dir string
	out io.Writer
	me  Member
}

// start has the node run. As a Cassandra, it takes tokens from cassandra.yaml only while it has no system tables.
func (n *command) start() error {
	b, err := os.ReadFile(filepath.Join(n.dir, "conf/cassandra.yaml"))
	if err != nil {
		return err
	}
	var y struct {
		Tokens string   `yaml:"initial_token"`
		Num    int      `yaml:"num_tokens"`
		Data   []string `yaml:"data_file_directories"`
	}
	if err := yaml.Unmarshal(b, &y); err != nil {
		return err
	}
	known, err := filepath.Glob(filepath.Join(n.dir, "data/system/local-*/*-Data.db"))
	if err != nil {
		return err
	}
	if y.Tokens != "" && len(known) == 0 {
		n.me.Tokens = strings.Split(y.Tokens, ",")
	}
	if y.Num != len(n.me.Tokens) {
		return fmt.Errorf("error: Cannot change the number of tokens from %d to %d", len(n.me.Tokens), y.Num)
	}
	for _, dir := range append(y.Data, filepath.Join(n.dir, "commitlog")) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	n.me.Up = true
	return n.say(n.me)
}

func (n *command) nodetool(name string, args []string) error {
	switch name {
	case "statusbinary":
		return n.print("not running\n")
	case "netstats":
		return n.print("Mode: NORMAL\nNot sending any streams.\n")
	case "version":
		return n.print("ReleaseVersion: " + Release + "\n")
	case "describecluster":
		return n.print("Cluster Information:\n\tName: %s\n\tSnitch: org.apache.cassandra.locator.GossipingPropertyFileSnitch\n\tPartitioner: %s\n", n.Cluster, partitioner)
	case "info":
		return n.info()
	case "status":
		return n.status()
	case "ring":
		return n.ring()
	case "flush", "drain":
		return nil
	case "snapshot":
		return n.snapshot(args)
	case "clearsnapshot":
		return n.clear(args)
	}
	return fmt.Errorf("nodetool: the stand-in knows no %s", name)
}

func (n *command) print(format string, args ...any) error {
	_, err := fmt.Fprintf(n.out, format, args...)
	return err
}

func (n *command) info() error {
	err := n.print("%-23s: %s\n%-23s: true\n%-23s: false\n%-23s: %s\n%-23s: %s\n", "ID", n.me.HostID, "Gossip active", "Native Transport active",
		"Data Center", n.me.DC, "Rack", n.me.Rack)
	for _, token := range n.me.Tokens {
		err = errors.Join(err, n.print("%-23s: %s\n", "Token", token))
	}
	return err
}

// byDC calls each for the members of each data centre, in the order of their names.
func (n *command) byDC(each func(dc string, members []Member) error) error {
	all, err := n.members()
	if err != nil {
		return err
	}
	dcs := make(map[string][]Member)
	var names []string
	for _, m := range all {
		if dcs[m.DC] == nil {
			names = append(names, m.DC)
		}
		dcs[m.DC] = append(dcs[m.DC], m)
	}
	slices.Sort(names)
	for _, dc := range names {
		err = errors.Join(err, each(dc, dcs[dc]))
	}
	return err
}

func (n *command) status() error {
	return n.byDC(func(dc string, members []Member) error {
		head := "Datacenter: " + dc
		err := n.print("%s\n%s\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n--  Address  Load  Tokens  Owns  Host ID  Rack\n", head, strings.Repeat("=", len(head)))
		for _, m := range members {
			sign := "DN"
			if m.Up {
				sign = "UN"
			}
			err = errors.Join(err, n.print("%s  %-15s  104.34 KiB  %d  ?  %s  %s\n", sign, m.Address, len(m.Tokens), m.HostID, m.Rack))
		}
		return errors.Join(err, n.print("\n"))
	})
}

func (n *command) ring() error {
	return n.byDC(func(dc string, members []Member) error {
		err := n.print("\nDatacenter: %s\n==========\n%-17s%-12s%-7s%-8s%-16s%-20s%-44s\n", dc, "Address", "Rack", "Status", "State", "Load", "Owns", "Token")
		for _, m := range members {
			status := "Down"
			if m.Up {
				status = "Up"
			}
			for _, token := range m.Tokens {
				err = errors.Join(err, n.print("%-17s%-12s%-7s%-8s%-16s%-20s%-44s\n", m.Address, m.Rack, status, "Normal", "104.34 KiB", "?", token))
			}
		}
		return err
	})
}
