package restore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"cbk/snapshot"
)

func TestATimeIsToldFromTheFirstPart(t *testing.T) {
	t.Parallel()
	content := files{}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		content[tableDir("shop", name)+"/nb-1-big-Data.db"] = noise(byte(i), 1_000_000)
	}
	s := newRig(t).backup("b", content)
	out := filepath.Join(t.TempDir(), "out")
	p, err := PlanDir(s, &snapshot.Selection{}, out)
	if err != nil {
		t.Fatal(err)
	}
	if p.Files != 5 || p.Bytes != 5_000_000 || p.Tables != 5 || p.Free <= 0 || p.Time != nil {
		t.Errorf("plan: %+v", p)
	}
	if err := p.Estimate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := p.Time; e.Sampled < p.Bytes/4 || e.Sampled > p.Bytes/2 || e.Rate < 1 || e.Seconds != p.Bytes/e.Rate {
		t.Errorf("of %d bytes: %+v", p.Bytes, e)
	}
	mustBe(t, filepath.Dir(out), files{})
}

// What cannot be fetched is not the estimate's to tell.
func TestWithoutAFirstPartNoTimeIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.backup("b", files{tableDir("shop", "a") + "/nb-1-big-Data.db": noise(1, 10_000)})
	r.spoil(r.blobOf(noise(1, 10_000)))
	p, err := PlanDir(s, &snapshot.Selection{}, filepath.Join(t.TempDir(), "out"))
	if err == nil {
		err = p.Estimate(t.Context())
	}
	if err != nil || p.Time != nil {
		t.Errorf("%+v, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Estimate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestATimeReadsLikeThis(t *testing.T) {
	for want, e := range map[string]Estimate{
		"less than a minute to fetch, as the first 1.0 MiB came, at 2.0 MiB/s": {1 << 20, 2 << 20, 59},
		"about 1m0s to fetch, as the first 1.0 MiB came, at 2.0 MiB/s":         {1 << 20, 2 << 20, 60},
		"about 2h46m45s to fetch, as the first 32 MiB came, at 100 MiB/s":      {32 << 20, 100 << 20, 10_000},
	} {
		if got := e.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
