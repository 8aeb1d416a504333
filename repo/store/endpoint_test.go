package store_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cbk/repo/store"
)

func TestAServerShowsItsCertificatesAndItsClock(t *testing.T) {
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"s3://bucket/path?region=x&", "gs://bucket?", "azblob://bucket?account=a&"} {
		e, err := store.AskEndpoint(t.Context(), u+"endpoint="+server.URL+"&ca="+ca)
		if err != nil {
			t.Fatal(err)
		}
		if e.URL != server.URL || len(e.Chain) != 1 || !e.Chain[0].Equal(server.Certificate()) || time.Since(e.Date).Abs() > time.Hour {
			t.Errorf("%s: %+v", u, e)
		}
	}
	if len(asked) != 3 || asked[0] != "HEAD /" {
		t.Errorf("asked %q", asked)
	}
	if _, err := store.AskEndpoint(t.Context(), "gs://bucket?endpoint="+server.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that is not trusted: error %v", err)
	}
}

func TestAStoreWithoutAServerHasNoEndpoint(t *testing.T) {
	for _, u := range []string{"/srv/backup", "backup", "file:///srv/backup", "mem://"} {
		if e, err := store.AskEndpoint(t.Context(), u); e != nil || err != nil {
			t.Errorf("%s: %v, %v", u, e, err)
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if e, err := store.AskEndpoint(t.Context(), "s3://bucket?endpoint="+plain.URL); err != nil || len(e.Chain) != 0 || e.Date.IsZero() {
		t.Errorf("without TLS: %+v, %v", e, err)
	}
	if _, err := store.AskEndpoint(t.Context(), "s3://bucket?endpoint=nonsense"); err == nil {
		t.Error("an endpoint that is no URL is taken")
	}
}
