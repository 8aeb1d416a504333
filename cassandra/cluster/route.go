package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"
)

const (
	// maxJumps bounds the way to a node: nobody has more, and a jump host that
	// leads through itself has no end.
	maxJumps = 8
	// maxSSHConfig bounds the ssh config; 10,000 hosts have less than 1 MiB.
	maxSSHConfig = 4 << 20
)

// hop is an SSH server on the way to a node, the last being the node's own.
type hop struct {
	label      string // for messages: the node's address, or how ssh config names the jump host
	user       string
	host, port string
	known      string   // host:port under which known_hosts has it
	knownFiles []string // the first is the one to write to
	identities []string
	named      bool // the identities, by our own configuration: each must be there
	only       bool // these identities, no others of the agent's
}

func (h hop) addr() string { return net.JoinHostPort(h.host, h.port) }

// routeKey names a route: the same key, the same connection.
func routeKey(hops []hop) string {
	var s strings.Builder
	for _, h := range hops {
		s.WriteString(h.user + "@" + h.addr() + " ")
	}
	return s.String()
}

// router finds routes by our configuration and the user's ssh config.
type router struct {
	cfg        Config
	ssh        *ssh_config.Config
	home, user string
}

// newRouter reads the ssh config. One that is not named need not be there.
func newRouter(cfg Config, home, user string) (*router, error) {
	r := &router{cfg: cfg, home: home, user: user, ssh: &ssh_config.Config{}}
	name := r.file(cmp.Or(cfg.SSH.Config, "~/.ssh/config"))
	b, err := readSmall(name, maxSSHConfig)
	if errors.Is(err, fs.ErrNotExist) && cfg.SSH.Config == "" {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ssh config: %w", err)
	}
	if r.ssh, err = ssh_config.DecodeBytes(b); err != nil {
		return nil, fmt.Errorf("ssh config %s: %w; cluster.ssh.config names another", name, err)
	}
	return r, nil
}

// route returns the servers on the way to a node.
func (r *router) route(address string) ([]hop, error) {
	n := r.cfg.node(address)
	alias := cmp.Or(n.SSHHost, address)
	h, err := r.hop(alias, address)
	if err != nil {
		return nil, err
	}
	s := r.cfg.SSH
	h.user = cmp.Or(s.User, h.user)
	if port := cmp.Or(n.SSHPort, s.Port); port != 0 {
		h.port = strconv.Itoa(port)
	}
	if len(s.IdentityFiles) > 0 {
		r.useOwn(&h)
	}
	if h, err = r.known(h, alias); err != nil {
		return nil, err
	}
	before, err := r.before(alias, maxJumps)
	return append(before, h), err
}

// before returns the jump hosts on the way to a server.
func (r *router) before(alias string, left int) (hops []hop, err error) {
	spec, err := r.get(alias, "ProxyJump")
	if err != nil {
		return nil, err
	}
	if spec == "" || strings.EqualFold(spec, "none") {
		return nil, r.noProxyCommand(alias, spec)
	}
	for i, one := range strings.Split(spec, ",") {
		if len(hops) >= left {
			return nil, fmt.Errorf("%s: ProxyJump leads over more than %d servers, or back to itself", alias, maxJumps)
		}
		jump, name, err := r.jump(strings.TrimSpace(one))
		if err != nil {
			return nil, fmt.Errorf("%s: ProxyJump %s: %w", alias, one, err)
		}
		if i == 0 { // the way to the others is given
			if hops, err = r.before(name, left-1); err != nil {
				return nil, err
			}
		}
		hops = append(hops, jump)
	}
	return hops, nil
}

func (r *router) noProxyCommand(alias, jump string) error {
	command, err := r.get(alias, "ProxyCommand")
	if err == nil && jump == "" && command != "" && !strings.EqualFold(command, "none") {
		err = fmt.Errorf("%s: ssh config has a ProxyCommand, which cbk does not run; use ProxyJump", alias)
	}
	return err
}

