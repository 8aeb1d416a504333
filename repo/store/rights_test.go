package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cbk/repo/store"
	"cbk/repo/store/storetest/server"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// roles are the roles of the manual and the operations that succeed for each.
// Creating again what stands already succeeds for who may read it.
var roles = map[string]string{
	"writer": "create, create again, get, list, copy",
	"reader": "create again, get, list",
	"keeper": "create, create again, get, list, copy, delete",
}

// manual finds in docs/stores.md what a pattern with one group captures.
func manual(t *testing.T, pattern string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/stores.md has nothing like %s", pattern)
	}
	return string(m[1])
}

// checkRights tries every operation with the rights of a role; become gives
// them to the test.
func checkRights(t *testing.T, url func(path string) string, become func(t *testing.T, role string)) {
	owner := open(t, url("rights"), store.Options{})
	defer owner.Close()
	for role, allowed := range roles {
		t.Run(role, func(t *testing.T) {
			for _, name := range []string{"there", "doomed"} {
				if err := owner.Create(t.Context(), role+"/"+name, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			become(t, role)
			s := open(t, url("rights"), store.Options{})
			defer s.Close()
			for name, err := range tryAll(t.Context(), s, role) {
				may := strings.Contains(", "+allowed+",", ", "+name+",")
				if may && err != nil || !may && !errors.Is(err, store.ErrDenied) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if _, err := s.Get(t.Context(), role+"/absent", 1); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an absent object: %v", err)
			}
		})
	}
}

// tryAll returns the outcome of each operation.
func tryAll(ctx context.Context, s store.Store, dir string) map[string]error {
	_, getErr := s.Get(ctx, dir+"/there", 9)
	return map[string]error{
		"create":       s.Create(ctx, dir+"/fresh", []byte("x")),
		"create again": s.Create(ctx, dir+"/there", []byte("x")),
		"get":          getErr,
		"list":         s.List(ctx, dir+"/", func(store.Info) error { return nil }),
		"copy":         store.Copy(ctx, s, dir+"/copied", dir+"/there"),
		"delete":       s.Delete(ctx, dir+"/doomed"),
	}
}

// policies gives a test the rights of a policy of the manual, at a path of the bucket.
func policies(srv server.Store, path string) func(t *testing.T, name string) {
	client := sts.New(sts.Options{
		BaseEndpoint: &srv.Endpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(server.User, server.Secret, ""),
	})
	return func(t *testing.T, name string) {
		policy := manual(t, "(?s)<!-- s3 policy: "+name+" -->\n```json\n(.*?)\n```")
		policy = strings.NewReplacer("BUCKET", "cbk", "PATH", path).Replace(policy)
		out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::1:role/x"), RoleSessionName: aws.String("x"), Policy: &policy,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", *out.Credentials.AccessKeyId)
		t.Setenv("AWS_SECRET_ACCESS_KEY", *out.Credentials.SecretAccessKey)
		t.Setenv("AWS_SESSION_TOKEN", *out.Credentials.SessionToken)
	}
}

func testWriterRights(t *testing.T, srv server.Store) {
	become := policies(srv, "rights")
	checkRights(t, srv.Path, func(t *testing.T, role string) {
		become(t, role)
		outside := open(t, srv.Path("elsewhere"), store.Options{})
		defer outside.Close()
		if err := outside.Create(t.Context(), "x", nil); !errors.Is(err, store.ErrDenied) {
			t.Errorf("outside the path: %v", err)
		}
	})
}

// testLockRights tries what first versions and locks need with the rights that the manual gives, and with those of a keeper
// of a bucket without locks.
func testLockRights(t *testing.T, srv server.Store) {
	locked := srv.Path("lockrights") + "&lock_mode=compliance&lock_days=1"
	owner := open(t, locked, store.Options{})
	defer owner.Close()
	if err := owner.Create(t.Context(), "packs/a", []byte("a")); err != nil {
		t.Fatal(err)
	}
	become := policies(srv, "lockrights")
	for _, tc := range []struct{ policy, may string }{
		{"locks", "what is kept, first versions, lock, extend"}, {"versions", "what is kept, first versions"},
		{"keeper", "first versions"}, // MinIO does not tell the rights to read versions from those to read; AWS does
	} {
		t.Run(tc.policy, func(t *testing.T) {
			become(t, tc.policy)
			now := open(t, srv.Path("lockrights"), store.Options{})
			defer now.Close()
			first := open(t, locked, store.Options{FirstVersion: true})
			defer first.Close()
			ctx := t.Context()
			_, kept := store.Protected(ctx, now)
			_, get := first.Get(ctx, "packs/a", 9)
			_, lock := store.LockOf(ctx, first, "packs/a")
			for what, err := range map[string]error{
				"what is kept": kept, "lock": lock, "first versions": errors.Join(get, first.List(ctx, "", func(store.Info) error { return nil })),
				"extend": store.SetLock(ctx, first, "packs/a", store.Lock{Mode: "compliance", Until: time.Now().Add(48 * time.Hour)}),
			} {
				may := strings.Contains(", "+tc.may+",", ", "+what+",")
				if may && err != nil || !may && !errors.Is(err, store.ErrDenied) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// testLifecycle gives a bucket the manual's rule. That it waits for the end of locks is S3's to keep, and takes days to see.
func testLifecycle(t *testing.T, srv server.Store) {
	var want types.BucketLifecycleConfiguration
	text := strings.ReplaceAll(manual(t, "(?s)<!-- s3 lifecycle -->\n```json\n(.*?)\n```"), "PATH", "ruled")
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	bucket := aws.String("cbk")
	_, err := srv.S3.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{Bucket: bucket, LifecycleConfiguration: &want})
	if err != nil {
		t.Fatal(err)
	}
	got, err := srv.S3.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	if err != nil || len(got.Rules) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	rule := got.Rules[0]
	if aws.ToInt32(rule.NoncurrentVersionExpiration.NoncurrentDays) != 7 || !aws.ToBool(rule.Expiration.ExpiredObjectDeleteMarker) ||
		aws.ToString(rule.Filter.Prefix) != "ruled/" || rule.Status != types.ExpirationStatusEnabled {
		t.Errorf("%+v", rule)
	}
}

func testSASRights(t *testing.T, srv server.Store) {
	client, err := container.NewClientFromConnectionString(srv.Connection, "cbk", nil)
	if err != nil {
		t.Fatal(err)
	}
	checkRights(t, srv.Path, func(t *testing.T, role string) {
		letters := manual(t, `(?m)^\| `+role+` \| .* \| `+"`([a-z]+)`"+` \|$`)
		signed, err := client.GetSASURL(sas.ContainerPermissions{
			Read: strings.Contains(letters, "r"), Create: strings.Contains(letters, "c"), Write: strings.Contains(letters, "w"),
			List: strings.Contains(letters, "l"), Delete: strings.Contains(letters, "d"),
		}, time.Now().Add(time.Hour), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, token, _ := strings.Cut(signed, "?")
		t.Setenv("AZURE_STORAGE_KEY", "")
		t.Setenv("AZURE_STORAGE_SAS_TOKEN", token)
	})
}
