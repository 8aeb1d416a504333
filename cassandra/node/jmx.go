package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// JMXConfig says where and as whom nodetool speaks JMX. What is empty is left to
// nodetool and to the arguments in Config.Nodetool.
type JMXConfig struct {
	Host         string // name or address
	Port         int    // 1 to 65535
	Username     string // empty: no authentication
	PasswordFile string // nodetool's own: a line "USER PASSWORD" for each user
	SSL          bool   // TLS
	// SSLProperties is a file of -Djavax.net.ssl.… options for TLS, of the form of
	// ~/.cassandra/nodetool-ssl.properties, which is taken where it is empty.
	SSLProperties string
}

// ConfigError tells that the configuration asks for what cannot be done, or not
// safely.
type ConfigError struct {
	Key string // as cassandra.nodetool
	Why string
}

// Error is one line that begins with the key.
func (e *ConfigError) Error() string { return e.Key + ": " + e.Why }

func configError(key, format string, args ...any) error {
	return &ConfigError{Key: "cassandra." + key, Why: oneLine(fmt.Sprintf(format, args...))}
}

// checkNodetool refuses arguments that would show a password to every user of
// the machine, who may read the command lines of all processes.
func checkNodetool(argv []string) error {
	for _, arg := range argv {
		for _, w := range strings.Fields(arg) { // a command may hide in the argument of a shell
			name, _, _ := strings.Cut(w, "=")
			switch {
			case w == "--ssl":
				return configError("nodetool", "with --ssl nodetool puts the passwords of nodetool-ssl.properties on java's command line; use cassandra.jmx.ssl: true")
			case name == "-pw" || name == "--password":
				return configError("nodetool", "%s shows the password to all users of this machine; use cassandra.jmx.username and cassandra.jmx.password_file", name)
			case strings.HasPrefix(name, "-D") && name != w && secretKey(name):
				return configError("nodetool", "%s= shows the password to all users of this machine; use cassandra.jmx.ssl_properties", name)
			}
		}
	}
	return nil
}

func (c JMXConfig) check() error {
	for key, value := range map[string]string{"host": c.Host, "username": c.Username, "password_file": c.PasswordFile, "ssl_properties": c.SSLProperties} {
		// The script nodetool splits its arguments again.
		if strings.ContainsFunc(value, unicode.IsSpace) || strings.HasPrefix(value, "-") {
			return configError("jmx."+key, "%q has a blank or begins with a dash, which nodetool does not take", value)
		}
	}
	switch {
	case c.Port < 0 || c.Port > 65535:
		return configError("jmx.port", "%d is no port", c.Port)
	case c.Username == "" && c.PasswordFile != "":
		return configError("jmx.username", "missing, while cassandra.jmx.password_file is set")
	case c.Username != "" && c.PasswordFile == "":
		return configError("jmx.password_file", "missing, while cassandra.jmx.username is set; it holds a line \"USER PASSWORD\"")
	case !c.SSL && c.SSLProperties != "":
		return configError("jmx.ssl", "not true, while cassandra.jmx.ssl_properties is set")
	}
	return nil
}

// arguments are those of nodetool that stand before the subcommand.
func (c JMXConfig) arguments() []string {
	var args []string
	if c.Host != "" {
		args = append(args, "-h", c.Host)
	}
	if c.Port != 0 {
		args = append(args, "-p", strconv.Itoa(c.Port))
	}
	if c.Username != "" {
		args = append(args, "-u", c.Username, "-pwf", c.PasswordFile)
	}
	return args
}

// maxPasswordFile is far above a line for each of some users.
const maxPasswordFile = 64 << 10

// checkPasswordFile reads what nodetool will read, so that what is wrong is said
// in the words of our configuration: nodetool asks on a terminal for the password
// of a user whom the file does not know.
func (n *Node) checkPasswordFile() error {
	c := n.cfg.JMX
	if c.Username == "" {
		return nil
	}
	text, err := ReadBounded(c.PasswordFile, maxPasswordFile)
	if err != nil {
		return configError("jmx.password_file", "%v", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == c.Username {
			return n.warnIfOpen("cassandra.jmx.password_file", c.PasswordFile)
		}
	}
	return configError("jmx.password_file", "%s has no line \"%s PASSWORD\"", c.PasswordFile, c.Username)
}

// warnIfOpen warns, once for each key, of a file with secrets that others than
// its owner may read.
func (n *Node) warnIfOpen(key, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return &ConfigError{Key: key, Why: oneLine(err.Error())}
	}
	_, warned := n.warned.LoadOrStore(key, true)
	if info.Mode().Perm()&0o077 != 0 && !warned {
		n.log.Warn("others may read a file with passwords; chmod 600 takes that from them", "key", key, "file", file)
	}
	return nil
}

// toolOptions is the variable in which java, since 9, looks for options. The
// options of nodetool-ssl.properties go to it by the file's name: neither command
// line nor environment has a password.
const toolOptions = "JDK_JAVA_OPTIONS"

// nodetoolEnv is what nodetool finds in its environment beside the rest.
func (n *Node) nodetoolEnv() ([]string, error) {
	if err := n.checkPasswordFile(); err != nil || !n.cfg.JMX.SSL {
		return nil, err
	}
	options := []string{"-Dssl.enable=true"}
	if before := os.Getenv(toolOptions); before != "" {
		options = append([]string{before}, options...)
	}
	file, err := n.sslProperties()
	if err != nil {
		return nil, err
	}
	if file != "" {
		options = append(options, "@"+file)
	}
	return []string{toolOptions + "=" + strings.Join(options, " ")}, nil
}

// sslProperties is the file of options for TLS: the configured one or, where it
// exists, the one that nodetool --ssl would take.
func (n *Node) sslProperties() (string, error) {
	const key = "cassandra.jmx.ssl_properties"
	if file := n.cfg.JMX.SSLProperties; file != "" {
		return file, n.warnIfOpen(key, file)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", nil // a service without a home has no such file
	}
	file := filepath.Join(home, ".cassandra", "nodetool-ssl.properties")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if strings.ContainsFunc(file, unicode.IsSpace) {
		return "", configError("jmx.ssl_properties", "%q has a blank, which java does not take", file)
	}
	return file, n.warnIfOpen(key, file)
}
