package offline

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// freePort is a port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// stoppedNode is a node with files, on ports that nobody listens on. Of the yaml more is said in lines.
func stoppedNode(t *testing.T, files map[string]string, lines ...string) (*Node, *bytes.Buffer, error) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"data", "commitlog"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("cluster_name: Old Shop\ndata_file_directories: [%s/data]\ncommitlog_directory: %[1]s/commitlog\n", dir)
	if len(lines) == 0 {
		lines = []string{"listen_address: 127.0.0.1", "rpc_address: 127.0.0.1", fmt.Sprint("storage_port: ", freePort(t)), fmt.Sprint("native_transport_port: ", freePort(t))}
	}
	yaml := filepath.Join(dir, "cassandra.yaml")
	if err := os.WriteFile(yaml, []byte(text+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	n, err := New(node.Config{YAML: yaml}, slog.New(slog.NewTextHandler(&log, nil)))
	return n, &log, err
}

func TestANodeOf21HasItsFilesAndNoMore(t *testing.T) {
	local := "data/system/local-" + systemID("system", "local") + "/system-local-ka-3-"
	n, log, err := stoppedNode(t, map[string]string{
		local + "Data.db": "x", local + "Statistics.db": "x", local + "CompressionInfo.db": "x",
		"data/shop/things/shop-things-ka-1-Data.db": "x", "data/shop/things/shop-things.by_name-ka-1-Data.db": "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := n.Identity(t.Context())
	if diff := cmp.Diff(node.Identity{Name: "127.0.0.1", Address: "127.0.0.1", Cluster: "Old Shop"}, id); err != nil || diff != "" {
		t.Errorf("identity: %v (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(log.String(), "unsupported SSTable version") {
		t.Errorf("log: %s", log)
	}
	r, err := n.Ring(t.Context())
	if err != nil || r.Absent == "" || r.Cluster != "Old Shop" || len(r.Members) != 0 {
		t.Errorf("ring %+v, %v", r, err)
	}
	s, err := n.Schema(t.Context())
	if err != nil || s.Absent == "" || s.Tables != nil {
		t.Errorf("schema %+v, %v", s, err)
	}
	roles, err := n.Roles(t.Context())
	if err != nil || roles.Absent == "" {
		t.Errorf("roles %+v, %v", roles, err)
	}
	dirs, err := n.SnapshotTables("")
	if err != nil || len(dirs) != 2 || dirs[0].Table != "things" || dirs[0].ID != "" {
		t.Fatalf("tables %+v, %v", dirs, err)
	}
	if all, err := dirs[0].SSTables(); err != nil || len(all) != 2 {
		t.Errorf("SSTables %+v, %v", all, err)
	}
}

func TestDamagedSystemTablesAreAbsentAndNotGuessed(t *testing.T) {
	keyspaces := "data/system_schema/keyspaces-" + systemID("system_schema", "keyspaces") + "/nb-1-big-"
	n, log, err := stoppedNode(t, map[string]string{keyspaces + "Data.db": "x", keyspaces + "Statistics.db": "x"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Schema(t.Context())
	if err != nil || !strings.Contains(s.Absent, "system_schema.keyspaces") || !strings.Contains(log.String(), "system_schema.keyspaces") {
		t.Errorf("schema %+v, %v, log %s", s, err, log)
	}
}

func TestANodeThatRunsIsRefusedAtAnyTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := listener.Addr().(*net.TCPAddr).Port
	free := freePort(t)
	for what, lines := range map[string][]string{
		"it speaks to peers":                 {"listen_address: 127.0.0.1", fmt.Sprint("storage_port: ", taken), "rpc_address: 127.0.0.1", fmt.Sprint("native_transport_port: ", free)},
		"it speaks CQL":                      {"listen_address: 127.0.0.1", fmt.Sprint("storage_port: ", free), "rpc_address: 127.0.0.1", fmt.Sprint("native_transport_port: ", taken)},
		"it speaks CQL on all addresses":     {"listen_address: 127.0.0.1", fmt.Sprint("storage_port: ", free), "rpc_address: 0.0.0.0", fmt.Sprint("native_transport_port: ", taken)},
		"no address is given":                {fmt.Sprint("storage_port: ", taken), fmt.Sprint("native_transport_port: ", free)},
		"only the interface is given":        {"listen_interface: lo", fmt.Sprint("storage_port: ", taken), fmt.Sprint("native_transport_port: ", free)},
		"an interface there is not any more": {"listen_interface: gone0", fmt.Sprint("storage_port: ", taken), fmt.Sprint("native_transport_port: ", free)},
	} {
		if _, _, err := stoppedNode(t, nil, lines...); err == nil || !strings.Contains(err.Error(), fmt.Sprint(":", taken)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	n, _, err := stoppedNode(t, nil, "listen_address: 127.0.0.1", fmt.Sprint("storage_port: ", taken), "rpc_address: 127.0.0.1", fmt.Sprint("native_transport_port: ", free))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Snapshot(t.Context(), "x"); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(taken))); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := n.Snapshot(t.Context(), "x"); err == nil {
		t.Error("a node that was started again is not refused")
	}
}

func TestAddressesAreWhereCassandraWouldListen(t *testing.T) {
	for _, tt := range []struct {
		what string
		give yaml
		want []string
	}{
		{"both given", yaml{Listen: "10.0.0.1", StoragePort: 7000, RPC: "10.0.0.2", NativePort: 9042}, []string{"10.0.0.1:7000", "10.0.0.2:9042"}},
		{"version 6", yaml{Listen: "::1", StoragePort: 7001, RPC: "::", NativePort: 9043}, []string{"[::1]:7001", "[::]:9043"}},
	} {
		if diff := cmp.Diff(tt.want, tt.give.addresses()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

func TestAYAMLThatCannotBeUsedIsRefused(t *testing.T) {
	for _, line := range []string{"storage_port: 70000", "native_transport_port: 0", "storage_port: [1]"} {
		if _, _, err := stoppedNode(t, nil, line); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestMembersAreThoseThatHaveJoined(t *testing.T) {
	id := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	got := members([]schema.Row{
		{"peer": net.IP{10, 0, 0, 2}, "host_id": id, "data_center": "north", "rack": "r1", "tokens": []string{"5", "-3"}},
		{"peer": net.IP{10, 0, 0, 3}, "data_center": "north", "rack": "r1", "tokens": []string{"7"}},
		{"peer": net.IP{10, 0, 0, 4}, "host_id": id, "data_center": "north", "rack": "r1"},
	})
	want := []ring.Member{{HostID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Address: "10.0.0.2", DC: "north", Rack: "r1", State: ring.Normal, Tokens: []string{"5", "-3"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADirectoryOfADroppedTableCountsWhereItHasSSTables(t *testing.T) {
	dir := t.TempDir()
	table := node.TableDir{Keyspace: "ks", Table: "t", ID: "new", Path: dir, Shared: []string{dir}}
	check := func(what string, ids []string, want bool) {
		t.Helper()
		if got, err := isTable(table, ids); got != want || err != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	check("a table of the schema", []string{"other", "new"}, true)
	check("a table of another id, empty", []string{"other"}, false)
	check("no table of that name, empty", nil, false)
	if err := os.WriteFile(filepath.Join(dir, "nb-1-big-Data.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("no table of that name, with an SSTable", nil, true)
}

// segmentBytes is a segment of 1 KiB with sections of some lengths, and more behind the last of them.
func segmentBytes(version uint32, behind string, lengths ...int) []byte {
	const id, parameters = 1_700_000_000_123, `{"x":1}`
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, version), id)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(parameters))), parameters...)
	sum := appendHalves(binary.BigEndian.AppendUint32(nil, version), id)
	sum = append(binary.BigEndian.AppendUint32(sum, uint32(len(parameters))), parameters...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(sum))
	for _, n := range lengths {
		at := int64(len(b))
		b = binary.BigEndian.AppendUint32(b, uint32(len(b)+markerSize+n))
		b = binary.BigEndian.AppendUint32(b, markerSum(id, at))
		b = append(b, bytes.Repeat([]byte{1}, n)...)
	}
	full := make([]byte, 1024)
	copy(full[copy(full, b)+markerSize:], behind)
	return full
}

func TestCommitLogCountsWhatASegmentHolds(t *testing.T) {
	damaged := segmentBytes(7, "", 100)
	damaged[len(damaged)/50] ^= 1 // in the header
	marker := segmentBytes(7, "", 100, 50)
	marker[4+8+2+7+4+8+100] ^= 1
	for _, tt := range []struct {
		what string
		file []byte
		want int64
	}{
		{"no section", segmentBytes(7, ""), 0},
		{"a section of nothing", segmentBytes(7, "", 0), 0},
		{"sections", segmentBytes(7, "", 100, 50), 150},
		{"of 3.x", segmentBytes(6, "", 100), 100},
		{"of 5.0", segmentBytes(8, "", 100), 100},
		{"what was written and not yet synced", segmentBytes(7, "abc\x00\x00d", 100), 106},
		{"a damaged header counts whole", damaged, 1024},
		{"a damaged marker counts whole", marker, 1024},
		{"of 2.x counts whole", segmentBytes(4, "", 100), 1024},
		{"cut short in its header", segmentBytes(7, "", 100)[:20], 20},
		{"cut short in a section", segmentBytes(7, "", 100)[:60], 60},
		{"no byte", nil, 0},
	} {
		n, _, err := stoppedNode(t, map[string]string{"commitlog/CommitLog-7-1700000000123.log": string(tt.file), "commitlog/other.txt": "x"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n.CommitLog(); got != tt.want || err != nil {
			t.Errorf("%s: %d bytes, not %d, %v", tt.what, got, tt.want, err)
		}
	}
}

func TestACommitLogThatIsNotThereIsAnError(t *testing.T) {
	n, _, err := stoppedNode(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(n.layout.CommitLog); err != nil {
		t.Fatal(err)
	}
	if _, err := n.CommitLog(); err == nil || !strings.Contains(err.Error(), n.layout.CommitLog) {
		t.Errorf("gone: %v", err)
	}
	n.layout.CommitLog = ""
	if _, err := n.CommitLog(); err == nil || !strings.Contains(err.Error(), "commitlog_directory") {
		t.Errorf("not given: %v", err)
	}
}
