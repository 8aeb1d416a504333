package fuzz

import (
	"net/url"
	"strings"
	"testing"

	"cbk/repo/store"
)

// FuzzURL opens stores by arbitrary URLs, read-only: opening asks no server for anything. A URL opens or is refused
// without its password.
func FuzzURL(f *testing.F) {
	for _, u := range []string{"mem://", "mem://x", "s3://bucket/path?region=eu-central-1&path_style=true", "gs://bucket?anonymous=true",
		"azblob://container/path?account=a", "s3://b?endpoint=http%3A%2F%2F127.0.0.1%3A1", "s3://b?lock_mode=compliance&lock_days=7",
		"s3://user:password@bucket/path", "file:///no/such/place", "://", "s3://", "s3:///path", "gs://b?endpoint=%zz", "s3://b?x=1"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.Contains(raw, "ca=") {
			return // names a file of this machine
		}
		st, err := store.Open(t.Context(), raw, store.Options{ReadOnly: true})
		if (st == nil) != (err != nil) {
			t.Fatalf("store %v and error %v", st, err)
		}
		if err == nil {
			st.Close()
			return
		}
		u, bad := url.Parse(raw)
		if bad != nil || u.User == nil {
			return
		}
		if p, _ := u.User.Password(); len(p) > 6 && strings.Contains(err.Error(), p) {
			t.Fatalf("the error shows the password: %v", err)
		}
	})
}
