package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"cbk/pack"
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
	err := suffer(context.Background(), dir, attack)
	status, failed := os.ReadFile("/proc/self/status")
	kib := 0
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
		fmt.Sscan(rest, &kib)
	}
	var use syscall.Rusage
	if err := errors.Join(failed, syscall.Getrusage(syscall.RUSAGE_SELF, &use)); err != nil {
		os.Exit(1)
	}
	// Time of the processor, which other programs do not lengthen.
	ms := (use.Utime.Nano() + use.Stime.Nano()) / 1e6
	fmt.Printf("KiB %d ms %d opens %v error %v", kib, ms, err == nil, err)
	os.Exit(0)
}

// suffer does what the attack is meant for: it opens the repository, and reads its index or a root.
func suffer(ctx context.Context, dir, attack string) error {
	debug.SetMemoryLimit(170 << 20) // as cbk does
	if attack == "ten million blobs" {
		debug.SetMemoryLimit(400 << 20) // as cbk gc does
	}
	st, err := store.Open(ctx, dir, store.Options{})
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, crowd{st, attack}, roles.WithPassphrase([]byte(passphrase)), "")
	if err != nil {
		return err
	}
	if attack == "ten million blobs" {
		res, err := r.GC(ctx, "node-1", repo.GCOptions{MaxRepack: 10 << 30, Now: time.Now})
		if err == nil {
			err = fmt.Errorf("none, %+v", *res)
		}
		return err
	}
	if attack == "largest shard" {
		rd, err := r.NewReader(ctx, "node-1")
		if err != nil {
			return err
		}
		_, err = rd.Locate(ctx, pack.ID{1})
		return errors.Join(err, rd.Close())
	}
	if attack != "root" {
		return nil
	}
	return r.ListRoots(ctx, func(name string) error {
		_, err := r.ReadRoot(ctx, name)
		return err
	})
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

// Whoever opens what a hostile store shows needs no more than 256 MiB and 5 s of a processor, and is told what is wrong.
func TestAHostileRepositoryIsRefusedInLittleMemoryAndTime(t *testing.T) {
	nested := append(append([]byte("cbkC\x00\x00\x00\x00\x00\x00\xff\xb4"), bytes.Repeat([]byte("["), 0xffb4)...), make([]byte, 64)...)
	dear := roles.Passphrase([]byte("somebody else's"), roles.Cost{Time: 8, Memory: 64 << 10, Threads: 1})
	cheapest := roles.Passphrase([]byte(passphrase), cheap)
	for _, tc := range []struct {
		attack string
		slots  []roles.Wrapping
		config []byte
		forge  func(*repo.Repo) (name string, data []byte, err error) // an object of a writer who means harm
		want   string
	}{
		{attack: "strangers", want: "opens true"},
		{attack: "statements", want: "no trust log is so long"},
		{attack: "gap", want: "is damaged: missing"},
		{attack: "keys", want: "more than 16384 objects"},
		{attack: "large config", config: make([]byte, 64<<10+1), want: "config is damaged"},
		{attack: "nested config", config: nested, want: "config is damaged"},
		{attack: "largest shard", forge: func(r *repo.Repo) (string, []byte, error) {
			return r.ForgeShard("node-1", "node-1", largest()...)
		}, want: "no shard names"},
		{attack: "root", forge: func(r *repo.Repo) (string, []byte, error) {
			name := repo.RootName("node-1", pack.ID{1})
			data, err := r.ForgeRoot("node-1", name, &repo.Root{Refs: make([]pack.ID, 128<<10), Descriptions: make([]pack.ID, 128<<10)})
			return name, data, err
		}, want: "is damaged"},
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
			if tc.forge != nil {
				name, data, err := tc.forge(openRepo(t, st, ""))
				if err == nil {
					err = st.Create(t.Context(), name, data)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), limitEnv+"="+dir+"|"+tc.attack)
			out, err := child.CombinedOutput()
			kib, ms := 0, 0
			fmt.Sscanf(string(out), "KiB %d ms %d", &kib, &ms)
			// Half of it on an idle machine: beside others a processor does less in its time.
			if err != nil || kib == 0 || kib > peak || ms > 10_000 || !strings.Contains(string(out), tc.want) {
				t.Errorf("%s: %v", out, err)
			}
			t.Logf("%d MiB, %d ms of a processor", kib>>10, ms)
		})
	}
}

// largest are packs that fill a shard as far as a shard can be filled.
func largest() (packs []pack.Info) {
	n := 0
	for p := range byte(8) {
		info := pack.Info{Name: pack.ID{p}, Size: pack.MaxPack, Sessions: []pack.Session{{Sealed: []byte("k")}}}
		for i := range uint32(pack.MaxEntries) {
			n++
			id := pack.ID{2, byte(n >> 16), byte(n >> 8), byte(n)}
			info.Entries = append(info.Entries, pack.Entry{Type: pack.Data, ID: id, Offset: i * 100, Stored: 100, Plain: pack.MaxBlob})
		}
		packs = append(packs, info)
	}
	return packs
}
