package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// limitEnv names the directory that a child process opens, and what is wrong with it.
const limitEnv = "CBK_LIMITS"

// peak is the memory that whoever opens a hostile repository may be made to use, in KiB.
const peak = 256 << 10

func TestMain(m *testing.M) {
	dir, attack, child := strings.Cut(os.Getenv(limitEnv), "|")
	if !child {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := store.Open(ctx, dir, store.Options{})
	if err == nil {
		_, err = repo.Open(ctx, crowd{st, attack}, roles.WithPassphrase([]byte(passphrase)), "")
	}
	status, failed := os.ReadFile("/proc/self/status")
	kib := 0
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
		fmt.Sscan(rest, &kib)
	}
	late := ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)
	fmt.Printf("KiB %d late %v opens %v error %v", kib, late || failed != nil, err == nil, err)
	os.Exit(0)
}

// crowd is a store whose listings are full of what a hostile one puts there.
type crowd struct {
	store.Store
	attack string
}

func (c crowd) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	name, n := "", 0
	switch {
	case c.attack == "strangers":
		name, n = prefix+"tmp-%d", 1_000_000
	case c.attack == "statements" && prefix == "trust/":
		name, n = "trust/%d", 70_000
	case c.attack == "gap" && prefix == "trust/":
		name, n = "trust/%d", 65_536
	case c.attack == "keys" && prefix == "keys/":
		name, n = "keys/%064x", 20_000
	}
	for i := range n {
		if err := fn(store.Info{Name: fmt.Sprintf(name, i+1), Size: 1 << 20}); err != nil {
			return err
		}
	}
	return c.Store.List(ctx, prefix, fn)
}

// Whoever opens what a hostile store shows needs no more than 256 MiB and 5 s, and is told what is wrong.
func TestAHostileRepositoryIsRefusedInLittleMemoryAndTime(t *testing.T) {
	nested := append(append([]byte("cbkC\x00\x00\x00\x00\x00\x00\xff\xb4"), bytes.Repeat([]byte("["), 0xffb4)...), make([]byte, 64)...)
	dear := roles.Passphrase([]byte("somebody else's"), roles.Cost{Time: 8, Memory: 64 << 10, Threads: 1})
	cheapest := roles.Passphrase([]byte(passphrase), cheap)
	for _, tc := range []struct {
		attack string
		slots  []roles.Wrapping
		config []byte
		want   string
	}{
		{attack: "strangers", want: "opens true"},
		{attack: "statements", want: "no trust log is so long"},
		{attack: "gap", want: "is damaged: missing"},
		{attack: "keys", want: "more than 16384 objects"},
		{attack: "large config", config: make([]byte, 64<<10+1), want: "config is damaged"},
		{attack: "nested config", config: nested, want: "config is damaged"},
		{attack: "slots", slots: []roles.Wrapping{dear, dear, dear, dear, dear}, want: "too much key derivation"},
	} {
		t.Run(tc.attack, func(t *testing.T) {
			dir := t.TempDir()
			st, err := store.Open(t.Context(), dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if tc.slots == nil {
				tc.slots = []roles.Wrapping{cheapest}
			}
			if err := repo.Init(t.Context(), st, smallSettings(), tc.slots...); err != nil {
				t.Fatal(err)
			}
			if tc.config != nil {
				replace(t, st, "config", tc.config)
			}
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), limitEnv+"="+dir+"|"+tc.attack)
			out, err := child.CombinedOutput()
			kib := 0
			fmt.Sscanf(string(out), "KiB %d", &kib)
			if err != nil || kib == 0 || kib > peak || !strings.Contains(string(out), "late false") || !strings.Contains(string(out), tc.want) {
				t.Errorf("%s: %v", out, err)
			}
			t.Logf("%d MiB", kib>>10)
		})
	}
}
