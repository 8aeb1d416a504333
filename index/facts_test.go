package index_test

import (
	"bytes"
	"fmt"
	"testing"

	"cbk/index"
)

func fact(t *testing.T, c *index.Cache, key string) string {
	t.Helper()
	v, err := c.Fact([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(v)
}

func putFact(t *testing.T, c *index.Cache, key, value string) {
	t.Helper()
	if err := c.PutFact([]byte(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func TestFactsAreKeptAndReplaced(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	if v, err := c.Fact([]byte("file")); v != nil || err != nil {
		t.Errorf("a fact nobody put: %q, %v", v, err)
	}
	putFact(t, c, "file", "first")
	putFact(t, c, "file", "second")
	putFact(t, c, "", "of the empty key")
	closeCache(t, c)
	c = open(t, dir)
	defer closeCache(t, c)
	if a, b := fact(t, c, "file"), fact(t, c, ""); a != "second" || b != "of the empty key" {
		t.Errorf("facts %q and %q", a, b)
	}
}

// Facts share a database with blobs, packs and shards and may look like any of them.
func TestFactsAndBlobsDoNotMeet(t *testing.T) {
	c := temporary(t)
	a := onePack(1, 3)
	add(t, c, "one", a)
	for _, key := range []string{"one", "v", "h", "hone", string(a.Name[:]), "b" + string(a.Entries[0].ID[:])} {
		putFact(t, c, key, "a fact")
	}
	mustHave(t, c, a)
	shards, err := c.Shards()
	if err != nil || len(shards) != 1 {
		t.Errorf("shards %v, %v", shards, err)
	}
}

func TestASweepRemovesWhatIsNotKept(t *testing.T) {
	c := temporary(t)
	for i := range 500 {
		putFact(t, c, fmt.Sprintf("t1/%03d", i), fmt.Sprint(i%2))
	}
	putFact(t, c, "t2/000", "0")
	putFact(t, c, "t", "0")
	add(t, c, "one", onePack(1, 3))
	asked := 0
	err := c.SweepFacts([]byte("t1/"), func(v []byte) bool { asked++; return bytes.Equal(v, []byte("1")) })
	if err != nil || asked != 500 {
		t.Fatalf("%d facts asked about: %v", asked, err)
	}
	for i := range 500 {
		want := map[bool]string{true: "1", false: ""}[i%2 == 1]
		if got := fact(t, c, fmt.Sprintf("t1/%03d", i)); got != want {
			t.Errorf("fact %d is %q", i, got)
		}
	}
	if a, b := fact(t, c, "t2/000"), fact(t, c, "t"); a != "0" || b != "0" {
		t.Errorf("other facts are %q and %q", a, b)
	}
	mustHave(t, c, onePack(1, 3))
}

func TestASweepOfNothingIsNoError(t *testing.T) {
	c := temporary(t)
	putFact(t, c, "a", "1")
	if err := c.SweepFacts([]byte("b"), func([]byte) bool { return false }); err != nil || fact(t, c, "a") != "1" {
		t.Errorf("%v, fact %q", err, fact(t, c, "a"))
	}
	if err := c.SweepFacts(nil, func([]byte) bool { return false }); err != nil || fact(t, c, "a") != "" {
		t.Errorf("%v, fact %q", err, fact(t, c, "a"))
	}
}

func TestALargeFactIsKept(t *testing.T) {
	c := temporary(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 512<<10/16)
	putFact(t, c, "big", string(big))
	if got := fact(t, c, "big"); got != string(big) {
		t.Errorf("%d bytes came back as %d", len(big), len(got))
	}
}
