package store_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/repo/store"
	"cbk/repo/store/storetest/server"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// certificate writes a self-signed certificate for 127.0.0.1 as MinIO wants it.
func certificate(t *testing.T) (dir, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cbk test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, block := range map[string]*pem.Block{
		"public.crt":  {Type: "CERTIFICATE", Bytes: cert},
		"private.key": {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "public.crt")
}

func TestTLSIsVerifiedUnlessSaidOtherwise(t *testing.T) {
	dir, ca := certificate(t)
	srv := server.MinIO(t, dir)
	srv.Setenv(t)
	for _, tc := range []struct{ name, params, want string }{
		{"an unknown authority is refused at once", "", "certificate signed by unknown authority"},
		{"with its authority the server is trusted", "&ca=" + url.QueryEscape(ca), "no such bucket"},
		{"without verification any server is", "&tls_verify=false", "no such bucket"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, srv.URL+tc.params, store.Options{})
			defer s.Close()
			_, err := s.Get(t.Context(), "config", 1)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// A region is a word that requests are signed with: it never leads away from the endpoint that is given.
func TestAnyRegionGoesToTheEndpointThatIsGiven(t *testing.T) {
	srv := server.MinIO(t, "")
	srv.Setenv(t)
	for _, from := range []string{"the URL", "the environment"} {
		for _, region := range []string{"default", "eu-nowhere-9", "us-east-1", "eu-central-1", "RegionOne"} {
			t.Run(region+" from "+from, func(t *testing.T) {
				params := "&region=" + region
				if from == "the environment" {
					t.Setenv("AWS_REGION", region)
					params = ""
				}
				s := open(t, srv.Path("region-of-"+from[4:])+params, store.Options{})
				defer s.Close()
				name := "packs/" + region
				if err := s.Create(t.Context(), name, []byte(region)); err != nil {
					t.Fatal(err)
				}
				there, err := srv.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("cbk"), Key: aws.String("region-of-" + from[4:] + "/" + name)})
				if err != nil {
					t.Fatalf("it is not on the server: %v", err)
				}
				there.Body.Close()
				if got, err := s.Get(t.Context(), name, 100); err != nil || string(got) != region {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
	}
}

// runOn runs tests on one server, each with its environment.
func runOn(t *testing.T, srv server.Store, tests map[string]func(*testing.T, server.Store)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv.Setenv(t)
			test(t, srv)
		})
	}
}

func TestMinIO(t *testing.T) {
	runOn(t, server.MinIO(t, ""), map[string]func(*testing.T, server.Store){
		"it conforms": conform,
		"objects damaged on the way are sent again":   testDamage,
		"new objects are locked":                      testObjectLock,
		"first versions are read whatever came later": testFirstVersions,
		"a lock is extended and never shortened":      testSetLock,
		"what is kept is told":                        testProtection,
		"new objects have the storage class":          testStorageClass,
		"a missing bucket is told from a missing object": func(t *testing.T, srv server.Store) {
			missing(t, srv, "get", "create", "list")
		},
		"wrong credentials are refused at once":           testWrongCredentials,
		"the rights in the manual are enough and no more": testWriterRights,
		"the rights for locks in the manual are enough":   testLockRights,
		"the lifecycle rule in the manual is one":         testLifecycle,
		"a large object goes in one request and no copy":  testLargeObject,
	})
}

func TestFakeGCS(t *testing.T) {
	runOn(t, server.FakeGCS(t), map[string]func(*testing.T, server.Store){
		"it conforms": conform,
		"objects damaged on the way are sent again": testDamage,
		"a missing bucket is told from a missing object": func(t *testing.T, srv server.Store) {
			missing(t, srv, "create", "list") // the fake answers a get as if only the object were missing
		},
		"a large object goes in one request and no copy": testLargeObject,
	})
}

func TestAzurite(t *testing.T) {
	runOn(t, server.Azurite(t), map[string]func(*testing.T, server.Store){
		"it conforms": conform,
		"objects damaged on the way are sent again": testDamage,
		"a missing container is told from a missing object": func(t *testing.T, srv server.Store) {
			missing(t, srv, "get", "create", "list")
		},
		"the rights in the manual are enough and no more": testSASRights,
		"a large object goes in one request and no copy":  testLargeObject,
		"a wrong key is refused at once":                  testWrongKey,
	})
}

func testObjectLock(t *testing.T, srv server.Store) {
	s := open(t, srv.Path("lock")+"&lock_mode=compliance&lock_days=3", store.Options{})
	defer s.Close()
	before := time.Now()
	if err := s.Create(t.Context(), "packs/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := store.Copy(t.Context(), s, "packs/b", "packs/a"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"lock/packs/a", "lock/packs/b"} {
		head, err := srv.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("cbk"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		until := aws.ToTime(head.ObjectLockRetainUntilDate)
		if head.ObjectLockMode != types.ObjectLockModeCompliance || until.Sub(before).Round(time.Hour) != 72*time.Hour {
			t.Errorf("%s: %s until %s", key, head.ObjectLockMode, until)
		}
		_, err = srv.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("cbk"), Key: &key, VersionId: head.VersionId})
		if err == nil {
			t.Errorf("%s: a locked version was deleted", key)
		}
	}
}

func testStorageClass(t *testing.T, srv server.Store) {
	s := open(t, srv.Path("class")+"&storage_class=REDUCED_REDUNDANCY", store.Options{})
	defer s.Close()
	if err := s.Create(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	head, err := srv.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("cbk"), Key: aws.String("class/a")})
	if err != nil || head.StorageClass != types.StorageClassReducedRedundancy {
		t.Errorf("%v, %v", head, err)
	}
}

