package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

func TestJumpHostsLeadToANode(t *testing.T) {
	for name, arrange := range map[string]func(s *site, jumps []*sshtest.Server){
		"one, by its name in ssh config": func(s *site, j []*sshtest.Server) {
			s.sshConfig("Host 127.0.0.9", "ProxyJump bastion", host("bastion", j[1]))
		},
		"one, all in ProxyJump": func(s *site, j []*sshtest.Server) {
			s.sshConfig("Host 127.0.0.9", fmt.Sprintf("ProxyJump ssh://%s@%s", s.User, j[1].Addr()))
		},
		"two in a list": func(s *site, j []*sshtest.Server) {
			s.sshConfig("Host 127.0.0.9", "ProxyJump "+j[2].Addr()+", "+j[1].Addr())
		},
		"one that is reached by another": func(s *site, j []*sshtest.Server) {
			s.sshConfig("Host 127.0.0.9", "ProxyJump inner", host("inner", j[1]), "ProxyJump outer", host("outer", j[2]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, servers := newSite(t, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{}, sshtest.Options{})
			arrange(s, servers)
			s.greets()
			if servers[1].Accepted() != 1 {
				t.Errorf("the jump host had %d connections", servers[1].Accepted())
			}
			if strings.Contains(name, "two") || strings.Contains(name, "another") {
				if servers[2].Accepted() != 1 {
					t.Errorf("the outer jump host had %d connections", servers[2].Accepted())
				}
			}
		})
	}
}

// host is a server in ssh config.
func host(name string, s *sshtest.Server) string {
	return fmt.Sprintf("Host %s\nHostName %s\nPort %d", name, s.IP, s.Port)
}

func TestManyNodesShareOneConnectionToTheirJumpHost(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{})
	s.sshConfig("Host 127.0.0.9", "ProxyJump "+servers[3].Addr())
	s.visitAll(3)
	if got := servers[3].Accepted(); got != 1 {
		t.Errorf("the jump host had %d connections", got)
	}
}

func TestAJumpHostThatRefusesIsNamedWithTheNodeBehindIt(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{IP: "127.0.0.9"}, sshtest.Options{})
	s.sshConfig("Host 127.0.0.9", "ProxyJump bastion", host("bastion", servers[1]))
	s.forget()
	_, err := s.hello(s.open())
	var key *cluster.HostKeyError
	if !errors.As(err, &key) || key.Host != "bastion" || !strings.HasPrefix(err.Error(), "on the way to node-1: bastion: ") {
		t.Errorf("error is %v", err)
	}
}

func TestOurSettingsWinOverSSHConfigAndThatOverDefaults(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{})
	v := servers[0]
	s.cfg.Nodes = nil
	s.cfg.SSH.IdentityFiles = nil
	s.host.Address = "node.example"
	s.sshConfig("Host *.example", "HostName "+v.IP, fmt.Sprintf("Port %d", v.Port), "User "+s.User, "IdentityFile %d/../id", "")
	s.opt.User = "nobody-here"
	s.greets()
	for setting, change := range map[string]func(*cluster.Config){
		"user":           func(c *cluster.Config) { c.SSH.User = "nobody-here" },
		"port":           func(c *cluster.Config) { c.SSH.Port = 1 },
		"identity_files": func(c *cluster.Config) { c.SSH.IdentityFiles = []string{"/nowhere/id"} },
		"known_hosts":    func(c *cluster.Config) { c.SSH.KnownHosts = "/nowhere/known" },
		"nodes":          func(c *cluster.Config) { c.Nodes = []cluster.NodeConfig{{Address: "node.example", SSHPort: 1}} },
		"config":         func(c *cluster.Config) { c.SSH.Config = "/dev/null" },
	} {
		t.Run(setting, func(t *testing.T) {
			before := s.cfg
			defer func() { s.cfg = before }()
			change(&s.cfg)
			c, err := cluster.New(t.Context(), s.cfg, s.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := s.hello(c); err == nil {
				t.Error("ssh config won")
			}
		})
	}
}

