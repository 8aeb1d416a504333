package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// fileSize is small, so that many files make one pack and one file many chunks.
const fileSize = 96 << 10

var chunks = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 32 << 10}

// content returns the file of a seed, which does not compress.
func content(seed int) []byte {
	b := make([]byte, fileSize)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)}).Read(b)
	return b
}

// entry is the catalogue entry of a backup: what has to be in it.
type entry struct {
	Backup string
	Seeds  []int
}

// wrote is what a writer prints at its end.
type wrote struct {
	Overtaken int  // times it had to store again
	Taken     bool // the name was taken: an earlier run of it had committed
}

// maxOvertaken bounds the tries of one backup: the keepers of this test know no mercy.
const maxOvertaken = 200

// write makes one backup.
func write(ctx context.Context, r *repo.Repo, o *order) error {
	var out wrote
	for ; out.Overtaken < maxOvertaken; out.Overtaken++ {
		err := attempt(ctx, r, o)
		if errors.Is(err, repo.ErrCondemned) {
			continue
		}
		if out.Taken = errors.Is(err, repo.ErrSnapshotExists); out.Taken {
			err = nil
		}
		return errors.Join(err, json.NewEncoder(os.Stdout).Encode(out))
	}
	return fmt.Errorf("overtaken %d times", out.Overtaken)
}

func attempt(ctx context.Context, r *repo.Repo, o *order) (err error) {
	s, err := r.NewSession(ctx, o.Domain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	root := &repo.Root{}
	if root.Catalogue, err = json.Marshal(entry{o.Backup, o.Seeds}); err != nil {
		return err
	}
	ring, _, err := s.Put(pack.Ring, []byte("ring of "+o.Domain))
	if err != nil {
		return err
	}
	root.Ring = ring.ID
	var needed []pack.ID
	for _, seed := range o.Seeds {
		var list []byte
		_, err := s.Stream(bytes.NewReader(content(seed)), chunks, func(refs []repo.Ref) error {
			for _, ref := range refs {
				list, needed = append(list, ref.ID[:]...), append(needed, ref.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		d, _, err := s.Put(pack.Description, list)
		if err != nil {
			return err
		}
		root.Descriptions = append(root.Descriptions, d.ID)
	}
	refs, _, err := s.Put(pack.Refs, repo.EncodeRefs(needed))
	if err != nil {
		return err
	}
	root.Refs = []pack.ID{refs.ID}
	return s.Commit(o.Backup, root)
}

// kept adds up what a keeper did.
type kept struct {
	Runs, Condemned, Copied, Deleted, Aborted, AbortsLost, EpochsTaken, Adopted int
}

// keep collects garbage without grace until its standard input ends: first where backups are announced, to catch them at
// it, then in some domains by chance. Now and then it adopts packs.
func keep(ctx context.Context, r *repo.Repo, st store.Store) error {
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	var sum kept
	o := repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now}
	for ; ; sum.Runs++ {
		visit, err := busy(ctx, r, st)
		if err != nil {
			return err
		}
		for _, d := range visit {
			select {
			case <-ended:
				return json.NewEncoder(os.Stdout).Encode(sum)
			default:
			}
			res, err := r.GC(ctx, d, o)
			if err != nil {
				return fmt.Errorf("domain %s: %w", d, err)
			}
			sum.add(res)
		}
		if sum.Runs%100 != 99 {
			continue
		}
		n, _, err := r.Adopt(ctx, o)
		if err != nil {
			return err
		}
		sum.Adopted += n
	}
}

// fresh is how old an announcement may be for its writer to be at it still.
const fresh = 1500 * time.Millisecond

// busy returns the domains in which a backup was just announced, and four others.
func busy(ctx context.Context, r *repo.Repo, st store.Store) ([]string, error) {
	all, err := r.Domains(ctx)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var visit []string
	err = st.List(ctx, "pending/", func(i store.Info) error {
		if d := strings.Split(i.Name, "/")[1]; time.Since(i.ModTime) < fresh && !slices.Contains(visit, d) {
			visit = append(visit, d)
		}
		return nil
	})
	return append(visit, all[:min(4, len(all))]...), err
}

func (k *kept) add(r *repo.GCResult) {
	k.Condemned += r.Condemned
	k.Copied += r.Copied
	k.Deleted += r.Deleted
	k.Aborted += r.Aborted
	k.AbortsLost += r.AbortsLost
	k.EpochsTaken += r.EpochsTaken
}
