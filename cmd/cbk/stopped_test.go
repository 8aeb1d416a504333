package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// content is what files hold, by their paths below a data directory.
type content map[string]string

// only is what lies below one of some directories.
func (c content) only(dirs ...string) content {
	some := maps.Clone(c)
	maps.DeleteFunc(some, func(name, _ string) bool {
		return !slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(name, d) })
	})
	return some
}

// stoppedRig returns a rig of a node that is nothing but files: nobody listens where its cassandra.yaml says. Its
// repository is still to be made.
func stoppedRig(t testing.TB, files content) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	if err := errors.Join(os.Mkdir(r.path("data"), 0o755), os.Mkdir(r.path("commitlog"), 0o755)); err != nil {
		t.Fatal(err)
	}
	r.write("pass", "correct horse\n", 0o600)
	yaml := r.write("cassandra.yaml", fmt.Sprintf("cluster_name: Old Shop\ndata_file_directories: [%s]\ncommitlog_directory: %s\n"+
		"listen_address: 127.0.0.1\nrpc_address: 127.0.0.1\nstorage_port: %d\nnative_transport_port: %[3]d\n",
		r.path("data"), r.path("commitlog"), unusedPort(t)), 0o600)
	r.cfg = config{Repository: r.path("repo"), PassphraseFile: r.path("pass"), StateDir: r.path("state"),
		Cassandra: cassandraConfig{Config: yaml, Nodetool: []string{r.path("none")}}}
	r.save()
	r.place(files)
	return r
}

// unusedPort is one of 127.0.0.1 that nobody listens on.
func unusedPort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// place writes files into the data directory. They are as old as a backup wants files to be that it trusts.
func (r *rig) place(files content) {
	r.t.Helper()
	hourAgo := time.Now().Add(-time.Hour)
	for name, text := range files {
		to := filepath.Join(r.path("data"), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, []byte(text), 0o644), os.Chtimes(to, hourAgo, hourAgo)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// mustRestore restores a backup into a directory of its own and compares every byte.
func (r *rig) mustRestore(backup string, want content) {
	r.t.Helper()
	out := r.path("out-" + backup)
	restored := doc[restoreJSON](r, "restore", backup, "--to", out)
	got := make(map[string]string)
	collect(r.t, out, got, func(rel string) (string, bool) { return rel, true })
	if diff := cmp.Diff(map[string]string(want), got); diff != "" {
		r.t.Errorf("%s came back different (-want +got):\n%.2000s", backup, diff)
	}
	if restored.Files != len(want) || len(restored.Refused) > 0 || len(want) == 0 {
		r.t.Errorf("restored %d files of %d, refused %v", restored.Files, len(want), restored.Refused)
	}
}
