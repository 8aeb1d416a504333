package cluster_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

func TestAKeyOpensTheNodeHoweverItIsHeld(t *testing.T) {
	rename := func(s *site, from, to string) {
		if err := os.Rename(from, to); err != nil {
			s.t.Fatal(err)
		}
	}
	for name, arrange := range map[string]func(*site){
		"a key file of the configuration": func(*site) {},
		"an RSA key":                      func(s *site) { s.use(s.Key("rsa", "rsa", ""), true) },
		"an ECDSA key":                    func(s *site) { s.use(s.Key("ecdsa", "ecdsa", ""), true) },
		"a key where ssh looks by itself": func(s *site) { s.cfg.SSH.IdentityFiles = nil; rename(s, s.key.File, s.file("id_ed25519")) },
		"a key that ssh config names":     func(s *site) { s.cfg.SSH.IdentityFiles = nil; s.sshConfig("Host 127.*", "IdentityFile "+s.key.File) },
		"a key from the home directory": func(s *site) {
			rename(s, s.key.File, s.file("mine"))
			s.cfg.SSH.IdentityFiles = []string{"~/.ssh/mine"}
		},
		"the agent's key": func(s *site) { s.cfg.SSH.IdentityFiles = nil; s.opt.AgentSocket = s.Agent(s.key) },
		"the agent's key by its public half": func(s *site) {
			s.cfg.SSH.IdentityFiles = []string{s.key.File + ".pub"}
			s.opt.AgentSocket = s.Agent(s.key)
		},
		"an encrypted key that the agent has": func(s *site) {
			k := s.Key("encrypted", "ed25519", "secret")
			s.opt.AgentSocket = s.Agent(k)
			s.use(k, true)
		},
		"a certificate": func(s *site) {
			k := s.Key("certified", "ed25519", "")
			s.Certify(k, s.UserCA, ssh.UserCert, s.User)
			s.use(k, false)
		},
		"a certificate of an RSA key": func(s *site) {
			k := s.Key("certified", "rsa", "")
			s.Certify(k, s.UserCA, ssh.UserCert, s.User)
			s.use(k, false)
		},
		"a certificate whose key the agent has": func(s *site) {
			k := s.Key("certified", "ed25519", "secret")
			s.Certify(k, s.UserCA, ssh.UserCert, s.User)
			s.opt.AgentSocket = s.Agent(k)
			s.use(k, false)
		},
		"the named key of an agent that has more than a server takes": func(s *site) {
			s.opt.AgentSocket = s.Agent(s.strangers(8)...)
		},
		"the named key where no other of the agent's may be shown": func(s *site) {
			s.cfg.SSH.IdentityFiles = nil
			s.opt.AgentSocket = s.Agent(append(s.strangers(8), s.key)...)
			s.sshConfig("Host *", "IdentitiesOnly yes", "IdentityFile "+s.key.File)
		},
		"a key file although the agent is gone": func(s *site) { s.opt.AgentSocket = s.file("nobody") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t, sshtest.Options{})
			arrange(s)
			s.greets()
		})
	}
}

// use has the configuration name a key, which may be let in.
func (s *site) use(k *sshtest.Key, authorize bool) {
	s.cfg.SSH.IdentityFiles = []string{k.File}
	if authorize {
		s.Authorize(k)
	}
}

// strangers are keys that are not let in.
func (s *site) strangers(n int) (keys []*sshtest.Key) {
	for i := range n {
		keys = append(keys, s.Key("stranger-"+string(rune('a'+i)), "ed25519", ""))
	}
	return keys
}

func TestWhoIsNotLetInHearsWhatWasTried(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(*site)
		want    []string
	}{
		"an encrypted key names the agent": {func(s *site) { s.use(s.Key("locked", "ed25519", "secret"), true) },
			[]string{"no key to offer", "locked is encrypted", "ssh-add it"}},
		"an encrypted key of the old kind": {func(s *site) { s.use(s.Key("locked", "rsa", "secret"), true) }, []string{"locked is encrypted"}},
		"a key of somebody else's": {func(s *site) { s.use(s.Key("other", "ed25519", ""), false) },
			[]string{"is not let in with ", "/other", "no ssh-agent"}},
		"a certificate for another user": {func(s *site) {
			k := s.Key("certified", "ed25519", "")
			s.Certify(k, s.UserCA, ssh.UserCert, "nobody-else")
			s.use(k, false)
		}, []string{"certified-cert.pub"}},
		"more keys than the server takes": {func(s *site) {
			s.cfg.SSH.IdentityFiles = nil
			s.opt.AgentSocket = s.Agent(append(s.strangers(8), s.key)...)
		}, []string{"ssh-agent's SHA256:"}},
		"the agent's key where only another may be shown": {func(s *site) {
			s.cfg.SSH.IdentityFiles = nil
			s.opt.AgentSocket = s.Agent(s.key)
			s.sshConfig("Host *", "IdentitiesOnly yes", "IdentityFile "+s.strangers(1)[0].File)
		}, []string{"is not let in with ", "/stranger-a"}},
		"no such user": {func(s *site) { s.cfg.SSH.User = "no-such-user" }, []string{"user no-such-user is not let in"}},
		"a key that ssh config names and that is not there": {func(s *site) {
			s.cfg.SSH.IdentityFiles = nil
			s.sshConfig("Host *", "IdentityFile /nowhere/key")
		}, []string{"no key to offer", "/nowhere/key does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t, sshtest.Options{})
			c.arrange(s)
			_, err := s.hello(s.open())
			var auth *cluster.AuthError
			if !errors.As(err, &auth) || cluster.MayPass(err) {
				t.Fatalf("error is %T, which may pass: %t: %v", err, cluster.MayPass(err), err)
			}
			for _, want := range append(c.want, "node-1: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
		})
	}
}

func TestAKeyFileThatCannotBeUsedIsNamed(t *testing.T) {
	for name, arrange := range map[string]func(*testing.T, *site) string{
		"it is not there": func(_ *testing.T, s *site) string {
			s.cfg.SSH.IdentityFiles = []string{"/nowhere/id"}
			return "/nowhere/id"
		},
		"it is no key": func(t *testing.T, s *site) string { return s.spoil(t, s.key.File, "no key") },
		"its certificate is none": func(t *testing.T, s *site) string {
			return s.spoil(t, s.key.File+"-cert.pub", string(ssh.MarshalAuthorizedKey(s.key.Signer.PublicKey())))
		},
		"its certificate is another key's": func(t *testing.T, s *site) string {
			other := s.Key("other", "ed25519", "")
			s.Certify(other, s.UserCA, ssh.UserCert, s.User)
			b, err := os.ReadFile(other.File + "-cert.pub")
			if err != nil {
				t.Fatal(err)
			}
			return s.spoil(t, s.key.File+"-cert.pub", string(b))
		},
		"it is far too long": func(t *testing.T, s *site) string { return s.spoil(t, s.key.File, strings.Repeat("x", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t, sshtest.Options{})
			file := arrange(t, s)
			_, err := s.hello(s.open())
			if err == nil || !strings.Contains(err.Error(), file) || cluster.MayPass(err) {
				t.Errorf("%s is not named as what will not pass: %v", file, err)
			}
		})
	}
}

func (s *site) spoil(t *testing.T, file, content string) string {
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
