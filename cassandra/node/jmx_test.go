package node

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func configErrorOf(t *testing.T, err error) *ConfigError {
	t.Helper()
	var e *ConfigError
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no ConfigError", err, err)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("message has several lines: %q", e.Error())
	}
	return e
}

func TestWhatTheConfigurationMayNotAskFor(t *testing.T) {
	nodetool := func(args ...string) Config { return Config{Nodetool: append([]string{"nodetool"}, args...)} }
	tests := []struct {
		what string
		c    Config
		key  string
		says string
	}{
		{"-pw", nodetool("-u", "me", "-pw", "hunter2"), "cassandra.nodetool", "cassandra.jmx.password_file"},
		{"-pw=", nodetool("-pw=hunter2"), "cassandra.nodetool", "cassandra.jmx.password_file"},
		{"--password", nodetool("--password", "hunter2"), "cassandra.nodetool", "cassandra.jmx.password_file"},
		{"--password=", nodetool("--password=hunter2"), "cassandra.nodetool", "cassandra.jmx.password_file"},
		{"a password in a shell's argument", Config{Nodetool: []string{"sh", "-c", "nodetool -u me -pw hunter2 \"$@\""}}, "cassandra.nodetool", "cassandra.jmx.password_file"},
		{"--ssl, which shows the stores' passwords", nodetool("--ssl"), "cassandra.nodetool", "cassandra.jmx.ssl"},
		{"the password of a store", nodetool("-Djavax.net.ssl.keyStorePassword=hunter2"), "cassandra.nodetool", "cassandra.jmx.ssl_properties"},
		{"a user without a password", Config{JMX: JMXConfig{Username: "me"}}, "cassandra.jmx.password_file", "USER PASSWORD"},
		{"a password without a user", Config{JMX: JMXConfig{PasswordFile: "/p"}}, "cassandra.jmx.username", "missing"},
		{"a port that is none", Config{JMX: JMXConfig{Port: 65536}}, "cassandra.jmx.port", "65536"},
		{"a user that nodetool takes for an option", Config{JMX: JMXConfig{Username: "-x", PasswordFile: "/p"}}, "cassandra.jmx.username", "dash"},
		{"a path that nodetool splits", Config{JMX: JMXConfig{Username: "me", PasswordFile: "/a b"}}, "cassandra.jmx.password_file", "blank"},
		{"properties of TLS without TLS", Config{JMX: JMXConfig{SSLProperties: "/p"}}, "cassandra.jmx.ssl", "not true"},
		{"a certificate without a key", Config{CQL: CQLConfig{CertFile: "/c"}}, "cassandra.cql.key_file", "cert_file"},
		{"a key without a certificate", Config{CQL: CQLConfig{KeyFile: "/k"}}, "cassandra.cql.cert_file", "key_file"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			tt.c.YAML = writeYAML(t, "data_file_directories: [/d]\n")
			_, err := New(tt.c, discard())
			e := configErrorOf(t, err)
			if e.Key != tt.key || !strings.Contains(e.Error(), tt.says) || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("key %s: %v", e.Key, e)
			}
		})
	}
}

func TestArgumentsThatOnlyLookLikePasswordsAreTaken(t *testing.T) {
	args := []string{"nodetool", "-pp", "-pwf", "/p", "--password-file=/p", "-Dcom.sun.jndi.rmiURLParsing=legacy", "-Djavax.net.ssl.trustStore=/t"}
	if err := checkNodetool(args); err != nil {
		t.Error(err)
	}
}

// reporter is a nodetool that writes its own command line and environment as the
// kernel has them, where every user could read the first, and fails.
func reporter(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nodetool")
	script := "#!/bin/sh\nfor f in cmdline environ; do tr '\\0' ' ' </proc/$$/$f; echo; done\nexit 3\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path, "-pp"}
}

func TestNoPasswordReachesTheCommandLineOrTheEnvironmentOfNodetool(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "jmx.password", "other hunter1\n me\thunter2\n")
	write(t, dir, "ssl", "-Djavax.net.ssl.keyStorePassword=hunter3\n")
	passwords, ssl := filepath.Join(dir, "jmx.password"), filepath.Join(dir, "ssl")
	t.Setenv(toolOptions, "-Xint")
	n := offline(t, Config{Nodetool: reporter(t), JMX: JMXConfig{Host: "127.0.0.2", Port: 7200, Username: "me",
		PasswordFile: passwords, SSL: true, SSLProperties: ssl}})
	e := commandError(t, n.Snapshot(t.Context(), "t1", "shop", "Quoted"))
	line, env, _ := strings.Cut(e.Output, "\n")
	want := " -pp -h 127.0.0.2 -p 7200 -u me -pwf " + passwords + " snapshot -t t1 shop Quoted"
	if !strings.HasSuffix(strings.TrimSpace(line), want) {
		t.Errorf("command line %q, want it to end with %q", line, want)
	}
	if !strings.Contains(env, toolOptions+"=-Xint -Dssl.enable=true @"+ssl) {
		t.Errorf("environment %q", env)
	}
	if strings.Contains(e.Output, "hunter") || strings.Contains(e.Error(), "hunter") {
		t.Errorf("a password is in %q", e.Output)
	}
	if !strings.Contains(e.Error(), "cassandra.jmx") {
		t.Errorf("message %q does not name cassandra.jmx", e)
	}
}

