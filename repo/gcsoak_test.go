//go:build soak

package repo_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"cbk/repo/store"
)

// maxGC is the resident memory that gc may use for a domain of ten million blobs, in KiB.
const maxGC = 512 << 10

// TestSoakTenMillionBlobs collects a domain of ten million blobs, half a million of them dead in packs all over the index,
// with packs to copy from, in a process of its own, and looks at its memory.
func TestSoakTenMillionBlobs(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	c := &crowdedDomain{blobs: 10_000_000, dead: 20, thin: 4}
	c.build(t, st)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), limitEnv+"="+dir+"|ten million blobs")
	out, err := child.CombinedOutput()
	kib, ms := 0, 0
	fmt.Sscanf(string(out), "KiB %d ms %d", &kib, &ms)
	t.Logf("%d shards, %d dead packs: %d MiB, %d ms of a processor\n%s", c.total.shards, c.total.deadPacks, kib>>10, ms, out)
	if want := fmt.Sprintf("Condemned:%d ", c.total.deadPacks+4); err != nil || kib == 0 || kib > maxGC || !strings.Contains(string(out), want) {
		t.Errorf("%v, want %s in at most %d MiB", err, want, maxGC>>10)
	}
}
