package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A node holds nothing but a writer's key file: it backs up, finds what it stored, and cannot read it; whoever restores
// has a reader's. The local state may go between any two commands.
func TestANodeWithAWritersKeyBacksUpAndAReaderRestores(t *testing.T) {
	r := newRig(t)
	r.shop(800)
	writer := r.write("writer.key", r.writer(), 0o600)
	reader := r.write("reader.key", r.ok("key", "export", "--role", "reader"), 0o600)
	keeper := r.write("keeper.key", r.ok("key", "export", "--role", "keeper"), 0o600)
	forget := func() {
		t.Helper()
		if err := os.RemoveAll(r.path("state")); err != nil {
			t.Fatal(err)
		}
	}
	first := doc[backupJSON](r, "backup", "--name", "one", "--key-file", writer)
	one := r.dump()
	forget()
	again := doc[backupJSON](r, "backup", "--name", "two", "--key-file", writer)
	if again.BytesNew*2 > first.BytesNew {
		t.Errorf("without its local state a writer stores %d bytes anew, %d the first time", again.BytesNew, first.BytesNew)
	}
	r.fails(12, []string{"not-allowed", "a writer key cannot restore backups"}, "restore", "one", "--to", r.path("out"), "--key-file", writer)
	r.fails(12, []string{"not-allowed"}, "delete", "one", "--yes", "--key-file", writer)
	r.fails(2, []string{"duplicate-name"}, "backup", "--name", "one", "--key-file", writer)
	r.fails(2, []string{"usage", "the key file is for node-1"}, "backup", "--name", "three", "--node", "node-2", "--key-file", writer)

	forget()
	r.ok("check", "--key-file", keeper, "--read-data")
	forget()
	r.ok("delete", "two", "--yes", "--key-file", keeper)
	forget()
	r.ok("gc", "--key-file", keeper, "--grace", "0s", "--min-age", "0s")
	forget()
	if diff := cmp.Diff([]string{"one"}, r.names()); diff != "" {
		t.Fatal(diff)
	}
	r.truncate()
	forget()
	r.ok("key", "rotate", "--retire")
	forget()
	r.ok("restore", "one", "--in-place", "--yes", "--key-file", reader)
	if diff := cmp.Diff(one, r.dump()); diff != "" {
		t.Errorf("one did not come back row by row (-want +got):\n%s", diff)
	}
	forget()
	r.ok("check", "--key-file", reader, "--read-data")

	id := keyOf(r, "writer")
	r.ok("key", "revoke", id, "--yes")
	r.fails(12, []string{"revoked"}, "backup", "--name", "four", "--key-file", writer)
	if diff := cmp.Diff([]string{"one"}, r.names()); diff != "" {
		t.Errorf("a revocation took backups with it: %s", diff)
	}
}

// keyOf returns the id of the newest key of a role.
func keyOf(r *rig, role string) (id string) {
	r.t.Helper()
	for _, k := range doc[keysJSON](r, "key", "list").Keys {
		if k.Role == role {
			id = k.Key
		}
	}
	return id
}
