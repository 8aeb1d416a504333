package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/repo/store"
	"cbk/repo/store/storetest/server"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// fault spoils one request; it may pass it on by calling next.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// flaky is a proxy that spoils the first requests of each method and path.
type flaky struct {
	next   http.Handler
	spoil  fault
	times  int
	mu     sync.Mutex
	seen   map[string]int
	struck int
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	key := r.Method + " " + r.URL.Path
	f.seen[key]++
	strike := f.seen[key] <= f.times
	if strike {
		f.struck++
	}
	f.mu.Unlock()
	if strike {
		f.spoil(w, r, f.next)
		return
	}
	f.next.ServeHTTP(w, r)
}

// behind starts a proxy with a fault before a handler.
func behind(t *testing.T, next http.Handler, times int, spoil fault) (*flaky, string) {
	f := &flaky{next: next, spoil: spoil, times: times, seen: map[string]int{}}
	return f, serve(t, f)
}

// serve starts an HTTP server that keeps its complaints to itself.
func serve(t *testing.T, h http.Handler) (url string) {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

func fakeS3(t *testing.T) http.Handler {
	backend := s3mem.New()
	if err := backend.CreateBucket("cbk"); err != nil {
		t.Fatal(err)
	}
	return gofakes3.New(backend).Server()
}

// cutConnection ends the TCP connection of a request with a reset.
func cutConnection(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// answer lets next answer and returns what it said.
func answer(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	return rec
}

var networkFaults = map[string]fault{
	"503 slow down": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
	},
	"500 without a body": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusInternalServerError)
	},
	"reset before the request": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { cutConnection(w) },
	"answer lost after the effect": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer(r, next)
		cutConnection(w)
	},
	"answer cut in the middle": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		half(w, answer(r, next))
		panic(http.ErrAbortHandler)
	},
	"silence instead of an answer": func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		answer(r, next)
		untilGone(r)
	},
	"silence in the middle of an answer": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		half(w, answer(r, next))
		untilGone(r)
	},
}

// half sends the header and half the body of an answer; nothing of one that
// has no body.
func half(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	body := rec.Body.Bytes()
	if len(body) == 0 {
		return
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(rec.Code)
	w.Write(body[:len(body)/2])
	http.NewResponseController(w).Flush()
}

// untilGone waits for the client to hang up, which a server only notices once
// it has read the request.
func untilGone(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestNetworkFaultsAreSeenThrough(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	for name, spoil := range networkFaults {
		t.Run(name, func(t *testing.T) {
			f, endpoint := behind(t, fakeS3(t), 2, spoil)
			s := open(t, "s3://cbk/p?endpoint="+endpoint, store.Options{
				Stall: 200 * time.Millisecond, Retry: store.RetryOptions{First: time.Millisecond, Max: time.Millisecond},
			})
			defer s.Close()
			exercise(t, s)
			if f.struck < 8 {
				t.Errorf("only %d requests were spoilt", f.struck)
			}
		})
	}
}

// exercise uses every operation and checks its outcome.
func exercise(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	data := bytes.Repeat([]byte("data"), 100_000)
	if err := s.Create(ctx, "packs/a", data); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, "packs/a", 1<<20); err != nil || !bytes.Equal(got, data) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
	p := make([]byte, 1000)
	if err := s.ReadAt(ctx, "packs/a", 4, p); err != nil || !bytes.Equal(p, data[:1000]) {
		t.Errorf("read: %v", err)
	}
	if info, err := s.Stat(ctx, "packs/a"); err != nil || info.Size != int64(len(data)) {
		t.Errorf("stat: %+v, %v", info, err)
	}
	if err := store.Copy(ctx, s, "packs/b", "packs/a"); err != nil {
		t.Errorf("copy: %v", err)
	}
	var names []string
	if err := s.List(ctx, "packs/", func(i store.Info) error { names = append(names, i.Name); return nil }); err != nil || strings.Join(names, " ") != "packs/a packs/b" {
		t.Errorf("list: %v, %v", names, err)
	}
	if err := s.Delete(ctx, "packs/a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := s.Stat(ctx, "packs/a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat after delete: %v", err)
	}
}

func TestAnOutageOutlastingTheBudgetIsAnErrorThatNamesTheObject(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	_, endpoint := behind(t, fakeS3(t), 1<<30, networkFaults["503 slow down"])
	s := open(t, "s3://cbk/p?endpoint="+endpoint, store.Options{Retry: store.RetryOptions{Budget: time.Millisecond}})
	defer s.Close()
	err := s.Create(t.Context(), "packs/ab/cd", []byte("x"))
	if err == nil || !strings.HasPrefix(err.Error(), "create packs/ab/cd: ") || !strings.Contains(err.Error(), "SlowDown") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

// damage flips a bit of the body of each request that has one.
func damage(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if body, _ := io.ReadAll(r.Body); len(body) > 0 {
		body[len(body)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	next.ServeHTTP(w, r)
}

// proxyTo passes requests on as they are, the signed host included.
func proxyTo(t *testing.T, endpoint string) http.Handler {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, r.In.Host
	}}
}

// testDamage checks that the server compares what it gets with its checksum.
func testDamage(t *testing.T, srv server.Store) {
	u, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	root := u.Scheme + "://" + u.Host
	f, proxy := behind(t, proxyTo(t, root), 1, damage)
	s, counts := store.Counting(open(t, strings.ReplaceAll(srv.Path("damage"), root, proxy), store.Options{
		Retry: store.RetryOptions{First: time.Millisecond},
	}))
	defer s.Close()
	data := bytes.Repeat([]byte("data"), 100_000)
	if err := s.Create(t.Context(), "packs/a", data); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "packs/a", 1<<20); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the object is damaged (%v)", err)
	}
	if puts := counts.Puts.Load(); f.struck == 0 || puts != 2 {
		t.Errorf("%d requests damaged, %d puts, want 2", f.struck, puts)
	}
}
