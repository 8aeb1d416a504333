package offline

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
)

const (
	// maxYAML is far above any cassandra.yaml; the one that ships has 130 KiB.
	maxYAML = 4 << 20
	// dialTimeout is for an address that does not answer. One of this machine does at once.
	dialTimeout = 2 * time.Second

	defaultStoragePort = 7000
	defaultNativePort  = 9042
)

// yaml is what cassandra.yaml says of where the node listens.
type yaml struct {
	Listen          string `yaml:"listen_address"`
	ListenInterface string `yaml:"listen_interface"`
	StoragePort     int    `yaml:"storage_port"`
	RPC             string `yaml:"rpc_address"`
	RPCInterface    string `yaml:"rpc_interface"`
	NativePort      int    `yaml:"native_transport_port"`
}

func readYAML(path string) (yaml, error) {
	y := yaml{StoragePort: defaultStoragePort, NativePort: defaultNativePort}
	f, err := os.Open(path)
	if err != nil {
		return y, fmt.Errorf("read cassandra.yaml: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxYAML))
	if err != nil {
		return y, fmt.Errorf("read cassandra.yaml: %w", err)
	}
	if err := yamlv3.Unmarshal(b, &y); err != nil {
		return y, fmt.Errorf("parse %s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	for _, port := range []int{y.StoragePort, y.NativePort} {
		if port < 1 || port > 65535 {
			return y, fmt.Errorf("%s has %d for a port", path, port)
		}
	}
	return y, nil
}

// addresses are where a node of this configuration would listen, for its peers and for CQL.
func (y yaml) addresses() []string {
	var all []string
	add := func(hosts []string, port int) {
		for _, host := range hosts {
			if a := net.JoinHostPort(host, strconv.Itoa(port)); !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	add(hosts(y.Listen, y.ListenInterface), y.StoragePort)
	add(hosts(y.RPC, y.RPCInterface), y.NativePort)
	return all
}

// hosts are the addresses that an address or the name of an interface stands for. Without either Cassandra takes the
// address of the host's name.
func hosts(address, device string) []string {
	if address != "" {
		return []string{address}
	}
	all := []string{"127.0.0.1"}
	if device == "" {
		if name, err := os.Hostname(); err == nil {
			all = append(all, name)
		}
		return all
	}
	in, err := net.InterfaceByName(device)
	if err != nil {
		return all
	}
	addresses, err := in.Addrs()
	if err != nil {
		return all
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			all = append(all, ip.IP.String())
		}
	}
	return all
}

func accepts(address string) bool {
	c, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// name is what people call the node where it does not say so itself.
func (y yaml) name() string {
	if y.Listen != "" {
		return y.Listen
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
