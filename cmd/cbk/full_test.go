package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A full backup stands alone: with config, keys and trust log it is listed, checked and restored where nothing else of the
// repository is left, also after a rotation that destroyed the old seal key.
func TestAFullBackupOfARealNodeStandsAlone(t *testing.T) {
	r := newRig(t)
	r.shop(500)
	r.ok("backup", "--name", "daily")
	made := doc[backupJSON](r, "backup", "--name", "weekly", "--mode", "full", "--keep-snapshot")
	if made.Mode != "full" || made.PacksCopied+made.Repacked == 0 {
		t.Errorf("%+v", made)
	}
	defer r.nodetool("clearsnapshot", "-t", made.SnapshotLeft)
	r.ok("key", "rotate", "--retire")
	r.ok("check", "--read-data")
	r.saveOnly("config", "keys", "trust", "full")
	if out := r.ok("list"); !strings.Contains(out, "weekly") || strings.Contains(out, "daily") {
		t.Errorf("list:\n%s", out)
	}
	r.ok("check", "--read-data")
	if got := doc[restoreJSON](r, "restore", "weekly", "--to", r.path("out")); got.Files != made.Files || len(got.Refused) > 0 {
		t.Errorf("restored %d files of %d", got.Files, made.Files)
	}
	r.mustBeSnapshot(r.path("out"), made)
}

// saveOnly copies some of the repository to another place, which it makes the repository of the rig.
func (r *rig) saveOnly(parts ...string) {
	r.t.Helper()
	all := make(map[string]string)
	collect(r.t, r.cfg.Repository, all, func(rel string) (string, bool) {
		first, _, _ := strings.Cut(rel, "/")
		return rel, slices.Contains(parts, first)
	})
	for name, content := range all {
		to := filepath.Join(r.path("saved"), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, []byte(content), 0o600)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.cfg.Repository = r.path("saved")
	r.save()
}
