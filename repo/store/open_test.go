package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenByURLAndPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"plain", "with space"} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, url string
		o         Options
		want      error
	}{
		{"an absolute path", filepath.Join(dir, "plain"), Options{}, nil},
		{"a relative path", "plain", Options{}, nil},
		{"a path with a space", "./with space", Options{}, nil},
		{"a file URL", "file://" + dir + "/plain", Options{}, nil},
		{"an escaped file URL", "file://" + dir + "/with%20space", Options{}, nil},
		{"memory", "mem://", Options{}, nil},
		{"a missing directory", "missing", Options{}, ErrNoStore},
		{"a missing directory read-only", "missing", Options{ReadOnly: true, Make: true}, ErrNoStore},
		{"a missing directory to be made", "made/deep/down", Options{Make: true}, nil},
		{"a directory below a file", "/dev/null/x", Options{Make: true}, ErrInvalid},
		{"a file", "/dev/null", Options{}, ErrInvalid},
		{"nothing", "", Options{}, ErrInvalid},
		{"a file URL with a host", "file://host/p", Options{}, ErrInvalid},
		{"a file URL with parameters", "file:///p?x=y", Options{}, ErrInvalid},
		{"a file URL without a path", "file://", Options{}, ErrInvalid},
		{"memory with a name", "mem://x", Options{}, ErrInvalid},
		{"an unknown scheme", "ftp://host/p", Options{}, ErrInvalid},
		{"no URL", "s3://%zz", Options{}, ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Open(t.Context(), tc.url, tc.o)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if err != nil {
				return
			}
			if err := s.Create(t.Context(), "a/b", []byte("x")); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenNeverRepeatsAPassword(t *testing.T) {
	for _, url := range []string{"s3://key:hunter2@bucket/p", "s3://key:hunter2@bucket/%zz", "ftp://a:hunter2@b"} {
		_, err := Open(t.Context(), url, Options{})
		if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAStoreOpenedReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, op := range everyOperation {
		if err := op(t.Context(), s); err == nil && name != "list" {
			t.Errorf("%s succeeded", name)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestCloudURLsThatAreRefused(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AZURE_STORAGE_ACCOUNT", "x")
	t.Setenv("AZURE_STORAGE_KEY", "eA==")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ url, want string }{
		{"s3://", "want s3://bucket/path"},
		{"s3://b:99/p", "want s3://bucket/path"},
		{"s3://b/a b", "path in the bucket"},
		{"s3://b/a//b", "path in the bucket"},
		{"s3://b/../a", "path in the bucket"},
		{"s3://b?regoin=x", `unknown parameter "regoin"`},
		{"s3://b?region=x&region=y", "region must be given once"},
		{"s3://b?region=x;y", "URL query"},
		{"s3://b?region=x&tls_verify=no", "tls_verify must be true or false"},
		{"s3://b?region=x&path_style=1", "path_style must be true or false"},
		{"s3://b?region=x&endpoint=localhost:9000", "endpoint must be like https://host:port"},
		{"s3://b?region=x&endpoint=https://u:p@h", "endpoint must be like https://host:port"},
		{"s3://b?region=x&lock_mode=governance", "lock_mode must be given together with lock_days"},
		{"s3://b?region=x&lock_days=3", "lock_mode must be given together with lock_days"},
		{"s3://b?region=x&lock_mode=soft&lock_days=3", "lock_mode must be governance or compliance"},
		{"s3://b?region=x&lock_mode=governance&lock_days=0", "lock_days must be a number from 1 to 36500"},
		{"s3://b?region=x&ca=" + empty, "ca must be a file with PEM certificates"},
		{"gs://b?region=x", `unknown parameter "region"`},
		{"gs://b?lock_mode=governance&lock_days=1", "unknown parameter"},
		{"azblob://b?storage_class=Archive", "storage_class must be Hot or Cool or Cold"},
		{"azblob://b?anonymous=true", `unknown parameter "anonymous"`},
	} {
		_, err := Open(t.Context(), tc.url, Options{})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.url, err, tc.want)
		}
	}
	if _, err := Open(t.Context(), "s3://b?region=x&ca=/missing.pem", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing authorities: %v", err)
	}
}

func TestMissingCredentialsAreAnErrorOfOpen(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("HOME", t.TempDir())
	missing := filepath.Join(t.TempDir(), "missing.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", missing)
	for url, want := range map[string]error{
		"s3://b?region=x":      ErrDenied,
		"s3://b":               ErrInvalid, // no region either
		"gs://b":               ErrDenied,
		"azblob://b":           ErrInvalid, // no account
		"azblob://b?account=x": nil,        // the default chain is asked at the first request
	} {
		s, err := Open(t.Context(), url, Options{})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
		if err == nil {
			s.Close()
		}
	}
	t.Setenv("AZURE_STORAGE_ACCOUNT", "x")
	t.Setenv("AZURE_STORAGE_KEY", "hunter2!")
	if _, err := Open(t.Context(), "azblob://b", Options{}); !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken account key: %v", err)
	}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "hunter2")
	if _, err := Open(t.Context(), "azblob://b", Options{}); !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken connection string: %v", err)
	}
}