// missing checks which operations tell that the bucket is missing. A HEAD has
// no words for it on any store.
func missing(t *testing.T, srv server.Store, tellers ...string) {
	s := open(t, strings.Replace(srv.Path("p"), "//cbk", "//no-such-bucket", 1), store.Options{})
	defer s.Close()
	ctx := t.Context()
	_, err := s.Get(ctx, "config", 1)
	for op, err := range map[string]error{
		"get":    err,
		"create": s.Create(ctx, "config", nil),
		"list":   s.List(ctx, "", func(store.Info) error { return nil }),
	} {
		if slices.Contains(tellers, op) && !errors.Is(err, store.ErrNoStore) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func testWrongCredentials(t *testing.T, srv server.Store) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "wrong-secret"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			s, counts := store.Counting(open(t, srv.Path("p"), store.Options{}))
			defer s.Close()
			err := s.Create(t.Context(), "config", nil)
			if !errors.Is(err, store.ErrDenied) || counts.Puts.Load() != 1 || strings.Contains(err.Error(), value+"-") {
				t.Errorf("%v after %d puts", err, counts.Puts.Load())
			}
		})
	}
}

// testLargeObject writes a pack of the usual size and checks that it costs one
// request and next to no memory.
func testLargeObject(t *testing.T, srv server.Store) {
	s, counts := store.Counting(open(t, srv.Path("large"), store.Options{}))
	defer s.Close()
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	if err := s.Create(t.Context(), "warm/up", data[:1]); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.Create(t.Context(), "packs/large", data); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	const allowed = 4 << 20
	if used := after.TotalAlloc - before.TotalAlloc; used > allowed {
		t.Errorf("a create of %d MiB allocated %d bytes, want at most %d", len(data)>>20, used, allowed)
	}
	if puts := counts.Puts.Load(); puts != 2 {
		t.Errorf("%d puts, want 2", puts)
	}
	end := make([]byte, 16)
	if err := s.ReadAt(t.Context(), "packs/large", int64(len(data)-16), end); err != nil || string(end) != "0123456789abcdef" {
		t.Errorf("end %q, %v", end, err)
	}
}

func testWrongKey(t *testing.T, srv server.Store) {
	t.Setenv("AZURE_STORAGE_KEY", "d3Jvbmc=")
	s, counts := store.Counting(open(t, srv.Path("p"), store.Options{}))
	defer s.Close()
	err := s.Create(t.Context(), "config", nil)
	if !errors.Is(err, store.ErrDenied) || counts.Puts.Load() != 1 || len(fmt.Sprint(err)) > 200 {
		t.Errorf("%v after %d puts", err, counts.Puts.Load())
	}
}
