package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskFailsTheBackupAndRecordsNothing needs the right to mount; without it, it fails rather than be skipped.
func TestAFullDiskFailsTheBackupAndRecordsNothing(t *testing.T) {
	r := newRig(t)
	r.shop(1500) // about 2.5 MB in files that do not compress
	small := r.path("small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatalf("mount a small file system (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	r.cfg.Repository = small + "/repo"
	r.save()
	r.ok("init", "--pack-size", "1MiB")
	r.fails(1, []string{"full", "make room"}, "backup", "--name", "b")
	if names, left := r.names(), r.snapshots(); len(names) != 0 || len(left) != 0 {
		t.Errorf("backups %v, snapshots %v", names, left)
	}
	r.ok("check", "--read-data")
	// With room, the same name works.
	if err := unix.Mount("tmpfs", small, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	r.ok("backup", "--name", "b")
	r.ok("check", "--read-data")
}
