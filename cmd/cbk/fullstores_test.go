package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/repo/store"
	"cbk/repo/store/storetest/server"
)

// A full backup costs the upload of what is new: the rest is copied by the store. It is listed, checked and restored when
// config, keys and trust log are all that is left beside it. A store that cannot copy gets all of it from here, and the
// result says so.
func TestAFullBackupStandsAloneInEveryStore(t *testing.T) {
	for _, place := range []struct {
		name   string
		url    func(*testing.T) string
		copies bool
	}{
		{"a directory", func(t *testing.T) string { return "file://" + t.TempDir() + "/repo" }, true},
		{"MinIO", func(t *testing.T) string { return bucket(t, server.MinIO(t, "")) }, true},
		{"fake-gcs-server", func(t *testing.T) string { return bucket(t, server.FakeGCS(t)) }, true},
		{"Azurite", func(t *testing.T) string { return bucket(t, server.Azurite(t)) }, true},
		{"an S3 that cannot copy", func(t *testing.T) string { return withoutCopy(t, server.MinIO(t, "")) }, false},
	} {
		t.Run(place.name, func(t *testing.T) {
			files := realFiles(t, "flush", "")
			r := stoppedRig(t, files)
			r.cfg.Repository = place.url(t)
			r.save()
			r.ok("init", "--pack-size", "1MiB")
			monday := r.offline("monday")
			if monday.BytesCopied+monday.BytesInside > 0 || monday.BytesUp < monday.BytesStored {
				t.Errorf("a differential backup: %d bytes copied, %d uploaded, %d stored", monday.BytesCopied, monday.BytesUp, monday.BytesStored)
			}
			grown := realFiles(t, "compaction", "lz4_16")
			r.place(grown)
			maps.Copy(files, grown)
			before := r.stored("")
			tuesday := r.offline("tuesday", "--mode", "full")
			r.mustHaveCopied(monday, tuesday, before, place.copies)
			r.mustStandAlone("tuesday", files)
		})
	}
}

// bucket is the URL of a path in a server's bucket.
func bucket(t *testing.T, srv server.Store) string {
	srv.Setenv(t)
	return srv.Path("backups/full")
}

// withoutCopy is a path in the bucket of a server that answers requests to copy as one that has no such thing.
func withoutCopy(t *testing.T, srv server.Store) string {
	t.Helper()
	at, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host // which the signature is of
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Copy-Source") != "" {
			http.Error(w, "<Error><Code>NotImplemented</Code></Error>", http.StatusNotImplemented)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return strings.Replace(bucket(t, srv), srv.Endpoint, proxy.URL, 1)
}

// realFiles are SSTables that a 3.11 wrote in a way, as in a data directory: of the table of a name, or of all.
func realFiles(t *testing.T, how, table string) content {
	t.Helper()
	files := make(content)
	for _, f := range cassandratest.Fixtures(t, "3.11.19", "me") {
		if f.How != how || table != "" && f.Table != table {
			continue
		}
		all, err := filepath.Glob(f.Component("*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[oldPrefix(t, f, "me")+strings.TrimPrefix(filepath.Base(name), f.Prefix)] = string(b)
		}
	}
	return files
}

// open opens the rig's store as cbk does.
func (r *rig) open() store.Store {
	r.t.Helper()
	st, err := store.Open(r.t.Context(), r.cfg.Repository, store.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { st.Close() })
	return st
}

// stored is how many bytes of objects whose names begin with a prefix the store holds.
func (r *rig) stored(prefix string) (n int64) {
	r.t.Helper()
	err := r.open().List(r.t.Context(), prefix, func(i store.Info) error {
		n += i.Size
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// mustHaveCopied holds what a full backup says of itself against what the store holds since.
func (r *rig) mustHaveCopied(first, full backupJSON, before int64, copies bool) {
	r.t.Helper()
	if inside := full.BytesInside > 0; full.Mode != "full" || full.PacksCopied < 3 || full.Requests.Copy < int64(full.PacksCopied) || inside != copies {
		r.t.Errorf("%d packs and %d bytes copied, %d inside the store, %d requests", full.PacksCopied, full.BytesCopied, full.BytesInside, full.Requests.Copy)
	}
	// The root also stands in the copy, and is announced; a backup of this size takes some KiB for it.
	const roots = 64 << 10
	grown := r.stored("") - before
	if rest := full.BytesUp - (grown - full.BytesInside); rest < 0 || rest > roots {
		r.t.Errorf("the store grew by %d bytes, %d copied inside it and %d uploaded", grown, full.BytesInside, full.BytesUp)
	}
	if own := r.stored("full/"); own < full.BytesCopied || own > full.BytesCopied+roots {
		r.t.Errorf("the copy has %d bytes, its packs %d", own, full.BytesCopied)
	}
	if copies && (full.BytesInside < first.BytesStored/2 || full.BytesUp > full.BytesInside/4) {
		r.t.Errorf("of %d bytes that were there %d were copied inside the store, and %d uploaded", first.BytesStored, full.BytesInside, full.BytesUp)
	}
	r.t.Logf("%d bytes stored, %d copied, %d of them inside the store, %d uploaded", full.BytesStored, full.BytesCopied, full.BytesInside, full.BytesUp)
}

// mustStandAlone takes away everything but a full backup, config, keys and trust log, here as well as in the store.
func (r *rig) mustStandAlone(backup string, files content) {
	r.t.Helper()
	st := r.open()
	var others []string
	err := st.List(r.t.Context(), "", func(i store.Info) error {
		switch first, _, _ := strings.Cut(i.Name, "/"); first {
		case "config", "keys", "trust", "full":
		default:
			others = append(others, i.Name)
		}
		return nil
	})
	if err != nil || len(others) < 5 {
		r.t.Fatalf("to be removed: %v, %v", others, err)
	}
	for _, name := range others {
		if err := st.Delete(r.t.Context(), name); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := os.RemoveAll(r.path("state")); err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff([]string{backup}, r.names()); diff != "" {
		r.t.Errorf("listed (-want +got):\n%s", diff)
	}
	r.ok("check", "--read-data")
	r.mustRestore(backup, files)
}
