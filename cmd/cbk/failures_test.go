package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wrapNodetool puts a script before the real nodetool, which it finds in $NODETOOL; $1 is "snapshot" or "clearsnapshot"
// once the connection arguments are gone, and $TAG the tag.
func (r *rig) wrapNodetool(body string) {
	r.t.Helper()
	k := r.node.Config()
	quoted := "'" + strings.Join(k.Nodetool, "' '") + "'"
	r.cfg.Cassandra.Nodetool = []string{r.write("nodetool", "#!/bin/sh\nset -u\nnodetool() { "+quoted+" \"$@\"; }\nTAG=${3:-}\n"+body, 0o755)}
	r.save()
}

// onSnapshot runs body instead of nodetool snapshot and leaves the other commands alone.
func (r *rig) onSnapshot(body string) {
	r.wrapNodetool("if [ \"$1\" != snapshot ]; then nodetool \"$@\"; exit $?; fi\n" + body)
}

func TestAFailedSnapshotIsNoBackup(t *testing.T) {
	for _, c := range []struct {
		name, script, says, shown string
		exit                      int
	}{
		{"nodetool exits non-zero", "echo 'disk is on fire' >&2; exit 3", "command-failed", "| disk is on fire", 1},
		{"nodetool succeeds and does nothing", "exit 0", "the snapshot lacks", "", 1},
		{"nodetool leaves a table out", `nodetool "$@" && rm -r DATA/shop/customers-*/snapshots/$TAG`, "shop.customers", "", 1},
		{"nodetool makes the snapshot and then fails", `nodetool "$@"; echo half >&2; exit 1`, "command-failed", "| half", 1},
		{"a table's directory holds a stranger", `nodetool "$@" && touch DATA/shop/customers-*/snapshots/$TAG/core.1234`, "core.1234", "", 1},
		{"a component is a link", `nodetool "$@" && cd DATA/shop/customers-*/snapshots/$TAG && f=$(ls *-Data.db | head -1) && rm "$f" && ln -s /etc/passwd "$f"`, "Data.db", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.shop(20)
			r.onSnapshot(strings.ReplaceAll(c.script, "DATA", r.dataDirs()[0]))
			stderr := r.fails(c.exit, []string{c.says}, "backup", "--name", "b")
			if !strings.Contains(stderr, c.shown) {
				t.Errorf("the tool's own output %q is not shown:\n%s", c.shown, stderr)
			}
			if names := r.names(); len(names) != 0 {
				t.Errorf("a backup was recorded: %v", names)
			}
			if left := r.snapshots(); len(left) != 0 {
				t.Errorf("the snapshot was not cleared: %v", left)
			}
			r.ok("check", "--read-data")
		})
	}
}

func TestABackupWhoseSnapshotCannotBeClearedSaysSo(t *testing.T) {
	r := newRig(t)
	r.wrapNodetool(`if [ "$1" = clearsnapshot ] && [ ! -e ` + r.path("heal") + ` ]; then exit 7; fi; nodetool "$@"`)
	_, stdout, stderr := r.run("backup", "--name", "b", "--json")
	var b backupJSON
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.SnapshotLeft == "" || !strings.Contains(stderr, "still there") {
		t.Fatalf("%v: snapshot_left %q\n%s", err, b.SnapshotLeft, stderr)
	}
	r.write("heal", "", 0o600)
	r.ok("backup", "--name", "c") // clears what the first one left
	if left := r.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %v", left)
	}
}

func TestBackupWithoutCassandraIsOneLineAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.cfg.Cassandra.CQL.Port = 1
	r.save()
	r.fails(1, []string{"cannot reach CQL"}, "backup")
	r.cfg.Cassandra.CQL.Port = r.node.Config().CQL.Port
	r.cfg.Cassandra.Nodetool = []string{"/nonexistent/nodetool"}
	r.save()
	r.fails(1, []string{"/nonexistent/nodetool"}, "backup")
	if names := r.names(); len(names) != 0 {
		t.Errorf("recorded %v", names)
	}
}

// big adds an SSTable of size bytes, random and made only here, to every snapshot that is taken.
func (r *rig) big(size int) { r.bigOf("lb", size) }

func (r *rig) bigOf(version string, size int) {
	r.t.Helper()
	content := make([]byte, size)
	rand.Read(content)
	file := r.write("big", string(content), 0o600)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		r.t.Fatal(err)
	}
	r.addSSTableOf(version, "cp -p "+file)
}

