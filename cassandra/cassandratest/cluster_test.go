package cassandratest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
)

func TestTokensAreSpreadEvenlyOverTheRing(t *testing.T) {
	for _, shape := range []struct{ nodes, vnodes int }{{1, 1}, {1, 4}, {3, 1}, {3, 16}, {7, 5}} {
		c := &Cluster{options: Options{Nodes: shape.nodes, Vnodes: shape.vnodes}}
		var all []int64
		for i := range shape.nodes {
			for _, token := range (&Node{cluster: c, index: i}).tokens() {
				v, err := strconv.ParseInt(token, 10, 64)
				if err != nil {
					t.Fatalf("%+v: %v", shape, err)
				}
				all = append(all, v)
			}
		}
		slices.Sort(all)
		// Murmur3 gives no token to the smallest number.
		if len(all) != shape.nodes*shape.vnodes || all[0] != math.MinInt64+1 {
			t.Errorf("%+v: %d tokens from %d on", shape, len(all), all[0])
		}
		step := math.MaxUint64/uint64(len(all)) + 1
		for i := 1; i < len(all); i++ {
			if gap := uint64(all[i] - all[i-1]); gap > step+1 || gap+2 < step {
				t.Errorf("%+v: gap %d, want about %d", shape, gap, step)
			}
		}
	}
}

func TestTokensMayBeGiven(t *testing.T) {
	c := &Cluster{options: Options{Nodes: 2, Vnodes: 4, Tokens: [][]string{{"-7", "5", "9"}}}}
	yaml := (&Node{cluster: c}).yaml()
	for _, line := range []string{"num_tokens: 3\n", "initial_token: '-7,5,9'\n"} {
		if !strings.Contains(yaml, line) {
			t.Errorf("no line %q in\n%s", line, yaml)
		}
	}
	if n := len((&Node{cluster: c, index: 1}).tokens()); n != 4 {
		t.Errorf("a node without tokens of its own gets %d", n)
	}
}

func TestAClusterNeedsAPlainAbsoluteDirectory(t *testing.T) {
	for _, dir := range []string{"", "relative", "/with blank", "/with'quote", "/with\nline"} {
		if c, err := New(dir, Options{}); err == nil {
			c.Stop()
			t.Errorf("%q is taken", dir)
		}
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CBK_CACHE", t.TempDir())
	if _, err := New(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "apt-get install openjdk-17-jdk-headless") {
		t.Errorf("without java: %v", err)
	}
	if _, err := Jars(Version); err == nil || !strings.Contains(err.Error(), "apt-get install maven") {
		t.Errorf("without mvn: %v", err)
	}
}

func TestAReleaseThatDoesNotExistLeavesNothingInTheCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("CBK_CACHE", cache)
	t.Setenv("PATH", fakeMaven(t, "echo 'Could not find artifact'; exit 1")+":"+os.Getenv("PATH"))
	if _, err := Jars("0.0.0"); err == nil || !strings.Contains(err.Error(), "Could not find artifact") {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(cache + "/cassandra")
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "0.0.0-") || !strings.HasSuffix(left[0].Name(), ".lock") {
		t.Errorf("%v, %v", left, err)
	}
}

func TestJarsAreFetchedOnce(t *testing.T) {
	t.Setenv("CBK_CACHE", t.TempDir())
	t.Setenv("PATH", fakeMaven(t, `for a; do case $a in -DoutputDirectory=*) : >"${a#*=}/a.jar";; esac; done; echo x >>`+quote(t.TempDir()+"/calls"))+":"+os.Getenv("PATH"))
	first, err := Jars("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	again, err := Jars("1.2.3")
	if err != nil || again != first {
		t.Errorf("%q, then %q, %v", first, again, err)
	}
	if cp, err := classpath(first); err != nil || cp != first+"/a.jar" {
		t.Errorf("classpath %q, %v", cp, err)
	}
}

// Halves of logback that do not fit end every thread that logs an exception.
func TestTheHalvesOfLogbackAreOfOneVersion(t *testing.T) {
	for _, rel := range Releases() {
		dir, err := Jars(rel.Release)
		if err != nil {
			t.Fatal(err)
		}
		var versions []string
		for _, half := range []string{"logback-classic-", "logback-core-"} {
			found, err := filepath.Glob(filepath.Join(dir, half+"*.jar"))
			if err != nil || len(found) != 1 {
				t.Fatalf("%s: %v, %v", rel.Release, found, err)
			}
			versions = append(versions, strings.TrimPrefix(filepath.Base(found[0]), half))
		}
		if versions[0] != versions[1] {
			t.Errorf("%s: %v", rel.Release, versions)
		}
	}
}

// fakeMaven makes a folder with an mvn of its own.
func fakeMaven(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/mvn", []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestANodeThatCannotStartShowsTheEndOfItsLog(t *testing.T) {
	c, err := New(t.TempDir(), Options{ExtraYAML: []string{"no_such_option: 1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), errDead.Error()) || !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("error %v", err)
	}
}

func TestTwoNodesMakeOneRing(t *testing.T) {
	c := Run(t, Options{Nodes: 2, DCs: []string{"north", "south"}, Racks: []string{"r1", "r2"}})
	client, err := c.Nodes[0].client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if diff := cmp.Diff(map[string]bool{"north r1 NORMAL 4": true, "south r2 NORMAL 4": true}, members(t, client)); diff != "" {
		t.Errorf("both up (-want +got):\n%s", diff)
	}
	if err := c.Nodes[1].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The first node takes a moment to see it.
	want := map[string]bool{"north r1 NORMAL 4": true, "south r2 NORMAL 4": false}
	for !cmp.Equal(want, members(t, client)) {
		if !sleep(t.Context(), pollEvery) {
			t.Fatal("the stopped node is not seen down")
		}
	}
}

// members draws the ring: data centre, rack, state and number of tokens of each
// member, and whether it is up.
func members(t *testing.T, client *node.Node) map[string]bool {
	t.Helper()
	r, err := client.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	up := make(map[string]bool)
	for _, m := range r.Members {
		up[fmt.Sprint(m.DC, " ", m.Rack, " ", m.State, " ", len(m.Tokens))] = m.Up
	}
	return up
}
