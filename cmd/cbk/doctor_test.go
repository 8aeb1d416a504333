package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// unfit is a store with a fault.
type unfit struct {
	store.Store
	overwrites, hides, keepsListing, denies, lies bool
	ahead                                         time.Duration
}

func (u *unfit) Create(ctx context.Context, name string, data []byte) error {
	err := u.Store.Create(ctx, name, data)
	if u.overwrites {
		return nil
	}
	return err
}

func (u *unfit) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	b, err := u.Store.Get(ctx, name, limit)
	if u.lies && len(b) > 0 {
		b[0]++
	}
	return b, err
}

func (u *unfit) Stat(ctx context.Context, name string) (store.Info, error) {
	i, err := u.Store.Stat(ctx, name)
	i.ModTime = i.ModTime.Add(u.ahead)
	return i, err
}

func (u *unfit) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if u.hides {
		return nil
	}
	if u.keepsListing {
		return fn(store.Info{Name: prefix})
	}
	return u.Store.List(ctx, prefix, fn)
}

func (u *unfit) Delete(ctx context.Context, name string) error {
	if u.denies {
		return fmt.Errorf("delete %s: %w", name, store.ErrDenied)
	}
	return u.Store.Delete(ctx, name)
}

// failures are the checks that failed, in their order.
func (d *doctor) failures() (failed []string) {
	for _, f := range d.doc.Checks {
		if !f.OK {
			failed = append(failed, f.Check)
		}
	}
	return failed
}

func TestAStoreThatIsUnfitIsFoundOut(t *testing.T) {
	tests := []struct {
		what  string
		store unfit
		role  roles.Role
		want  []string
	}{
		{"none of that", unfit{}, roles.RoleKeeper, nil},
		{"one that overwrites", unfit{overwrites: true}, roles.RoleWriter, []string{"overwriting"}},
		{"one that lists late", unfit{hides: true}, roles.RoleWriter, []string{"listing"}},
		{"one that lists what is deleted", unfit{keepsListing: true}, roles.RoleWriter, []string{"listing after delete"}},
		{"one that gives back other bytes", unfit{lies: true}, roles.RoleWriter, []string{"reading", "overwriting"}},
		{"one whose clock is ahead", unfit{ahead: 6 * time.Second}, roles.RoleWriter, []string{"clock of the store"}},
		{"one whose clock is behind", unfit{ahead: -6 * time.Second}, roles.RoleWriter, []string{"clock of the store"}},
		{"one that denies a writer to delete", unfit{denies: true}, roles.RoleWriter, nil},
		{"one that denies a keeper to delete", unfit{denies: true}, roles.RoleKeeper, []string{"deleting"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			st, err := store.Open(t.Context(), "mem://", store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tt.store.Store = st
			d := &doctor{now: time.Now, doc: doctorJSON{OK: true}}
			d.probe(t.Context(), &tt.store, tt.role)
			if got := d.failures(); !slices.Equal(got, tt.want) || d.doc.OK != (tt.want == nil) {
				t.Errorf("failed: %q, want %q\n%+v", got, tt.want, d.doc.Checks)
			}
			if tt.store.denies != strings.Contains(fmt.Sprint(d.doc.Checks), "stays behind") {
				t.Errorf("what stays behind is not told: %+v", d.doc.Checks)
			}
		})
	}
}

func TestTheProbeIsAStrangerToTheRepository(t *testing.T) {
	if kind := repo.Classify(probePrefix + strings.Repeat("0", 32)); kind != repo.Stranger {
		t.Errorf("it is taken for kind %d", kind)
	}
}

func TestCertificatesNearTheirEndAreTold(t *testing.T) {
	now := time.Date(2026, 3, 9, 2, 0, 0, 0, time.UTC)
	tests := []struct {
		what       string
		begin, end time.Duration
		ok         bool
		says       string
	}{
		{"long before it", -time.Hour, 31 * 24 * time.Hour, true, "31 days left"},
		{"near it", -time.Hour, 29*24*time.Hour + time.Minute, true, "WARNING, 29 days left; renew it"},
		{"after it", -time.Hour, -time.Minute, false, "ended"},
		{"before it has begun", time.Hour, 31 * 24 * time.Hour, false, "begins only at 2026-03-09T03:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			d := &doctor{now: func() time.Time { return now }, doc: doctorJSON{OK: true}}
			d.certificates("c", []*x509.Certificate{{Subject: pkix.Name{CommonName: "node"}, Issuer: pkix.Name{CommonName: "ca"},
				NotBefore: now.Add(tt.begin), NotAfter: now.Add(tt.end)}})
			f := d.doc.Checks[0]
			if f.OK != tt.ok || d.doc.OK != tt.ok || !strings.Contains(f.Found, tt.says) || !strings.Contains(f.Found, "CN=node, signed by CN=ca") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestDoctorOfARunningNodeAndAStoreBehindTLS(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("cbk"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(gofakes3.New(backend).Server())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	r := rigOf(t, realNode(t))
	ca := r.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o600)
	r.cfg.Repository = "s3://cbk/r?endpoint=" + server.URL + "&ca=" + ca
	r.save()
	r.ok("init")
	out := r.ok("doctor")
	for _, want := range []string{"nodetool: answers, Cassandra 5.0.6", "cql: answers, Cassandra 5.0.6, host id ", "clock of Cassandra: the node's is less than 5s",
		"clock of the store: ", "server of the store: " + server.URL, "certificate of the store: O=Acme Co", "deleting: is allowed", r.node.Dir + "/data/data is readable, as is "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "failed") || strings.Count(out, "clock of the store") != 1 {
		t.Error(out)
	}
	var doc doctorJSON
	if err := json.Unmarshal([]byte(r.ok("doctor", "--json")), &doc); err != nil || !doc.OK || doc.Schema != "cbk.doctor/1" || len(doc.Checks) < 15 {
		t.Errorf("%+v, error %v", doc, err)
	}
}
