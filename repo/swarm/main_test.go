package swarm

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// The environment of a process that plays a part.
const (
	roleEnv  = "CBK_SWARM_ROLE" // "writer" or "keeper"
	orderEnv = "CBK_SWARM_ORDER"
)

func TestMain(m *testing.M) {
	role, ok := os.LookupEnv(roleEnv)
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(context.Background(), role, os.Getenv(orderEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// order tells a process what to do.
type order struct {
	URL, KeyFile, State string
	Pause               time.Duration // the longest wait before a look at tombstones
	Backup              string
	Domain              string
	Seeds               []int // of the files to save
}

func play(ctx context.Context, role, text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return err
	}
	file, err := roles.ParseKeyFile(key)
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, o.URL, store.Options{})
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, &slow{st, o.Pause}, roles.WithKeyFile(file), o.State)
	if err != nil {
		return err
	}
	defer r.Close()
	if role == "writer" {
		return write(ctx, r, &o)
	}
	return keep(ctx, r, st)
}

// slow is a store that takes its time over listing tombstones: so much may happen between an announcement and the look
// that follows it.
type slow struct {
	store.Store
	pause time.Duration
}

// List implements store.Store.
func (s *slow) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if strings.HasPrefix(prefix, "gc/") && s.pause > 0 {
		time.Sleep(rand.N(s.pause))
	}
	return s.Store.List(ctx, prefix, fn)
}