func TestOnlyNodetoolGetsTheOptionsOfTLS(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	n := offline(t, Config{Start: reporter(t), Nodetool: reporter(t), JMX: JMXConfig{SSL: true}})
	if e := commandError(t, n.StartCassandra(t.Context())); strings.Contains(e.Output, toolOptions) {
		t.Errorf("environment of the start command: %s", e.Output)
	}
	if e := commandError(t, n.ClearSnapshot(t.Context(), "t")); !strings.Contains(e.Output, toolOptions+"=-Dssl.enable=true ") {
		t.Errorf("environment of nodetool: %s", e.Output)
	}
}

func TestThePropertiesOfNodetoolItselfAreFound(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".cassandra"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".cassandra"), "nodetool-ssl.properties", "")
	n := offline(t, Config{Nodetool: reporter(t), JMX: JMXConfig{SSL: true}})
	e := commandError(t, n.ClearSnapshot(t.Context(), "t"))
	if !strings.Contains(e.Output, "@"+home+"/.cassandra/nodetool-ssl.properties") {
		t.Errorf("environment of nodetool: %s", e.Output)
	}
}

func TestThePasswordFileIsCheckedBeforeNodetoolRuns(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "first-line", "hunter2\n")
	write(t, dir, "other", "you hunter2\nme\n# me hunter2\n")
	write(t, dir, "large", strings.Repeat("you hunter2\n", maxPasswordFile/12)+"me hunter2\n")
	for name, says := range map[string]string{"absent": "no such file", "first-line": "no line", "other": "no line", "large": "larger"} {
		n := offline(t, Config{Nodetool: shell("touch " + dir + "/ran"), JMX: JMXConfig{Username: "me", PasswordFile: filepath.Join(dir, name)}})
		e := configErrorOf(t, n.Snapshot(t.Context(), "t"))
		if e.Key != "cassandra.jmx.password_file" || !strings.Contains(e.Error(), says) || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%s: %v", name, e)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nodetool ran: %v", err)
	}
}

func TestAFileWithPasswordsThatOthersMayReadIsWarnedOfOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "p", "me hunter2\n")
	for mode, warnings := range map[os.FileMode]int{0o600: 0, 0o400: 0, 0o640: 1, 0o604: 1} {
		if err := os.Chmod(filepath.Join(dir, "p"), mode); err != nil {
			t.Fatal(err)
		}
		n := offline(t, Config{Nodetool: shell("exit 0"), JMX: JMXConfig{Username: "me", PasswordFile: filepath.Join(dir, "p")}})
		var log bytes.Buffer
		n.log = slog.New(slog.NewTextHandler(&log, nil))
		for range 2 {
			if err := n.ClearSnapshot(t.Context(), "t"); err != nil {
				t.Error(err)
			}
		}
		if got := strings.Count(log.String(), "key=cassandra.jmx.password_file"); got != warnings || strings.Contains(log.String(), "hunter") {
			t.Errorf("mode %o: %d warnings in %q", mode, got, log.String())
		}
	}
}

func TestASnapshotTakesOnlyNamesOfKeyspaces(t *testing.T) {
	n := offline(t, Config{Nodetool: shell("exit 0")})
	for _, name := range []string{"", "-t", "a b", "a.b", "ä", strings.Repeat("a", 223)} {
		if n.Snapshot(t.Context(), "t", "shop", name) == nil {
			t.Errorf("keyspace %q reaches a command", name)
		}
	}
	if err := n.Snapshot(t.Context(), "t", "shop", "Quoted_1"); err != nil {
		t.Error(err)
	}
}

func TestTheReleaseIsReadOutOfWhatNodetoolSays(t *testing.T) {
	tests := []struct{ said, want string }{
		{"ReleaseVersion: 5.0.6", "5.0.6"},
		{"NOTE: Picked up JDK_JAVA_OPTIONS: -Dssl.enable=true\nReleaseVersion: 4.1.10-SNAPSHOT\n", "4.1.10-SNAPSHOT"},
		{"something else", ""},
	}
	for _, tt := range tests {
		n := offline(t, Config{Nodetool: shell("printf '%s' '" + tt.said + "'")})
		got, err := n.Release(t.Context())
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: release %q, error %v", tt.said, got, err)
		}
	}
}