// addSSTableOf has put, a command that takes a path, bring a Data.db into every snapshot that is taken. The components beside
// it are those of another SSTable, so that nothing is missing, and checks look into no version of before 3.0. Keyspace and
// table have one directory, which echo resolves.
func (r *rig) addSSTableOf(version, put string) {
	r.t.Helper()
	name := version + "-987654-big-"
	r.onSnapshot(fmt.Sprintf(`nodetool "$@" && cd "$(echo %[1]s/shop/files-*/snapshots/$TAG)" || exit 1
f=$(ls *-Statistics.db | head -1)
%[2]s %[3]sData.db && cp "$f" %[3]sStatistics.db &&
cp "${f%%Statistics.db}Index.db" %[3]sIndex.db && echo Data.db >%[3]sTOC.txt`, r.dataDirs()[0], put, name))
}

func TestAKilledBackupIsNoneAndTheNextReusesWhatItUploaded(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	const size = 100 << 20
	r.big(size)
	cmd := r.command("backup", "--name", "b")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shards := filepath.Join(r.path("repo"), "index", "*", "*")
	for found, _ := filepath.Glob(shards); len(found) == 0; found, _ = filepath.Glob(shards) {
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the backup ended before it was killed")
	}
	if names := r.names(); len(names) != 0 {
		t.Fatalf("a killed backup is listed: %v", names)
	}
	r.ok("check", "--read-data")
	got := doc[backupJSON](r, "backup", "--name", "b")
	if got.BytesNew > size-8<<20 { // at least one shard was there, of 16 packs of at most 1 MiB
		t.Errorf("%d of %d bytes were stored again", got.BytesNew, size)
	}
	if left := r.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left, that of the killed backup among them: %v", left)
	}
	r.ok("check", "--read-data")
}

func TestAnInterruptedBackupKeepsWhatItUploadedAndClearsUp(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	const size = 100 << 20
	r.big(size)
	cmd := r.command("backup", "--name", "b")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	packs := filepath.Join(r.path("repo"), "packs", "*", "*")
	for found, _ := filepath.Glob(packs); len(found) < 5; found, _ = filepath.Glob(packs) {
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("ended with %v\n%s", err, stderr.String())
	}
	if names, left := r.names(), r.snapshots(); len(names) != 0 || len(left) != 0 {
		t.Fatalf("backups %v, snapshots %v", names, left)
	}
	if got := doc[backupJSON](r, "backup", "--name", "b"); got.BytesNew > size-(4<<20) {
		t.Errorf("%d of %d bytes were stored again", got.BytesNew, size)
	}
}

func TestTwoBackupsWithOneStateDirectoryDoNotMix(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.onSnapshot("touch " + r.path("running") + "; sleep 3; nodetool \"$@\"")
	first := r.command("backup", "--name", "a")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for _, err := os.Stat(r.path("running")); err != nil; _, err = os.Stat(r.path("running")) {
		time.Sleep(10 * time.Millisecond)
	}
	r.fails(1, []string{"busy", "in use by another process"}, "backup", "--name", "b")
	r.ok("list") // readers are not kept out
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	r.fails(2, []string{"duplicate-name"}, "backup", "--name", "a")
}

// flip changes one byte in the middle of a file.
func flip(t *testing.T, file string, at func(size int64) int64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	b[at(int64(len(b)))] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func middle(size int64) int64 { return size / 2 }

// largest returns the largest file that matches.
func largest(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return slices.MaxFunc(found, func(a, b string) int {
		x, errX := os.Stat(a)
		y, errY := os.Stat(b)
		if err := errors.Join(errX, errY); err != nil {
			t.Fatal(err)
		}
		return int(x.Size() - y.Size())
	})
}

func TestOneFlippedByteIsNamedWithAllItHits(t *testing.T) {
	r := newRig(t)
	r.shop(1500)
	r.ok("backup", "--name", "one")
	r.ok("backup", "--name", "two")
	for _, c := range []struct{ name, pattern, hit string }{
		{"pack", "packs/*/*", `"component":"nb-`},
		{"shard", "index/*/*", `"backup":"one"`},
		{"root", "snapshots/*/*", `"object":"snapshots/`},
		{"slot", "keys/*", `"object":"keys/`},
		{"config", "config", `"object":"config"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t: t, node: r.node, dir: r.dir, cfg: r.cfg}
			copied := t.TempDir()
			if out, err := exec.Command("cp", "-a", r.path("repo")+"/.", copied).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			flip(t, largest(t, filepath.Join(copied, c.pattern)), middle)
			code, stdout, stderr := r.run("check", "--read-data", "--json", "--repo", copied)
			if code != 4 || !strings.Contains(stdout, c.hit) || !strings.Contains(stdout, `"ok":false`) {
				t.Fatalf("exit %d, no %s in\n%s%s", code, c.hit, stdout, stderr)
			}
			if c.name != "pack" {
				return
			}
			var rep checkJSON
			if err := json.Unmarshal([]byte(stdout), &rep); err != nil {
				t.Fatal(err)
			}
			hit := rep.Damage[0].Hits[0]
			code, stdout, stderr = r.run("restore", hit.Backup, "--to", filepath.Join(t.TempDir(), "out"), "--repo", copied, "--json")
			if code != 4 || !strings.Contains(stdout, `"component":"`+hit.Component) {
				t.Fatalf("restore: exit %d, %s not refused\n%s%s", code, hit.Component, stdout, stderr)
			}
			r.fails(4, []string{"damage"}, "restore", hit.Backup, "--in-place", "--yes", "--repo", copied)
			if rows := r.dump()["customers"]; len(rows) != 1500 {
				t.Errorf("a refused restore touched the node: %d customers", len(rows))
			}
		})
	}
}