// jump reads one server of a ProxyJump: [ssh://][user@]host[:port].
func (r *router) jump(spec string) (h hop, name string, err error) {
	spec = strings.TrimPrefix(spec, "ssh://")
	user, name, found := cutLast(spec, "@")
	if !found {
		user, name = "", spec
	}
	port := ""
	if host, p, err := net.SplitHostPort(name); err == nil {
		name, port = host, p
	}
	name = strings.Trim(name, "[]")
	if name == "" || port != "" && !isPortText(port) {
		return hop{}, "", errors.New("no [user@]host[:port]")
	}
	if h, err = r.hop(name, name); err != nil {
		return hop{}, "", err
	}
	h.user, h.port = cmp.Or(user, h.user), cmp.Or(port, h.port)
	if len(h.identities) == 0 && len(r.cfg.SSH.IdentityFiles) > 0 {
		r.useOwn(&h)
	}
	h, err = r.known(h, name)
	return h, name, err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// hop returns what ssh config says of a server, over ssh's defaults.
func (r *router) hop(alias, label string) (hop, error) {
	h := hop{label: label}
	only := ""
	for key, field := range map[string]*string{"User": &h.user, "HostName": &h.host, "Port": &h.port, "IdentitiesOnly": &only} {
		value, err := r.get(alias, key)
		if err != nil {
			return hop{}, err
		}
		*field = value
	}
	h.host = strings.NewReplacer("%%", "%", "%h", alias).Replace(cmp.Or(h.host, alias))
	h.user, h.port = cmp.Or(h.user, r.user), cmp.Or(h.port, "22")
	h.only = strings.EqualFold(only, "yes")
	if !isPortText(h.port) {
		return hop{}, fmt.Errorf("%s: ssh config: Port %s is no port", alias, h.port)
	}
	files, err := r.ssh.GetAll(alias, "IdentityFile")
	if err != nil {
		return hop{}, fmt.Errorf("%s: ssh config: %w", alias, err)
	}
	for _, file := range files {
		h.identities = append(h.identities, r.file(r.tokens(file, h)))
	}
	return h, nil
}

// useOwn gives a server the identities of our own configuration.
func (r *router) useOwn(h *hop) {
	h.identities, h.named = nil, true
	for _, file := range r.cfg.SSH.IdentityFiles {
		h.identities = append(h.identities, r.file(file))
	}
}

// known says where a server's key is known, and under which name.
func (r *router) known(h hop, alias string) (hop, error) {
	name, err := r.get(alias, "HostKeyAlias")
	if err != nil {
		return h, err
	}
	files, err := r.get(alias, "UserKnownHostsFile")
	if err != nil {
		return h, err
	}
	h.known = h.addr()
	if name != "" {
		h.known = net.JoinHostPort(name, "22") // an alias stands alone in known_hosts, whatever the port
	}
	h.knownFiles = strings.Fields(cmp.Or(r.cfg.SSH.KnownHosts, files, "~/.ssh/known_hosts"))
	if r.cfg.SSH.KnownHosts != "" {
		h.knownFiles = []string{r.cfg.SSH.KnownHosts} // which may have blanks
	}
	for i, file := range h.knownFiles {
		h.knownFiles[i] = r.file(r.tokens(file, h))
	}
	return h, nil
}

func (r *router) get(alias, key string) (string, error) {
	value, err := r.ssh.Get(alias, key)
	if err != nil {
		return "", fmt.Errorf("%s: ssh config: %w", alias, err)
	}
	return value, nil
}

// tokens replaces those of ssh's tokens that are known before a connection is.
func (r *router) tokens(s string, h hop) string {
	return strings.NewReplacer("%%", "%", "%d", r.home, "%h", h.host, "%r", h.user, "%u", r.user).Replace(s)
}

// file returns the path of a file that may be given from the home directory.
func (r *router) file(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(r.home, rest)
	}
	return name
}

func isPortText(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && isPort(n)
}

// readSmall reads a file that has at most limit bytes.
func readSmall(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return b, nil
}
