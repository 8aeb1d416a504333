package standin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Release is what the nodes say they are.
const Release = "5.0.6"

// Member is a node as gossip has it.
type Member struct {
	Address string   `json:"address"`
	DC      string   `json:"dc"`
	Rack    string   `json:"rack"`
	HostID  string   `json:"host_id"`
	Tokens  []string `json:"tokens"` // decimal
	Up      bool     `json:"up"`
}

// Cluster is a directory with gossip/ADDRESS.json for each member and a directory for each node.
type Cluster struct {
	Dir  string
	Name string
}

// Node is one node: its directory, with conf, data, commitlog, hints and saved_caches.
type Node struct {
	Dir string
	Member
}

// config is what a node's conf/node.json says, for the command that is run there.
type config struct {
	Gossip  string `json:"gossip"` // directory
	Cluster string `json:"cluster"`
	Address string `json:"address"`
}

// Add makes a node that does not run, with empty directories.
func (c Cluster) Add(m Member) (Node, error) {
	n := Node{Dir: filepath.Join(c.Dir, m.Address), Member: m}
	for _, dir := range []string{"conf", "data", "commitlog", "hints", "saved_caches"} {
		if err := os.MkdirAll(filepath.Join(n.Dir, dir), 0o755); err != nil {
			return n, err
		}
	}
	y := map[string]any{
		"cluster_name": c.Name, "num_tokens": len(m.Tokens), "partitioner": partitioner, "start_native_transport": false,
		"storage_compatibility_mode": "NONE", "listen_address": m.Address, "rpc_address": m.Address,
		"data_file_directories": []string{n.Data()}, "commitlog_directory": filepath.Join(n.Dir, "commitlog"),
		"hints_directory": filepath.Join(n.Dir, "hints"), "saved_caches_directory": filepath.Join(n.Dir, "saved_caches"),
	}
	text, err := yaml.Marshal(y)
	if err != nil {
		return n, err
	}
	if err := os.WriteFile(n.YAML(), text, 0o644); err != nil {
		return n, err
	}
	k := config{Gossip: filepath.Join(c.Dir, "gossip"), Cluster: c.Name, Address: m.Address}
	if err := writeJSON(filepath.Join(n.Dir, "conf/node.json"), k); err != nil {
		return n, err
	}
	if err := os.MkdirAll(k.Gossip, 0o755); err != nil {
		return n, err
	}
	return n, k.say(m)
}

// Data is the node's data directory, and YAML its cassandra.yaml.
func (n Node) Data() string { return filepath.Join(n.Dir, "data") }

// YAML is the path of the node's cassandra.yaml.
func (n Node) YAML() string { return filepath.Join(n.Dir, "conf/cassandra.yaml") }

// Members are those of the cluster, by their addresses.
func (c Cluster) Members() ([]Member, error) {
	return config{Gossip: filepath.Join(c.Dir, "gossip")}.members()
}

func (k config) members() ([]Member, error) {
	files, err := filepath.Glob(filepath.Join(k.Gossip, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Member
	for _, file := range files {
		var m Member
		if err := readJSON(file, &m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Address, b.Address) })
	return all, nil
}

// say tells the cluster of a member. Others read meanwhile.
func (k config) say(m Member) error {
	name := filepath.Join(k.Gossip, m.Address)
	if err := writeJSON(name+".new", m); err != nil {
		return err
	}
	return os.Rename(name+".new", name+".json")
}

// self is the node's own entry.
func (k config) self() (m Member, err error) {
	return m, readJSON(filepath.Join(k.Gossip, k.Address+".json"), &m)
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	return err
}

func writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// Build builds the command, which takes a node's directory, then nodetool, start or stop. The test's own binary would do as
// well, were it not for its size: 180 nodes run thousands of these.
func Build(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "standin")
	if out, err := exec.Command("go", "build", "-o", name, "cbk/cassandra/cassandratest/standin/command").CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build the stand-in: %w\n%s", err, out))
	}
	return name
}
