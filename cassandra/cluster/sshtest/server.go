package sshtest

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Options say how a server differs from the usual.
type Options struct {
	IP       string   // 127.0.0.1
	HostKeys []*Key   // one of ed25519
	Conf     []string // lines for sshd_config, which count before all others
	Env      []string // NAME=VALUE of what runs there
	// Broken is run in sshd's place, for what no sshd does on demand.
	Broken func(net.Conn)
}

// Server is an SSH server.
type Server struct {
	IP   string
	Port int
	Keys []*Key

	t        testing.TB
	opt      Options
	sshd     string
	conf     string
	log      string
	listener net.Listener

	mu       sync.Mutex
	ended    bool
	accepted int
	sessions map[int]*exec.Cmd // by process id
	running  sync.WaitGroup
}

// Start starts a server, which ends with the test.
func (l *Lab) Start(opt Options) *Server {
	l.t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(opt.IP, "127.0.0.1"), "0"))
	must(l.t, err)
	addr := listener.Addr().(*net.TCPAddr)
	s := &Server{IP: addr.IP.String(), Port: addr.Port, Keys: opt.HostKeys, t: l.t, opt: opt, sshd: l.sshd, listener: listener,
		sessions: make(map[int]*exec.Cmd)}
	base := filepath.Join(l.dir, fmt.Sprintf("sshd-%s-%d", s.IP, s.Port))
	if len(s.Keys) == 0 {
		s.Keys = []*Key{l.Key(filepath.Base(base)+"-key", "ed25519", "")}
	}
	s.conf, s.log = base+".conf", base+".log"
	must(l.t, os.WriteFile(l.userCA(), ssh.MarshalAuthorizedKey(l.UserCA.PublicKey()), 0o600))
	must(l.t, os.WriteFile(s.conf, []byte(strings.Join(s.config(l), "\n")+"\n"), 0o600))
	s.running.Go(s.accept)
	l.t.Cleanup(s.Stop)
	return s
}

func (l *Lab) userCA() string { return filepath.Join(l.dir, "user-authorities") }

// config is sshd_config; of two lines for the same the first counts.
func (s *Server) config(l *Lab) []string {
	lines := slices.Clone(s.opt.Conf)
	for _, k := range s.Keys {
		lines = append(lines, "HostKey "+k.File)
		if _, err := os.Stat(k.File + "-cert.pub"); err == nil {
			lines = append(lines, "HostCertificate "+k.File+"-cert.pub")
		}
	}
	// The shell reads its user's start files, which are not of the test and may take long.
	env := append([]string{"HOME=" + l.dir}, s.opt.Env...)
	lines = append(lines, `SetEnv "`+strings.Join(env, `" "`)+`"`)
	return append(lines, "AuthorizedKeysFile "+l.authorized(), "TrustedUserCAKeys "+l.userCA(), "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "PermitUserRC no", "AcceptEnv none",
		"PidFile none", "PrintMotd no", "PrintLastLog no", "UseDNS no", "LogLevel VERBOSE")
}

// accept has each connection served by a process of its own.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted++
		s.mu.Unlock()
		s.running.Go(func() { s.serve(conn.(*net.TCPConn)) })
	}
}

func (s *Server) serve(conn *net.TCPConn) {
	defer conn.Close()
	if s.opt.Broken != nil {
		s.opt.Broken(conn)
		return
	}
	file, err := conn.File()
	if err != nil {
		s.t.Errorf("sshtest: %v", err)
		return
	}
	conn.Close() // sshd's is the only one, so that it alone ends the connection
	log, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Errorf("sshtest: %v", err)
		return
	}
	defer log.Close()
	cmd := exec.Command(s.sshd, "-i", "-e", "-f", s.conf)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, log
	started := s.begin(cmd)
	file.Close()
	if !started {
		return
	}
	cmd.Wait() // how a connection ended is for its other side to judge
	s.mu.Lock()
	delete(s.sessions, cmd.Process.Pid)
	s.mu.Unlock()
}

// begin starts a session, unless the server has ended.
func (s *Server) begin(cmd *exec.Cmd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if err := cmd.Start(); err != nil {
		s.t.Errorf("sshtest: %v", err)
		return false
	}
	s.sessions[cmd.Process.Pid] = cmd
	return true
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.IP, fmt.Sprint(s.Port)) }

// Line is the server in known_hosts, by its first key.
func (s *Server) Line() string {
	return knownhosts.Line([]string{s.Addr()}, s.Keys[0].Signer.PublicKey())
}

// Accepted returns how many connections the server has had.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Log is what sshd said.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.log) // none yet is no log
	return string(b)
}

// Sessions returns the processes that serve the connections there are, each with the
// children that sshd has for it.
func (s *Server) Sessions() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []int
	for pid := range s.sessions {
		all = append(all, family(pid)...)
	}
	return all
}

// Freeze stops the processes of sshd: connections stay open and nobody answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets them go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// Cut kills the processes of sshd, which ends the connections in the middle.
func (s *Server) Cut() { s.signal(syscall.SIGKILL) }

func (s *Server) signal(sig syscall.Signal) {
	for _, pid := range s.Sessions() {
		syscall.Kill(pid, sig) // it may have ended
	}
}

// Stop ends the server and its connections.
func (s *Server) Stop() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.listener.Close()
	s.Cut()
	s.running.Wait()
}