func TestAnSSHConfigThatCannotBeFollowedIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"a jump host that leads through itself": {[]string{"Host *", "ProxyJump bastion"}, "ProxyJump leads over more than 8 servers"},
		"a list of more jumps than anybody has": {[]string{"Host 127.*", "ProxyJump a,b,c,d,e,f,g,h,i"}, "ProxyJump leads over more than 8 servers"},
		"a ProxyCommand":                        {[]string{"Host *", "ProxyCommand nc %h %p"}, "use ProxyJump"},
		"a jump to nowhere":                     {[]string{"Host 127.*", "ProxyJump user@:22"}, "no [user@]host[:port]"},
		"a jump to no port":                     {[]string{"Host 127.*", "ProxyJump bastion:99999"}, "no [user@]host[:port]"},
		"a port that is none":                   {[]string{"Host *", "Port ssh"}, "Port ssh is no port"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t, sshtest.Options{})
			s.sshConfig(c.lines...)
			_, err := s.hello(s.open())
			if err == nil || !strings.Contains(err.Error(), c.want) || cluster.MayPass(err) {
				t.Errorf("no %q in: %v", c.want, err)
			}
		})
	}
}

func TestAnSSHConfigThatCannotBeReadIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a condition that runs commands": {"", "Match exec true\nUser x\n", "cluster.ssh.config names another"},
		"a named file that is not there": {"~/.ssh/mine", "", "no such file"},
		"far too long a file":            {"", strings.Repeat("# comment\n", 1<<19), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t)
			s.append("config", c.text)
			s.cfg.SSH.Config = c.file
			if _, err := cluster.New(t.Context(), s.cfg, s.opt); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("no %q in: %v", c.want, err)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	hang := func(conn net.Conn) {
		conn.Read(make([]byte, 1<<10))
		<-time.After(time.Second)
		conn.Read(make([]byte, 1<<10))
	}
	for name, through := range map[string]bool{"at once": false, "through a jump host": true} {
		t.Run(name, func(t *testing.T) {
			s, servers := newSite(t, sshtest.Options{IP: "127.0.0.9", Broken: hang}, sshtest.Options{})
			if through {
				s.sshConfig("Host 127.0.0.9", "ProxyJump "+servers[1].Addr())
			}
			s.cfg.SSH.Timeout = 500 * time.Millisecond
			if through {
				s.cfg.SSH.Timeout = 8 * time.Second // which the jump host needs too
			}
			_, err := s.hello(s.open())
			var dial *cluster.DialError
			if !errors.As(err, &dial) || !cluster.MayPass(err) || !strings.Contains(err.Error(), "no answer in ") {
				t.Errorf("error is %T: %v", err, err)
			}
		})
	}
}

func TestAServerThatCannotBeReachedMayBeLater(t *testing.T) {
	for name, broken := range map[string]func(net.Conn){
		"nobody listens":           nil,
		"it closes the connection": func(net.Conn) {},
		"it speaks something else": func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			s, servers := newSite(t, sshtest.Options{Broken: broken})
			if broken == nil {
				servers[0].Stop()
			}
			_, err := s.hello(s.open())
			var dial *cluster.DialError
			if !errors.As(err, &dial) || !cluster.MayPass(err) || !strings.HasPrefix(err.Error(), "node-1 ("+servers[0].Addr()+"): ") {
				t.Errorf("error is %T: %v", err, err)
			}
		})
	}
}

func TestWhoNoLongerWantsAConnectionNeedNotWaitForIt(t *testing.T) {
	s, servers := newSite(t, sshtest.Options{Broken: func(c net.Conn) { io.Copy(io.Discard, c) }})
	c := s.open()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no longer wanted")
	go func() {
		sshtest.Until(t, "the server has a connection", func() bool { return servers[0].Accepted() == 1 })
		cancel(why)
	}()
	if err := c.Run(ctx, s.host, cluster.Command{Args: []string{"args"}}); !errors.Is(err, why) {
		t.Errorf("error is %v", err)
	}
}
