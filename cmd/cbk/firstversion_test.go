package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"cbk/repo/store/storetest/server"
)

// thief holds all rights on the bucket of a rig's repository.
type thief struct {
	t      *testing.T
	s3     *s3.Client
	prefix string
}

// lockedRig returns a rig whose repository lies in a bucket with object lock, and who may do there whatever S3 allows.
func lockedRig(t *testing.T, files content) (*rig, *thief) {
	t.Helper()
	srv := server.MinIO(t, "")
	srv.Setenv(t)
	r := stoppedRig(t, files)
	r.cfg.Repository = srv.Path("backups") + "&lock_mode=compliance&lock_days=2"
	r.save()
	r.ok("init", "--pack-size", "1MiB")
	return r, &thief{t, srv.S3, "backups/"}
}

// names returns the names of the objects below a prefix as anybody sees them.
func (a *thief) names(prefix string) (names []string) {
	a.t.Helper()
	pages := s3.NewListObjectsV2Paginator(a.s3, &s3.ListObjectsV2Input{Bucket: aws.String("cbk"), Prefix: aws.String(a.prefix + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		for _, o := range page.Contents {
			names = append(names, strings.TrimPrefix(*o.Key, a.prefix))
		}
	}
	return names
}

func (a *thief) versions(prefix string) []types.ObjectVersion {
	a.t.Helper()
	out, err := a.s3.ListObjectVersions(a.t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("cbk"), Prefix: aws.String(a.prefix + prefix)})
	if err != nil || aws.ToBool(out.IsTruncated) {
		a.t.Fatal(err)
	}
	return out.Versions
}

// hide deletes without naming a version.
func (a *thief) hide(name string) {
	a.t.Helper()
	if _, err := a.s3.DeleteObject(a.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("cbk"), Key: aws.String(a.prefix + name)}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *thief) put(name string, data []byte) {
	a.t.Helper()
	_, err := a.s3.PutObject(a.t.Context(), &s3.PutObjectInput{Bucket: aws.String("cbk"), Key: aws.String(a.prefix + name), Body: bytes.NewReader(data)})
	if err != nil {
		a.t.Fatal(err)
	}
}

// destroy tries to delete versions for good, with and without the right to bypass governance, and to end their locks.
func (a *thief) destroy(all []types.ObjectVersion) {
	a.t.Helper()
	if len(all) < 8 {
		a.t.Fatalf("%d versions", len(all))
	}
	for _, v := range all {
		for _, bypass := range []bool{false, true} {
			if err := a.remove(v.Key, v.VersionId, bypass); err == nil {
				a.t.Errorf("%s was deleted, bypass %t", *v.Key, bypass)
			}
		}
		_, err := a.s3.PutObjectRetention(a.t.Context(), &s3.PutObjectRetentionInput{Bucket: aws.String("cbk"), Key: v.Key, VersionId: v.VersionId,
			BypassGovernanceRetention: aws.Bool(true), Retention: &types.ObjectLockRetention{}})
		if err == nil {
			a.t.Errorf("%s: its lock was removed", *v.Key)
		}
	}
}

func (a *thief) remove(key, version *string, bypass bool) error {
	_, err := a.s3.DeleteObject(a.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("cbk"), Key: key, VersionId: version, BypassGovernanceRetention: &bypass})
	return err
}

