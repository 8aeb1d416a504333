package node

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const shippedYAML = `# Cassandra storage config YAML
cluster_name: 'Test Cluster'
num_tokens: 16
# allocate_tokens_for_keyspace: KEYSPACE
initial_token: 1,2
allocate_tokens_for_local_replication_factor: 3
authenticator:
  class_name : org.apache.cassandra.auth.PasswordAuthenticator
credentials_validity: 2000ms
# credentials_update_interval: 1000ms
credentials_cache_active_update: false
data_file_directories:
     - /var/lib/cassandra/data
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:7000"
server_encryption_options:
  internode_encryption: none
  keystore: conf/.keystore
  keystore_password: hunter2   # of the store
  #keystore_password_file: conf/keystore.pass
  truststore_password: "hun\"ter2"
  # truststore_password: hunter2
client_encryption_options: {enabled: true, keystore_password: 'hun''ter2', algorithm: SunX509}
transparent_data_encryption_options:
  key_provider:
    - class_name: org.apache.cassandra.security.JKSKeyProvider
      parameters:
        - keystore: conf/.keystore
          keystore_password: hunter2
          store_type: JCEKS
          key_password: &same hunter2
          again: {password: *same}
ssl_context_factory:
  class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  parameters:
    private_key: |
      -----BEGIN ENCRYPTED PRIVATE KEY-----
      hunter2
      -----END ENCRYPTED PRIVATE KEY-----
    private_key_password: hunter2
    auth_token: hunter2
    outbound_keystore_password:
    credentials:
      user: hunter2
      list: [hunter2, "hunter2"]
metrics_url: https://metrics:hunter2@example.org/push
password_validator:
  class_name: org.apache.cassandra.db.guardrails.CassandraPasswordValidator
`

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConfigFilesOfANode(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cassandra.yaml", "jvm17-server.options", "jvm-server.options", "cassandra-env.sh", "logback.xml",
		"cassandra-rackdc.properties", "cassandra-topology.properties", "commitlog_archiving.properties",
		"jmxremote.password", "cqlshrc", "cassandra.yaml.bak", "logback-tools.xml"} {
		write(t, dir, name, "# "+name+"\n")
	}
	write(t, dir, "jvm8.options", "#"+strings.Repeat("x", maxConfigFile))
	files, err := ConfigFiles(filepath.Join(dir, "cassandra.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range files {
		got[f.Name] = string(f.Text)
	}
	want := map[string]string{"jvm8.options": leftOut}
	for _, name := range []string{"cassandra.yaml", "jvm17-server.options", "jvm-server.options", "cassandra-env.sh", "logback.xml",
		"cassandra-rackdc.properties", "cassandra-topology.properties", "commitlog_archiving.properties"} {
		want[name] = "# " + name + "\n"
	}
	if diff := cmp.Diff(want, got); diff != "" || files[0].Name != "cassandra.yaml" {
		t.Errorf("first %s, (-want +got):\n%s", files[0].Name, diff)
	}
}

func TestAConfigFileThatCannotBeReadIsNamedAndTheOthersCome(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "cassandra.yaml", "a: b\n")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "logback.xml"), 0o700),
		os.Symlink("nowhere", filepath.Join(dir, "jvm-server.options"))); err != nil {
		t.Fatal(err)
	}
	files, err := ConfigFiles(filepath.Join(dir, "cassandra.yaml"))
	if len(files) != 1 || err == nil || !strings.Contains(err.Error(), "logback.xml") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d files, error %v", len(files), err)
	}
	if _, err := ConfigFiles(filepath.Join(dir, "absent", "cassandra.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: error %v", err)
	}
}

func TestSecretsOfCassandraYAMLAreMaskedAndNothingElse(t *testing.T) {
	n := offline(t, Config{})
	write(t, filepath.Dir(n.cfg.YAML), "cassandra.yaml", shippedYAML)
	files, err := n.ConfigFiles()
	if err != nil || len(files) != 1 {
		t.Fatal(len(files), err)
	}
	text := string(files[0].Text)
	want := strings.NewReplacer(`"hun\"ter2"`, masked, `'hun''ter2'`, masked, `"hunter2"`, masked,
		"|\n      -----BEGIN ENCRYPTED PRIVATE KEY-----\n      hunter2\n      -----END ENCRYPTED PRIVATE KEY-----", masked,
		"hunter2", masked).Replace(shippedYAML)
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := strings.Count(want, masked); files[0].Masked != want {
		t.Errorf("%d masked, want %d", files[0].Masked, want)
	}
	var y map[string]any
	if err := yaml.Unmarshal(files[0].Text, &y); err != nil {
		t.Errorf("it does not parse any more: %v", err)
	}
}

