package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Versions of the servers. Azurite's is the last that runs on Node 20.
const (
	minioVersion   = "v0.0.0-20260212201848-7aac2a2c5b7c"
	fakeGCSVersion = "v1.56.1"
	azuriteVersion = "3.35.0"
)

// Store is a running server with one bucket.
type Store struct {
	// URL opens the bucket with store.Open; it has a query, so that a test may
	// add parameters with "&". The bucket's path is Path(…).
	URL string
	// Env are the variables that store.Open needs, as NAME=value.
	Env []string
	// S3 is a client with all rights; nil for other protocols.
	S3 *s3.Client
	// Connection is Azure's connection string; empty for other protocols.
	Connection string
	// Endpoint is the root URL of the server.
	Endpoint string
}

// Path returns the URL of a path inside the bucket.
func (s Store) Path(path string) string {
	base, query, _ := strings.Cut(s.URL, "?")
	return base + "/" + path + "?" + query
}

// Setenv gives the calling test the variables of Env.
func (s Store) Setenv(t *testing.T) {
	for _, e := range s.Env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
}

// minio brings the MinIO program.
func minio(t testing.TB) string {
	return goProgram(t, "minio", "github.com/minio/minio", minioVersion)
}

// User and secret of the servers that ask for them.
const (
	User   = "cbk-test-user"
	Secret = "cbk-test-secret"
)

// MinIO starts a MinIO with the bucket "cbk", which has object lock, hence
// versions. With a certificate directory (public.crt, private.key) it speaks TLS.
func MinIO(t testing.TB, certs string) Store {
	t.Helper()
	port := freePort(t)
	args := []string{"server", t.TempDir(), "--address", fmt.Sprintf("127.0.0.1:%d", port), "--quiet"}
	scheme := "http"
	if certs != "" {
		args = append(args, "--certs-dir", certs)
		scheme = "https"
	}
	start(t, port, []string{"MINIO_ROOT_USER=" + User, "MINIO_ROOT_PASSWORD=" + Secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off"}, minio(t), args...)
	endpoint := fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)
	s := Store{
		URL:      "s3://cbk?endpoint=" + endpoint,
		Env:      []string{"AWS_ACCESS_KEY_ID=" + User, "AWS_SECRET_ACCESS_KEY=" + Secret, "AWS_EC2_METADATA_DISABLED=true"},
		Endpoint: endpoint,
	}
	if certs == "" {
		s.S3 = S3Client(endpoint, User, Secret)
		s.makeBucket(t)
	}
	return s
}

// makeBucket waits for the server to be ready by making the bucket.
func (s Store) makeBucket(t testing.TB) {
	t.Helper()
	in := &s3.CreateBucketInput{Bucket: aws.String("cbk"), ObjectLockEnabledForBucket: aws.Bool(true)}
	eventually(t, func(ctx context.Context) error {
		_, err := s.S3.CreateBucket(ctx, in)
		return err
	})
}

// S3Client returns a client for a server at a root URL.
func S3Client(endpoint, user, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(user, secret, ""),
	})
}

// FakeGCS starts a fake-gcs-server with the bucket "cbk".
func FakeGCS(t testing.TB) Store {
	t.Helper()
	port := freePort(t)
	program := goProgram(t, "fake-gcs-server", "github.com/fsouza/fake-gcs-server", fakeGCSVersion)
	endpoint := fmt.Sprintf("http://127.0.0.1:%d", port)
	start(t, port, nil, program, "-scheme", "http", "-host", "127.0.0.1", "-port", fmt.Sprint(port), "-backend", "memory", "-public-host", fmt.Sprintf("127.0.0.1:%d", port))
	eventually(t, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, "POST", endpoint+"/storage/v1/b", strings.NewReader(`{"name":"cbk"}`))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("make bucket: %s", resp.Status)
		}
		return nil
	})
	return Store{URL: "gs://cbk?anonymous=true&endpoint=" + endpoint, Endpoint: endpoint}
}

// azuriteKey is the account key that Azurite's manual publishes; it guards
// nothing.
const azuriteKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// Azurite starts an Azurite with the container "cbk".
func Azurite(t testing.TB) Store {
	t.Helper()
	port := freePort(t)
	script := npmProgram(t, "azurite", azuriteVersion, "node_modules/azurite/dist/src/blob/main.js")
	start(t, port, nil, "node", script, "--blobHost", "127.0.0.1", "--blobPort", fmt.Sprint(port),
		"--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
	endpoint := fmt.Sprintf("http://127.0.0.1:%d/devstoreaccount1", port)
	connection := "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" + azuriteKey + ";BlobEndpoint=" + endpoint
	client, err := container.NewClientFromConnectionString(connection, "cbk", &container.ClientOptions{ClientOptions: azcore.ClientOptions{}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := client.Create(ctx, nil)
		return err
	})
	return Store{
		URL:        "azblob://cbk?account=devstoreaccount1&endpoint=" + endpoint,
		Env:        []string{"AZURE_STORAGE_ACCOUNT=devstoreaccount1", "AZURE_STORAGE_KEY=" + azuriteKey},
		Connection: connection,
		Endpoint:   endpoint,
	}
}

// eventually repeats what a server that has just opened its port may refuse.
func eventually(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
