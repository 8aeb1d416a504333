package repo_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"cbk/pack"
	"cbk/repo"
)

// Streams hand over buffers that come back to them; blobs stored beside them must not be proved in a buffer that is
// already being filled again.
func TestStreamsAndSingleBlobsSideBySideStayWhole(t *testing.T) {
	r, _ := newRepo(t)
	s := session(t, r, "node-1")
	const streams, blobs = 4, 400
	refs := make([][]repo.Ref, streams)
	single := make([][]repo.Ref, streams)
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			_, err := s.Stream(bytes.NewReader(noise(i, 6<<20)), pack.OtherSizes, func(part []repo.Ref) error {
				refs[i] = append(refs[i], part...)
				return nil
			})
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
		all.Go(func() {
			for n := range blobs {
				ref, _, err := s.Put(pack.Recipe, fmt.Appendf(nil, "recipe %d of %d", n, i))
				if err != nil {
					t.Errorf("blob %d of %d: %v", n, i, err)
					return
				}
				single[i] = append(single[i], ref)
			}
		})
	}
	all.Wait()
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	rd, err := r.NewReader(t.Context(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	for i := range streams {
		var got []byte
		for _, ref := range refs[i] {
			plain, err := rd.Load(t.Context(), &repo.Scratch{}, nil, ref.ID, pack.Data)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, plain...)
		}
		if !bytes.Equal(got, noise(i, 6<<20)) {
			t.Errorf("stream %d came back different", i)
		}
		for n, ref := range single[i] {
			plain, err := rd.Load(t.Context(), &repo.Scratch{}, nil, ref.ID, pack.Recipe)
			if err != nil || string(plain) != fmt.Sprintf("recipe %d of %d", n, i) {
				t.Errorf("blob %d of %d: %q, %v", n, i, plain, err)
			}
		}
	}
}