func TestSecretsAreMaskedInEveryFormOfText(t *testing.T) {
	tests := []struct {
		what, name, text, want string
		count                  int
	}{
		{"an option for the JVM", "jvm-server.options", "-Djavax.net.ssl.keyStorePassword=a b\n-Xss256k\n", "-Djavax.net.ssl.keyStorePassword=***\n-Xss256k\n", 1},
		{"one that is commented out", "jvm11-server.options", "#-Dx.y.password=a\n", "#-Dx.y.password=***\n", 1},
		{"the path of a password file is none", "jvm-server.options", "-Dcom.sun.management.jmxremote.password.file=/etc/p\n", "-Dcom.sun.management.jmxremote.password.file=/etc/p\n", 0},
		{"a token of the ring is none", "jvm-server.options", "-Dcassandra.initial_token=1\n#-Dcassandra.replace_token=2\n", "-Dcassandra.initial_token=1\n#-Dcassandra.replace_token=2\n", 0},
		{"a quoted variable of a script", "cassandra-env.sh", "export KEYSTORE_PASSWORD=\"a b\" X=1\n", "export KEYSTORE_PASSWORD=*** X=1\n", 1},
		{"an option in a string of a script", "cassandra-env.sh", `JVM_OPTS="$JVM_OPTS -Djavax.net.ssl.trustStorePassword=a,b;c -Xint"`, `JVM_OPTS="$JVM_OPTS -Djavax.net.ssl.trustStorePassword=*** -Xint"`, 1},
		{"an argument of a command", "commitlog_archiving.properties", "archive_command=put --password a %path\n", "archive_command=put --password *** %path\n", 1},
		{"a password in a URL", "commitlog_archiving.properties", "restore_command=curl https://u:p@h/x %to\n", "restore_command=curl https://u:***@h/x %to\n", 1},
		{"a property with blanks", "cassandra-rackdc.properties", "dc=dc1\ndb.password = a b \n", "dc=dc1\ndb.password = *** \n", 1},
		{"an element of XML", "logback.xml", "<smtp><password>a</password><host>h</host></smtp>", "<smtp><password>***</password><host>h</host></smtp>", 1},
		{"an attribute of XML", "logback.xml", `<smtp password="a" host="h"/>`, `<smtp password=*** host="h"/>`, 1},
		{"a file of another line end", "jvm-server.options", "-Da.secret=s\r\n-Db=c\r\n", "-Da.secret=***\r\n-Db=c\r\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, count := mask([]byte(tt.text), rulesOf(tt.name, false))
			want := strings.ReplaceAll(tt.want, "***", masked)
			if string(got) != want || count != tt.count {
				t.Errorf("%d masked in %q, want %q", count, got, want)
			}
		})
	}
}

func TestAYAMLThatDoesNotParseIsMaskedLineByLine(t *testing.T) {
	got, count := mask([]byte("a: [\nkeystore_password: hunter2 # x\n"), rulesOf("cassandra.yaml", true))
	if want := "a: [\nkeystore_password: " + masked + "\n"; string(got) != want || count != 1 {
		t.Errorf("%d masked: %q", count, got)
	}
}

func TestMaskOfASettingOfOurOwn(t *testing.T) {
	tests := []struct{ key, value, want string }{
		{"repository", "s3://bucket/path?region=x", "s3://bucket/path?region=x"},
		{"repository", "s3://k:s@bucket/path", "s3://k:" + masked + "@bucket/path"},
		{"kms", "hashivault://key?token=abc", "hashivault://key?token=" + masked},
		{"password_file", "/etc/p", "/etc/p"},
		{"password", "abc", masked},
		{"password", "", ""},
	}
	for _, tt := range tests {
		if got := Mask(tt.key, tt.value); got != tt.want {
			t.Errorf("%s: %s is shown as %s, want %s", tt.key, tt.value, got, tt.want)
		}
	}
	got := MaskCommand([]string{"nodetool", "-pw", "a", "-Dx.password=b", "--password", "c", "-pwf", "/d"})
	want := []string{"nodetool", "-pw", masked, "-Dx.password=" + masked, "--password", masked, "-pwf", "/d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// parses tells whether every document of a text does.
func parses(text string) bool {
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc yaml.Node
		if err := d.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func FuzzMaskingYAMLKeepsItYAML(f *testing.F) {
	f.Add(shippedYAML)
	f.Add("a: &x !!str b\npassword: *x\n")
	f.Add("? password\n: >-\n  a\n\n  b\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, count := mask([]byte(text), yamlSecrets)
		if count == 0 && string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
		// Comments, settings of shells, URLs, anchors and tags may stand inside a value.
		if !strings.ContainsAny(text, "#=/&!") && parses(text) && !parses(string(got)) {
			t.Errorf("%q became %q, which does not parse", text, got)
		}
	})
}