func TestAKilledRestoreLeavesTheOldDataAndTheNextOneSaysWhere(t *testing.T) {
	r := newRig(t)
	r.shop(300)
	r.ok("backup", "--name", "b")
	real := r.cfg.Cassandra
	defer func() {
		r.cfg.Cassandra = real
		if err := r.node.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}()

	// Killed while Cassandra is being started: the old files have moved.
	r.cfg.Cassandra.Start = []string{r.write("start", "#!/bin/sh\ntouch "+r.path("starting")+"\nsleep 60\n", 0o755)}
	r.save()
	cmd := r.command("restore", "b", "--in-place", "--yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, err := os.Stat(r.path("starting")); err != nil; _, err = os.Stat(r.path("starting")) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := errors.Join(cmd.Process.Kill(), ignoreExit(cmd.Wait())); err != nil {
		t.Fatal(err)
	}
	exec.Command("pkill", "-f", r.path("start")).Run()
	// Another restore waits for its end; the same one goes on.
	r.ok("backup", "--name", "c", "--offline")
	r.fails(1, []string{"unfinished-restore", "interrupted in phase", "--rollback"}, "restore", "c", "--in-place", "--yes")
	r.cfg.Cassandra = real
	r.save()
	out := r.ok("restore", "b", "--in-place", "--yes")
	if !strings.Contains(out, "which was interrupted in phase start") {
		t.Errorf("it began anew:\n%s", out)
	}
	if rows := r.dump()["customers"]; len(rows) != 300 {
		t.Errorf("%d customers after the interrupted restore", len(rows))
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(r.dataDirs()[0]), "cbk-before-*", "data", "shop", "customers-*", "*-Data.db"))
	if err != nil || len(old) == 0 {
		t.Errorf("the old data: %v, %v", old, err)
	}
}

// ignoreExit passes errors other than the exit of a killed process.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

func TestARestoreKilledWhileFetchingGoesOnOrIsGivenUp(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.bigOf("nb", 200<<20)
	r.ok("backup", "--name", "b")
	cmd := r.command("restore", "b", "--in-place", "--yes")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	staging := filepath.Join(filepath.Dir(r.dataDirs()[0]), "cbk-restore-*", "*", "shop", "*", "*.cbk-part")
	for found, _ := filepath.Glob(staging); len(found) == 0; found, _ = filepath.Glob(staging) {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it was killed: %v\n%s", err, &said)
		case <-time.After(time.Millisecond):
		}
	}
	if err := errors.Join(cmd.Process.Kill(), ignoreExit(<-ended)); err != nil {
		t.Fatal(err)
	}
	if rows := r.dump()["customers"]; len(rows) != 20 {
		t.Fatalf("%d customers: the node was touched", len(rows))
	}
	staged := filepath.Join(filepath.Dir(r.dataDirs()[0]), "cbk-restore-*")
	if left, _ := filepath.Glob(staged); len(left) != 1 {
		t.Fatalf("staging: %v", left)
	}
	// The next one goes on with that, and where Cassandra cannot be stopped, it can be given up.
	r.cfg.Cassandra.Stop = []string{"false"}
	r.save()
	r.fails(1, []string{"nothing was moved"}, "restore", "b", "--in-place", "--yes")
	if left, _ := filepath.Glob(staged); len(left) != 1 {
		t.Errorf("staging: %v", left)
	}
	r.ok("restore", "--rollback", "--yes")
	if left, _ := filepath.Glob(staged); len(left) != 0 {
		t.Errorf("staging left: %v", left)
	}
	if rows := r.dump()["customers"]; len(rows) != 20 {
		t.Errorf("%d customers: the node was touched", len(rows))
	}
}
