package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

func TestAServerIsKnownHoweverItIsWrittenDown(t *testing.T) {
	for name, c := range map[string]struct {
		keys    []string // kinds of the server's
		arrange func(*site, *sshtest.Server)
	}{
		"a plain line": {[]string{"ed25519"}, func(s *site, v *sshtest.Server) { s.know(v.Line()) }},
		"a hashed line": {[]string{"ed25519"}, func(s *site, v *sshtest.Server) {
			s.know(v.Line())
			hash := exec.Command("ssh-keygen", "-H", "-f", s.file("known_hosts"))
			if out, err := hash.CombinedOutput(); err != nil {
				s.t.Fatalf("%v: %s", err, out)
			}
			if b, err := os.ReadFile(s.file("known_hosts")); err != nil || !strings.HasPrefix(string(b), "|1|") {
				s.t.Fatalf("known_hosts is not hashed: %q, %v", b, err)
			}
		}},
		// The library would ask for the ECDSA key first, and find the host changed.
		"one of its kinds of key": {[]string{"ecdsa", "ed25519", "rsa"}, func(s *site, v *sshtest.Server) {
			s.know(knownhosts.Line([]string{v.Addr()}, v.Keys[1].Signer.PublicKey()))
		}},
		"its RSA key": {[]string{"ecdsa", "ed25519", "rsa"}, func(s *site, v *sshtest.Server) {
			s.know(knownhosts.Line([]string{v.Addr()}, v.Keys[2].Signer.PublicKey()))
		}},
		"an authority": {[]string{"certified"}, func(s *site, v *sshtest.Server) {
			s.know("@cert-authority * " + string(ssh.MarshalAuthorizedKey(s.HostCA.PublicKey())))
		}},
		"an authority beside an older key": {[]string{"certified"}, func(s *site, v *sshtest.Server) {
			other := s.Key("older", "ed25519", "").Signer.PublicKey()
			s.know(knownhosts.Line([]string{v.Addr()}, other), fmt.Sprintf("@cert-authority [127.0.0.*]:%d ", v.Port)+string(ssh.MarshalAuthorizedKey(s.HostCA.PublicKey())))
		}},
		"another file": {[]string{"ed25519"}, func(s *site, v *sshtest.Server) {
			s.cfg.SSH.KnownHosts = "~/.ssh/other hosts"
			s.append("other hosts", v.Line())
		}},
		"a file that ssh config names": {[]string{"ed25519"}, func(s *site, v *sshtest.Server) {
			s.sshConfig("Host 127.*", "UserKnownHostsFile ~/.ssh/absent ~/.ssh/others")
			s.append("others", v.Line())
		}},
		"an alias": {[]string{"ed25519"}, func(s *site, v *sshtest.Server) {
			s.sshConfig("Host 127.*", "HostKeyAlias the-node")
			s.know(knownhosts.Line([]string{"the-node"}, v.Keys[0].Signer.PublicKey()))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostWith(t, c.keys...)
			c.arrange(s.site, s.server)
			s.greets()
		})
	}
}

// keyed is a site whose server has certain keys and is unknown.
type keyed struct {
	*site
	server *sshtest.Server
}

func hostWith(t *testing.T, kinds ...string) keyed {
	t.Helper()
	s, _ := newSite(t)
	var keys []*sshtest.Key
	for _, kind := range kinds {
		if kind != "certified" {
			keys = append(keys, s.Key("host-"+kind, kind, ""))
			continue
		}
		k := s.Key("host-certified", "ed25519", "")
		s.Certify(k, s.HostCA, ssh.HostCert, "127.0.0.1")
		keys = append(keys, k)
	}
	v := s.Start(sshtest.Options{HostKeys: keys, Env: []string{fakeVariable + "=1"}})
	s.cfg.Nodes = []cluster.NodeConfig{{Address: "node-1", SSHHost: v.IP, SSHPort: v.Port}}
	return keyed{s, v}
}

func TestAServerThatIsNotTheKnownOneIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		arrange func(keyed)
		changed bool
		want    string
	}{
		"unknown":                     {"ed25519", func(keyed) {}, false, "--accept-new adds it to "},
		"unknown, with a certificate": {"certified", func(keyed) {}, false, "unknown host key ssh-ed25519 SHA256:"},
		"another key": {"ed25519", func(k keyed) {
			k.know("# one line", knownhosts.Line([]string{k.server.Addr()}, k.key.Signer.PublicKey()))
		}, true, "known_hosts:2"},
		"a key of another kind": {"ed25519", func(k keyed) {
			k.know(knownhosts.Line([]string{k.server.Addr()}, k.Key("was", "ecdsa", "").Signer.PublicKey()))
		}, true, "known is a key of kind ecdsa-sha2-nistp256, and the server has ssh-ed25519"},
		"a revoked key": {"ed25519", func(k keyed) {
			k.know(k.server.Line(), "@revoked * "+string(ssh.MarshalAuthorizedKey(k.server.Keys[0].Signer.PublicKey())))
		}, true, "revoked"},
		"a certificate of another authority": {"certified", func(k keyed) {
			k.know("@cert-authority * " + string(ssh.MarshalAuthorizedKey(k.UserCA.PublicKey())))
		}, true, "SHA256:"},
		"a certificate for another host": {"certified", func(k keyed) {
			k.sshConfig("Host *", "HostKeyAlias elsewhere")
			k.know("@cert-authority * " + string(ssh.MarshalAuthorizedKey(k.HostCA.PublicKey())))
		}, true, "elsewhere"},
		"no certificate where there is an authority": {"ed25519", func(k keyed) {
			k.know("@cert-authority * " + string(ssh.MarshalAuthorizedKey(k.HostCA.PublicKey())))
		}, true, "and the server has ssh-ed25519"},
	} {
		for _, accept := range []bool{false, true} {
			if accept && !c.changed {
				continue // the only ones that --accept-new takes
			}
			t.Run(name, func(t *testing.T) {
				k := hostWith(t, c.kind)
				c.arrange(k)
				k.opt.AcceptNew = accept
				before, _ := os.ReadFile(k.file("known_hosts"))
				_, err := k.hello(k.open())
				var refused *cluster.HostKeyError
				if !errors.As(err, &refused) || refused.Changed != c.changed || cluster.MayPass(err) {
					t.Fatalf("error is %T: %v", err, err)
				}
				if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "node-1: ") {
					t.Errorf("no %q in: %v", c.want, err)
				}
				if after, _ := os.ReadFile(k.file("known_hosts")); string(after) != string(before) {
					t.Errorf("known_hosts was %q and is %q", before, after)
				}
			})
		}
	}
}

func TestAnUnknownServerIsToldByTheFingerprintThatItsKeyHas(t *testing.T) {
	k := hostWith(t, "ed25519")
	_, err := k.hello(k.open())
	want := "ssh-ed25519 " + ssh.FingerprintSHA256(k.server.Keys[0].Signer.PublicKey())
	var refused *cluster.HostKeyError
	if !errors.As(err, &refused) || refused.Fingerprint != want || refused.Known != k.file("known_hosts") {
		t.Errorf("want fingerprint %s: %v", want, err)
	}
}

func TestANewServerIsWrittenDownOnceWhereThatIsAllowed(t *testing.T) {
	s, servers := newSite(t, make([]sshtest.Options, 5)...)
	s.forget()
	s.append("known_hosts", "# a file whose last line has no end")
	b, err := os.ReadFile(s.file("known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("known_hosts"), b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	s.opt.AcceptNew = true
	s.visitAll(len(servers))
	s.opt.AcceptNew = false
	s.visitAll(len(servers)) // they are known by now, to a cluster that reads the file anew
	b, err = os.ReadFile(s.file("known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(b), "\n"); got != 1+len(servers) || !strings.HasPrefix(string(b), "# a file whose last line has no end\n[") {
		t.Errorf("known_hosts has %d lines: %s", got, b)
	}
}

// visitAll greets all nodes at once.
func (s *site) visitAll(n int) {
	s.t.Helper()
	c := s.open()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			h := cluster.Host{Address: s.cfg.Nodes[i].Address}
			if err := c.Run(s.t.Context(), h, cluster.Command{Args: []string{"args"}}); err != nil {
				s.t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestANewFileOfKnownHostsIsForItsOwnerOnly(t *testing.T) {
	k := hostWith(t, "ed25519")
	k.opt.AcceptNew = true
	k.cfg.SSH.KnownHosts = "~/.ssh/deeper/known"
	k.greets()
	info, err := os.Stat(k.file("deeper/known"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAKnownHostsFileThatCannotBeReadRefusesEverybody(t *testing.T) {
	s, _ := newSite(t, sshtest.Options{})
	s.opt.AcceptNew = true
	s.know("node-1 ssh-ed25519 no-base64!")
	_, err := s.hello(s.open())
	if err == nil || !strings.Contains(err.Error(), "known_hosts:2") || cluster.MayPass(err) {
		t.Errorf("error is %v", err)
	}
}
