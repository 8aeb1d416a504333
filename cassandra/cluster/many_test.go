package cluster_test

import (
	"context"
	"fmt"
	"testing"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

func TestAHundredAndEightyNodesAreReached(t *testing.T) {
	s, _ := newSite(t)
	key := s.Key("host", "ed25519", "")
	var hosts []cluster.Host
	var servers []*sshtest.Server
	for i := range 180 {
		v := s.Start(sshtest.Options{IP: fmt.Sprintf("127.0.3.%d", i+1), HostKeys: []*sshtest.Key{key}, Env: []string{fakeVariable + "=1"}})
		servers = append(servers, v)
		s.cfg.Nodes = append(s.cfg.Nodes, cluster.NodeConfig{Address: v.IP, SSHPort: v.Port})
		hosts = append(hosts, cluster.Host{Address: v.IP, DC: fmt.Sprint("dc", i%3), Rack: fmt.Sprint("r", i%9)})
	}
	s.opt.AcceptNew = true
	c := s.open()
	for range 2 {
		results := cluster.Each(t.Context(), hosts, cluster.Plan{Limits: cluster.Limits{Total: 20}}, func(ctx context.Context, h cluster.Host) error {
			said := 0
			err := c.Run(ctx, h, cluster.Command{Args: []string{"args", h.Address}, Line: func(line []byte) error {
				said++
				if string(line) != fmt.Sprintf("[%q]", h.Address) {
					return fmt.Errorf("%s said %q", h.Address, line)
				}
				return nil
			}})
			if err == nil && said != 1 {
				err = fmt.Errorf("%s said %d lines", h.Address, said)
			}
			return err
		})
		for _, r := range cluster.Failed(results) {
			t.Error(r.Err)
		}
	}
	for _, v := range servers {
		if got := v.Accepted(); got != 1 {
			t.Errorf("%s had %d connections", v.IP, got)
		}
	}
}
