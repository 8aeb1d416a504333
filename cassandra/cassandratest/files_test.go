package cassandratest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeJava makes a Java that writes the arguments that follow its options.
func fakeJava(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(home+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"
	if err := os.WriteFile(home+"/bin/java", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_HOME", home)
}

func written(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := New(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func TestNodetoolTakesOptionsForJavaFirstAndAPortOfItsOwn(t *testing.T) {
	fakeJava(t)
	n := written(t, Options{}).Nodes[0]
	port := n.Config().Nodetool[4]
	tests := []struct {
		what         string
		args         []string
		first, after []string
	}{
		{"the node's port where none is given", []string{"status"}, nil, []string{"-h", "127.0.0.1", "-p", port, "status"}},
		{"the port that is given", []string{"-h", "::1", "-p", "7199", "status"}, nil, []string{"-h", "::1", "-p", "7199", "status"}},
		{"options for Java", []string{"-Da=1", "-Db=2", "info", "-T"}, []string{"-Da=1", "-Db=2"}, []string{"-h", "127.0.0.1", "-p", port, "info", "-T"}},
		{"words with blanks", []string{"import", "a b"}, nil, []string{"-h", "127.0.0.1", "-p", port, "import", "a b"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got := strings.Split(strings.TrimSuffix(run(t, n.Bin("nodetool"), tt.args...), "\n"), "\n")
			class := slices.Index(got, "org.apache.cassandra.tools.NodeTool")
			if diff := cmp.Diff(tt.after, got[class+1:]); class < 0 || diff != "" {
				t.Errorf("class at %d, arguments (-want +got):\n%s", class, diff)
			}
			if !slices.Equal(tt.first, got[:len(tt.first)]) {
				t.Errorf("options for Java %q", got[:len(tt.first)+1])
			}
		})
	}
}

func TestEveryToolRunsItsClass(t *testing.T) {
	fakeJava(t)
	n := written(t, Options{}).Nodes[0]
	for name, class := range tools {
		if out := run(t, n.Bin(name), "last"); !strings.HasSuffix(out, "org.apache.cassandra.tools."+class+"\nlast\n") {
			t.Errorf("%s runs %s", name, out)
		}
	}
}

func TestTheFilesOfANodeFitItsConfig(t *testing.T) {
	c := written(t, Options{Nodes: 2, DataDirs: 3, Cluster: "Two Words", Auth: true, LocalSystem: true, AutoSnapshot: true, ExtraYAML: []string{"a: 1", "b: 2"}})
	for _, n := range c.Nodes {
		client, err := n.client()
		if err != nil {
			t.Fatal(err)
		}
		l := client.Layout()
		want := []string{n.path("data/data"), n.path("data/data2"), n.path("data/data3"), n.path("data/local")}
		if diff := cmp.Diff(want, l.DataDirs); diff != "" || l.ClusterName != "Two Words" {
			t.Errorf("cluster %q, data directories (-want +got):\n%s", l.ClusterName, diff)
		}
		yaml, err := os.ReadFile(n.YAML())
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"authenticator: PasswordAuthenticator", "auto_snapshot: true", "a: 1", "b: 2", "listen_address: " + n.Address} {
			if !slices.Contains(strings.Split(string(yaml), "\n"), line) {
				t.Errorf("no line %q", line)
			}
		}
		password, err := os.ReadFile(n.Config().CQL.PasswordFile)
		if err != nil || string(bytes.TrimSpace(password)) != superPassword {
			t.Errorf("password %q, %v", password, err)
		}
	}
}

func TestEachJavaHasAnArchiveOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one/bin", "two/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "java"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	one, two := javaID(dir+"/one/bin/java"), javaID(dir+"/two/bin/java")
	if bytes.Equal(one, two) {
		t.Error("two installations have one archive")
	}
	if err := os.WriteFile(dir+"/one/release", []byte("JAVA_VERSION=17.0.1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one, javaID(dir+"/one/bin/java")) {
		t.Error("an upgraded Java keeps its archive")
	}
	if err := os.Symlink("one/bin/java", dir+"/java"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(javaID(dir+"/one/bin/java"), javaID(dir+"/java")) {
		t.Error("a link to a Java has an archive of its own")
	}
}
