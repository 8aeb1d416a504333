package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// lock is when the lock of the oldest version of an object ends.
func (a *thief) lock(name string) time.Time {
	a.t.Helper()
	all := a.versions(name)
	if len(all) == 0 {
		a.t.Fatalf("no version of %s", name)
	}
	oldest := all[len(all)-1]
	got, err := a.s3.GetObjectRetention(a.t.Context(), &s3.GetObjectRetentionInput{Bucket: aws.String("cbk"), Key: oldest.Key, VersionId: oldest.VersionId})
	if err != nil {
		a.t.Fatal(err)
	}
	return aws.ToTime(got.Retention.RetainUntilDate)
}

// locks are the ends of the locks of the objects below a prefix.
func (a *thief) locks(prefix string) map[string]time.Time {
	a.t.Helper()
	ends := map[string]time.Time{}
	for _, v := range a.versions(prefix) {
		name := strings.TrimPrefix(*v.Key, a.prefix)
		ends[name] = a.lock(name)
	}
	return ends
}

// plant puts a backup without a Cassandra into the rig's repository, see parsePlanted.
func (r *rig) plant(fields ...string) {
	r.t.Helper()
	p, err := parsePlanted(fields, time.Now().UTC())
	if err == nil {
		err = p.commit(r.t.Context(), r.cfg.Repository, "a")
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// A backup inside its lock is neither deleted nor purged; gc extends the locks of what the policy keeps, hidden or not.
func TestTheKeeperKeepsToLocksAndExtendsThem(t *testing.T) {
	r, a := lockedRig(t, nil)
	r.plant("monday", "at=-0.2d")
	monday := a.names("snapshots/")[0]
	r.plant("tuesday", "at=-0.1d")
	r.ok("check") // leaves a record

	until := clock(a.lock(monday))
	r.fails(exitRefused, []string{"locked", "monday is locked by the store until " + until}, "delete", "monday", "--yes")
	plan := doc[purgeJSON](r, "purge", "--keep-last", "1", "--yes")
	if why := strings.Join(plan.Backups[0].Why, ", "); len(plan.Deleted) > 0 || why != "under object lock until "+until {
		t.Errorf("purge of what is locked: %q, because %q", plan.Deleted, why)
	}
	if got := a.names("snapshots/"); len(got) != 2 {
		t.Errorf("roots: %q", got)
	}

	// All locks end within almost all of their time.
	const window = "47h59m59s"
	before := a.locks("")
	would := doc[gcJSON](r, "gc", "--dry-run", "--lock-window", window)
	if would.Locks == nil || would.Locks.Extended == 0 || a.lock(monday) != before[monday] {
		t.Fatalf("rehearsed: %+v", would.Locks)
	}
	r.fails(exitUsage, []string{"--lock-window"}, "gc", "--lock-window", "48h")
	if off := doc[gcJSON](r, "gc", "--lock-window", window, "--no-extend-locks"); off.Locks != nil {
		t.Errorf("extended although asked not to: %+v", off.Locks)
	}
	r.cfg.Retention.KeepLast = 1
	r.save()
	a.hide(a.names("checks/")[0]) // its genuine version is extended all the same
	did := doc[gcJSON](r, "gc", "--lock-window", window)
	if did.Locks == nil || did.Locks.Failed > 0 || did.Locks.Extended < would.Locks.Extended-1 || did.Locks.First == nil {
		t.Errorf("rehearsed %+v, did %+v", would.Locks, did.Locks)
	}
	for name, end := range before {
		longer := a.lock(name).After(end)
		gone := strings.HasPrefix(name, "pending/") || name == monday // which the policy gives up
		if longer == gone {
			t.Errorf("%s: lock extended: %t", name, longer)
		}
	}
	calm := doc[gcJSON](r, "gc")
	if calm.Locks == nil || calm.Locks.Extended > 0 || calm.Locks.Asked >= calm.Locks.Needed/2 || calm.Locks.Needed < 8 {
		t.Errorf("the next run: %+v", calm.Locks)
	}
	if _, out, _ := r.run("doctor"); !strings.Contains(out, "new objects locked for 2d as the URL says, in compliance mode") {
		t.Errorf("doctor: %s", out)
	}
}

// What is deleted from a bucket with versions takes room as before, and nobody says that it was freed.
func TestWhatVersionsKeepIsNotFreed(t *testing.T) {
	r, a := lockedRig(t, realFiles(t, "flush", "lz4_16"))
	r.cfg.Repository = strings.Split(strings.Replace(r.cfg.Repository, "backups", "plain", 1), "&lock_mode")[0]
	r.save()
	a.prefix = "plain/"
	r.ok("init", "--pack-size", "1MiB")
	r.offline("monday")
	var bytes int64
	packs := a.versions("packs/")
	for _, v := range packs {
		bytes += *v.Size
	}
	r.ok("delete", "monday", "--yes")
	got := doc[gcJSON](r, "gc", "--grace", "0s", "--min-age", "0s")
	if got.Deleted != len(packs) || got.BytesFreed != 0 || got.BytesInVersions != bytes || bytes == 0 || got.Locks != nil {
		t.Errorf("%+v, want %d bytes in versions", got, bytes)
	}
	if left := a.versions("packs/"); len(left) != len(packs) || len(a.names("packs/")) != 0 {
		t.Errorf("%d versions of packs, %d before", len(left), len(packs))
	}
	if _, out, _ := r.run("doctor"); !strings.Contains(out, "are kept, but not locked") {
		t.Errorf("doctor: %s", out)
	}
	r.ok("check", "--first-version")
}
