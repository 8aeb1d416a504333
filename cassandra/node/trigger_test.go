package node_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cbk/cassandra/cassandratest"
)

const triggerClass = `package audit;
public class Audit implements org.apache.cassandra.triggers.ITrigger {
  public java.util.Collection<org.apache.cassandra.db.Mutation> augment(org.apache.cassandra.db.partitions.Partition p) { return null; }
}
`

// triggersDir makes a directory with a jar that holds a trigger which does nothing.
func triggersDir(t *testing.T, version string) string {
	t.Helper()
	jars, err := cassandratest.Jars(version)
	if err != nil {
		t.Fatal(err)
	}
	work, dir := t.TempDir(), t.TempDir()
	source := filepath.Join(work, "Audit.java")
	if err := os.WriteFile(source, []byte(triggerClass), fs.FileMode(0o644)); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"javac", "--release", "11", "-proc:none", "-nowarn", "-cp", filepath.Join(jars, "*"), "-d", filepath.Join(work, "classes"), source},
		{"jar", "cf", filepath.Join(dir, "audit.jar"), "-C", filepath.Join(work, "classes"), "."},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", argv[0], err, out)
		}
	}
	return dir
}
