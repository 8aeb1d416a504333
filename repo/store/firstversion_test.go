package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cbk/repo/store"
	"cbk/repo/store/storetest/server"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// overwrite does what cbk never does: it puts other bytes under a taken name.
func overwrite(t *testing.T, srv server.Store, key, text string) {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String("cbk"), Key: &key, Body: strings.NewReader(text)}
	if _, err := srv.S3.PutObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// hide puts a delete marker over an object.
func hide(t *testing.T, srv server.Store, key string) {
	t.Helper()
	if _, err := srv.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("cbk"), Key: &key}); err != nil {
		t.Fatal(err)
	}
}

func testFirstVersions(t *testing.T, srv server.Store) {
	now := open(t, srv.Path("first"), store.Options{})
	defer now.Close()
	want := map[string]string{}
	for n := 1; n <= 12; n++ { // trust/1 begins trust/10 to trust/12
		name := fmt.Sprintf("trust/%d", n)
		want[name] = "genuine " + name
		if err := now.Create(t.Context(), name, []byte(want[name])); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 7 {
		overwrite(t, srv, "first/trust/1", fmt.Sprint("forged ", n))
		overwrite(t, srv, "first/trust/11", strings.Repeat("x", n))
	}
	for _, name := range []string{"trust/2", "trust/11", "trust/12", "trust/never"} {
		hide(t, srv, "first/"+name)
	}
	hide(t, srv, "first/trust/5")
	overwrite(t, srv, "first/trust/5", "forged after a marker")

	for _, size := range []int{1, 2, 3, 1000} {
		s := open(t, srv.Path("first"), store.Options{FirstVersion: true, PageSize: size})
		defer s.Close()
		got := map[string]string{}
		var listed []string
		err := s.List(t.Context(), "trust/", func(i store.Info) error {
			listed = append(listed, i.Name)
			data, err := s.Get(t.Context(), i.Name, 100)
			if len(data) != int(i.Size) {
				t.Errorf("%s: listed with %d bytes, has %d", i.Name, i.Size, len(data))
			}
			got[i.Name] = string(data)
			return err
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" || len(listed) != len(want) {
			t.Errorf("pages of %d: %v, listed %q\n%s", size, err, listed, diff)
		}
	}
	fresh := open(t, srv.Path("first"), store.Options{FirstVersion: true, PageSize: 2})
	defer fresh.Close()
	part := make([]byte, 7)
	if err := fresh.ReadAt(t.Context(), "trust/1", 8, part); err != nil || string(part) != "trust/1" {
		t.Errorf("a range: %q, %v", part, err)
	}
	if info, err := fresh.Stat(t.Context(), "trust/2"); err != nil || info.Size != int64(len(want["trust/2"])) {
		t.Errorf("stat of what was deleted: %+v, %v", info, err)
	}
	if _, err := fresh.Get(t.Context(), "trust/never", 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of what never was only a delete marker is there: %v", err)
	}
	refusesChanges(t, fresh)
}

// refusesChanges requires that a store read by first versions is changed in no way.
func refusesChanges(t *testing.T, s store.Store) {
	t.Helper()
	for op, err := range map[string]error{
		"create": s.Create(t.Context(), "packs/new", nil), "delete": s.Delete(t.Context(), "trust/1"),
		"copy": store.Copy(t.Context(), s, "packs/new", "trust/1"),
	} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func testSetLock(t *testing.T, srv server.Store) {
	writer := open(t, srv.Path("locks")+"&lock_mode=compliance&lock_days=2", store.Options{})
	defer writer.Close()
	plain := open(t, srv.Path("locks"), store.Options{})
	defer plain.Close()
	first := open(t, srv.Path("locks"), store.Options{FirstVersion: true})
	defer first.Close()
	ctx, day := t.Context(), time.Now().UTC().Truncate(time.Second).Add(24*time.Hour)
	if err := errors.Join(writer.Create(ctx, "packs/a", []byte("a")), plain.Create(ctx, "packs/b", []byte("b"))); err != nil {
		t.Fatal(err)
	}
	if l, err := store.LockOf(ctx, plain, "packs/b"); err != nil || l != (store.Lock{}) {
		t.Errorf("one without a lock: %+v, %v", l, err)
	}
	overwrite(t, srv, "locks/packs/a", "forged")
	later := store.Lock{Mode: "compliance", Until: day.Add(9 * 24 * time.Hour)}
	if err := store.SetLock(ctx, first, "packs/a", later); err != nil {
		t.Fatal(err)
	}
	if l, err := store.LockOf(ctx, first, "packs/a"); err != nil || l != later {
		t.Errorf("the first version is locked %+v, want %+v, %v", l, later, err)
	}
	if l, err := store.LockOf(ctx, plain, "packs/a"); err != nil || l != (store.Lock{}) {
		t.Errorf("the forged version is locked: %+v, %v", l, err)
	}
	if err := store.SetLock(ctx, first, "packs/a", store.Lock{Mode: "compliance", Until: day}); err == nil {
		t.Error("a lock was shortened")
	}
	hide(t, srv, "locks/packs/b")
	if err := store.SetLock(ctx, first, "packs/b", later); err != nil {
		t.Errorf("what is hidden cannot be locked: %v", err)
	}
	reader := open(t, srv.Path("locks"), store.Options{FirstVersion: true, ReadOnly: true})
	defer reader.Close()
	if err := store.SetLock(ctx, reader, "packs/a", later); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a store open for reading: %v", err)
	}
	if _, err := store.LockOf(ctx, first, "packs/absent"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the lock of nothing: %v", err)
	}
}

func testProtection(t *testing.T, srv server.Store) {
	make := func(name string, lock bool) {
		t.Helper()
		in := &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: &lock}
		if _, err := srv.S3.CreateBucket(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	make("plain", false)
	make("default", true)
	make("versions", false)
	_, err := srv.S3.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: aws.String("default"),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{
			DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(3)}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = srv.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String("versions"),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(bucket string) string { return strings.Replace(srv.URL, "s3://cbk", "s3://"+bucket, 1) }
	for _, tc := range []struct {
		name, url string
		want      store.Protection
	}{
		{"a plain bucket keeps nothing", at("plain"), store.Protection{}},
		{"versions without locks", at("versions"), store.Protection{Versions: true}},
		{"a bucket with locks but no default", at("cbk"), store.Protection{Versions: true}},
		{"the default of the bucket", at("default"), store.Protection{Versions: true, Mode: "governance", For: 72 * time.Hour, ByBucket: true}},
		{"the URL outranks it", at("default") + "&lock_mode=compliance&lock_days=5", store.Protection{Versions: true, Mode: "compliance", For: 120 * time.Hour}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.url, store.Options{ReadOnly: true, Upload: 1 << 20})
			defer s.Close()
			counted, _ := store.Counting(s)
			got, err := store.Protected(t.Context(), counted)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
	if s, err := store.Open(t.Context(), at("plain"), store.Options{FirstVersion: true}); !errors.Is(err, store.ErrNoVersions) {
		t.Errorf("first versions of a bucket without: %v, %v", s, err)
	}
}

func TestFirstVersionsAreRefusedWhereThereAreNone(t *testing.T) {
	for _, url := range []string{t.TempDir(), "mem://", "gs://b?anonymous=true"} {
		if _, err := store.Open(t.Context(), url, store.Options{FirstVersion: true}); !errors.Is(err, store.ErrNoVersions) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAStoreWithoutLocksSaysSo(t *testing.T) {
	s := open(t, "mem://", store.Options{})
	defer s.Close()
	_, asked := store.Protected(t.Context(), s)
	_, of := store.LockOf(t.Context(), s, "packs/a")
	for _, err := range []error{asked, of, store.SetLock(t.Context(), s, "packs/a", store.Lock{})} {
		if !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%v", err)
		}
	}
}