// undo removes what came after some versions.
func (a *thief) undo(honest []types.ObjectVersion) {
	a.t.Helper()
	out, err := a.s3.ListObjectVersions(a.t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("cbk")})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, m := range out.DeleteMarkers {
		err = errors.Join(err, a.remove(m.Key, m.VersionId, false))
	}
	for _, v := range out.Versions {
		if !slices.ContainsFunc(honest, func(h types.ObjectVersion) bool { return *h.VersionId == *v.VersionId }) {
			_ = a.remove(v.Key, v.VersionId, false) // records of checks are locked
		}
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// Whoever has all rights on a bucket in compliance mode can hide backups, and neither remove nor change one before its
// time.
func TestALockedBucketGivesBackWhatAThiefDestroyed(t *testing.T) {
	files := realFiles(t, "flush", "lz4_16")
	r, a := lockedRig(t, files)
	r.offline("monday")
	r.offline("tuesday")
	honest := a.versions("")
	for _, attack := range []struct {
		name string
		do   func(*thief)
		exit int // of check without first versions
	}{
		{"deletes every object", func(a *thief) {
			for _, name := range a.names("") {
				a.hide(name)
			}
		}, exitNoRepo},
		{"writes over every object", func(a *thief) {
			for _, name := range a.names("") {
				a.put(name, []byte("ransom"))
			}
		}, exitDamage},
		{"writes over packs and deletes them and writes again", func(a *thief) {
			for _, name := range a.names("packs/") {
				a.put(name, []byte("ransom"))
				a.hide(name)
				a.put(name, bytes.Repeat([]byte("x"), 1<<20))
			}
		}, exitDamage},
		{"deletes packs and the index", func(a *thief) {
			for _, name := range slices.Concat(a.names("packs/"), a.names("index/")) {
				a.hide(name)
			}
		}, exitDamage},
		{"deletes the older backup", func(a *thief) {
			roots := a.names("snapshots/")
			if len(roots) != 2 {
				a.t.Fatal(roots)
			}
			slices.SortFunc(roots, func(x, y string) int {
				return a.versions(x)[0].LastModified.Compare(*a.versions(y)[0].LastModified)
			})
			a.hide(roots[0])
		}, exitDamage},
	} {
		t.Run(attack.name, func(t *testing.T) {
			r, a := *r, *a
			r.t, a.t = t, t
			attack.do(&a)
			a.destroy(honest)
			if err := os.RemoveAll(r.path("state")); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := r.run("check", "--read-data", "--no-record")
			if code != attack.exit || !strings.Contains(stdout+stderr, "cbk check --first-version") {
				t.Errorf("check: exit %d\n%s%s", code, stdout, stderr)
			}
			found := doc[checkJSON](&r, "check", "--read-data", "--first-version")
			if !found.OK || !found.First || found.Record != "" || found.BytesRead == 0 {
				t.Errorf("check by first versions: %+v", found)
			}
			t.Setenv("CBK_FIRST_VERSION", "true")
			if diff := cmp.Diff([]string{"monday", "tuesday"}, r.names()); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
			for _, backup := range r.names() {
				r.mustRestore(backup, files)
				if err := os.RemoveAll(r.path("out-" + backup)); err != nil {
					t.Fatal(err)
				}
			}
			a.undo(honest)
		})
	}
	t.Setenv("CBK_FIRST_VERSION", "true")
	r.fails(exitUsage, []string{"backup changes the repository"}, "backup", "--name", "wednesday")
}

// Who may write can take a name before cbk does. By first versions that is what there is, and it passes for nothing: it is
// not as its author signed it.
func TestANameTakenBeforeCbkWroteItPassesForNothing(t *testing.T) {
	r, a := lockedRig(t, realFiles(t, "flush", "lz4_16"))
	r.offline("monday")
	next := fmt.Sprintf("trust/%d", len(a.names("trust/"))+1)
	a.put(next, []byte("squatted"))
	r.fails(exitDamage, []string{next}, "list")
	a.hide(next)
	r.ok("key", "export", "--role", "reader") // a statement in its place
	if diff := cmp.Diff([]string{"monday"}, r.names()); diff != "" {
		t.Errorf("by the newest versions (-want +got):\n%s", diff)
	}
	if err := os.RemoveAll(r.path("state")); err != nil {
		t.Fatal(err)
	}
	r.fails(exitDamage, []string{next, "if somebody wrote under that name before cbk did"}, "list", "--first-version")
}

func TestFirstVersionsOfADirectoryAreRefused(t *testing.T) {
	r := stoppedRig(t, content{"x": "y"})
	r.ok("init")
	r.fails(exitUsage, []string{"first-version-unsupported"}, "list", "--first-version")
	r.cfg.FirstVersion = true
	r.save()
	r.fails(exitUsage, []string{"first-version-unsupported"}, "check")
	r.fails(exitUsage, []string{"usage", "purge changes the repository"}, "purge", "--keep-last", "1")
	if got := r.ok("config", "show", "--origin"); !strings.Contains(got, "first_version") || !strings.Contains(got, "true") {
		t.Error(got)
	}
	if got := r.ok("config", "show", "--origin", "--first-version=false"); !strings.Contains(got, "flag --first-version") {
		t.Error(got)
	}
}
