package restore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/pack"
	"cbk/restore/prove"
)

var _ Host = (*node.Node)(nil)

func TestANodeGetsItsFilesAndKeepsTheOldOnes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	data := filepath.Join(h.dir, "data")
	if err := os.Chmod(data, 0o710); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(data, 4321, 1234); err != nil {
			t.Fatal(err)
		}
	}
	before := stat(t, data)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	phases := make(map[string]Phase)
	for _, call := range []string{"stop", "start", "wait", "identity", "query shop.customers"} {
		h.on[call] = func() error { phases[call] = r.journal(t).Phase; return nil }
	}
	out, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(h.dir, "cbk-before-"+planID)
	want := &Outcome{Files: len(backedUp()), Bytes: r.Plan.Bytes, Verified: out.Verified, Before: []string{aside}}
	if diff := cmp.Diff(want, out); diff != "" || len(out.Verified.Tables) != 2 || out.Verified.Failures != 0 {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	mustBe(t, data, backedUp())
	mustBe(t, aside, oldFiles())
	for _, dir := range []string{"commitlog", "hints", "saved_caches"} {
		mustBe(t, filepath.Join(h.dir, dir), files{})
	}
	if diff := cmp.Diff([]string{"identity", "stop", "start", "wait", "identity", "query shop.customers", "query shop.orders"}, h.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	wantPhases := map[string]Phase{"stop": PhaseStop, "start": PhaseStart, "wait": PhaseStart, "identity": PhaseStart, "query shop.customers": PhaseVerify}
	if diff := cmp.Diff(wantPhases, phases); diff != "" || r.journal(t).Phase != PhaseDone {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	after := stat(t, data)
	if before.Ino != after.Ino || before.Uid != after.Uid || before.Gid != after.Gid || before.Mode != after.Mode {
		t.Errorf("the data directory was %+v and is %+v", before, after)
	}
	for name := range backedUp() {
		if st := stat(t, filepath.Join(data, name)); st.Uid != before.Uid || st.Gid != before.Gid || st.Mode&0o777 != 0o600 {
			t.Errorf("%s belongs to %d:%d, mode %o", name, st.Uid, st.Gid, st.Mode)
		}
		if st := stat(t, filepath.Dir(filepath.Join(data, name))); st.Uid != before.Uid || st.Mode&0o777 != 0o710 {
			t.Errorf("directory of %s belongs to %d, mode %o", name, st.Uid, st.Mode)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "cbk-restore-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func stat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

func TestANodeThatIsDownIsRestoredAndStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.up = false
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	if _, err := r.Run(t.Context()); err != nil || !h.up {
		t.Errorf("up %v, %v", h.up, err)
	}
	mustBe(t, filepath.Join(h.dir, "data"), backedUp())
}

func TestMoreDataDirectoriesThanThereWereAreFilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, name := range []string{"data2", "data3"} {
		write(t, filepath.Join(h.dir, name, "shop/customers-0/nb-2-big-Data.db"), "old in "+name)
		h.layout.DataDirs = append(h.layout.DataDirs, filepath.Join(h.dir, name))
	}
	one := files{tableDir("shop", "customers") + "/nb-1-big-Data.db": noise(1, 900)}
	two := files{tableDir("shop", "customers") + "/nb-2-big-Data.db": noise(2, 900)}
	r := inPlace(t, newRig(t).backup("monday", one, two), h)
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(files)
	for _, dir := range h.layout.DataDirs {
		got = merged(got, tree(t, dir))
	}
	if diff := cmp.Diff(merged(one, two), got); diff != "" {
		t.Error("not all of the files came back, each once")
	}
	mustBe(t, filepath.Join(h.dir, "cbk-before-"+planID, "data3"), files{"shop/customers-0/nb-2-big-Data.db": "old in data3"})
}

// Before the switch a failure leaves the node as it was. Rolled back, nothing is left of it, and the next restore works.
func TestAFailureBeforeTheSwitchTouchesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, rig *rig, r *placing, h *fakeHost, ctx context.CancelFunc)
		says  string
		is    func(error) bool
		down  bool // Cassandra is stopped
	}{
		{"a component is damaged in the repository", func(_ *testing.T, rig *rig, r *placing, _ *fakeHost, _ context.CancelFunc) {
			rig.spoil(rig.blobOf(noise(1, 200_000)))
		}, "not restored", func(err error) bool { return errors.As(err, new(*DamagedError)) }, false},
		{"a page is damaged in the repository", func(_ *testing.T, rig *rig, r *placing, _ *fakeHost, _ context.CancelFunc) {
			rig.spoil(pack.ID(r.Snap.Node.Tables[0].Pages[0]))
		}, "damaged description", func(err error) bool { return errors.As(err, new(*DamagedError)) }, false},
		{"it is interrupted while it fetches", func(_ *testing.T, _ *rig, r *placing, _ *fakeHost, cancel context.CancelFunc) {
			r.Progress = hooks{done: cancel}
		}, "context canceled", func(err error) bool { return errors.Is(err, context.Canceled) }, false},
		{"the disk is not as it was written", func(t *testing.T, _ *rig, r *placing, h *fakeHost, _ context.CancelFunc) {
			left := r.Plan.Files
			r.Progress = hooks{done: func() {
				if left--; left == 0 {
					flipFile(t, filepath.Join(r.Plan.Moves[0].Staging, tableDir("shop", "orders"), "oa-2-big-Data.db"))
				}
			}}
		}, "does not match its hash when read back from disk", nil, false},
		{"a file went away after it was written", func(t *testing.T, _ *rig, r *placing, h *fakeHost, _ context.CancelFunc) {
			left := r.Plan.Files
			r.Progress = hooks{done: func() {
				if left--; left == 0 {
					os.Remove(filepath.Join(r.Plan.Moves[0].Staging, tableDir("shop", "orders"), "oa-2-big-CRC.db"))
				}
			}}
		}, "verify restored file", func(err error) bool { return errors.Is(err, os.ErrNotExist) }, false},
		{"the backup holds fewer files than it says", func(_ *testing.T, _ *rig, r *placing, _ *fakeHost, _ context.CancelFunc) { r.Plan.Files++ },
			"8 are in the backup", nil, false},
		{"a data directory went away", func(t *testing.T, _ *rig, r *placing, h *fakeHost, _ context.CancelFunc) {
			if err := os.Rename(r.Plan.Moves[0].Live, r.Plan.Moves[0].Live+".away"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Rename(r.Plan.Moves[0].Live+".away", r.Plan.Moves[0].Live) })
		}, "data directory", nil, false},
		{"Cassandra cannot be stopped", func(_ *testing.T, _ *rig, _ *placing, h *fakeHost, _ context.CancelFunc) { h.fails("stop") },
			"injected failure; nothing was moved", func(err error) bool { return errors.Is(err, errInjected) }, true},
		{"it is interrupted while Cassandra stops", func(_ *testing.T, _ *rig, _ *placing, h *fakeHost, cancel context.CancelFunc) {
			h.on["stop"] = func() error { h.up = true; cancel(); return nil }
		}, "context canceled; nothing was moved", func(err error) bool { return errors.Is(err, context.Canceled) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rig, h := newRig(t), newHost(t)
			r := inPlace(t, rig.backup("monday", backedUp()), h)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.spoil(t, rig, r, h, cancel)
			out, err := r.Run(ctx)
			if out != nil || err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !c.is(err) {
				t.Fatalf("got %+v, %v, want %q", out, err, c.says)
			}
			if h.up == c.down {
				t.Errorf("up %v", h.up)
			}
			if c.name == "a data directory went away" {
				return
			}
			damaged := errors.As(err, new(*DamagedError))
			if (r.journal(t) == nil) != damaged {
				t.Errorf("journal: %+v", r.journal(t))
			}
			h.on = nil
			if !damaged {
				h.mustLive(t)
				if err := r.rollback(t)(); err != nil || r.journal(t) != nil || !h.up {
					t.Errorf("rollback: %v, journal %+v, up %v", err, r.journal(t), h.up)
				}
			}
			h.mustBeUntouched(t)
			h.up = true
			next := inPlace(t, newRig(t).backup("monday", backedUp()), h)
			if _, err := next.Run(t.Context()); err != nil {
				t.Errorf("the next restore: %v", err)
			}
			mustBe(t, filepath.Join(h.dir, "data"), backedUp())
		})
	}
}

func flipFile(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		b[len(b)/2] ^= 1
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// From the switch on an error says where the old files are, and the same restore goes on where it was, once that can be.
func TestAFailureAfterTheSwitchSaysWhereTheOldFilesAre(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, r *placing, h *fakeHost)
		says  string
	}{
		{"Cassandra does not start", func(_ *testing.T, _ *placing, h *fakeHost) { h.fails("start") }, "injected failure; the restored files are in place"},
		{"Cassandra does not answer", func(_ *testing.T, _ *placing, h *fakeHost) { h.fails("wait") }, "injected failure; the restored files are in place"},
		{"it cannot be asked who it is", func(_ *testing.T, _ *placing, h *fakeHost) {
			h.on["start"] = func() error { h.fails("identity"); return nil }
		}, "injected failure; the restored files are in place"},
		{"it calls itself another", func(_ *testing.T, _ *placing, h *fakeHost) {
			h.on["start"] = func() error { h.id = "bbbbbbbb-0000-4000-8000-000000000002"; return nil }
		}, "the restored node calls itself bbbbbbbb-0000-4000-8000-000000000002, the backup is of " + hostID},
		{"it is interrupted after the switch", func(_ *testing.T, _ *placing, h *fakeHost) {
			h.on["wait"] = func() error { return context.Canceled }
		}, "context canceled; the restored files are in place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			rig := newRig(t)
			r := inPlace(t, rig.backup("monday", backedUp()), h)
			c.spoil(t, r, h)
			out, err := r.Run(t.Context())
			aside := filepath.Join(h.dir, "cbk-before-"+planID)
			if out != nil || err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasSuffix(err.Error(), "the old ones in "+aside) {
				t.Fatalf("got %+v, %v, want %q", out, err, c.says)
			}
			mustBe(t, filepath.Join(h.dir, "data"), backedUp())
			mustBe(t, aside, oldFiles())
			if j := r.journal(t); j == nil || j.Phase != PhaseStart {
				t.Fatalf("journal %+v", j)
			}
			calls := len(h.calls)
			h.on = nil
			other := &placing{r.Options, rig.backup("tuesday", backedUp()), nil}
			if other.Plan, err = NewPlan(t.Context(), other.Snap, &fakeHost{layout: h.layout}, orderAt(InPlace, other.Snap, time.Now())); err != nil {
				t.Fatal(err)
			}
			_, err = other.Run(t.Context())
			if unfinished := (*UnfinishedError)(nil); !errors.As(err, &unfinished) || !strings.Contains(err.Error(), planID) || len(h.calls) != calls {
				t.Errorf("another restore: %v, calls %v", err, h.calls[calls:])
			}
			h.id = hostID
			if out, err := r.Run(t.Context()); err != nil || out.Files != len(backedUp()) || len(out.Verified.Tables) != 2 || r.journal(t).Phase != PhaseDone {
				t.Errorf("the same restore: %+v, %v", out, err)
			}
			mustBe(t, aside, oldFiles())
		})
	}
}

// A table that does not answer is told, and the restore is neither done nor lost.
func TestATableThatDoesNotAnswerLeavesTheRestoreUnproven(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	h.fails("query shop.orders")
	out, err := r.Run(t.Context())
	if unproven := (*prove.UnprovenError)(nil); !errors.As(err, &unproven) || out == nil || out.Verified.Failures != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	if j := r.journal(t); j.Phase != PhaseVerify || !h.up {
		t.Errorf("phase %s, up %v", j.Phase, h.up)
	}
	h.on = nil
	calls := len(h.calls)
	if out, err = r.Run(t.Context()); err != nil || out.Verified.Failures != 0 || r.journal(t).Phase != PhaseDone {
		t.Errorf("verified again: %+v, %v", out, err)
	}
	if diff := cmp.Diff([]string{"query shop.customers", "query shop.orders"}, h.calls[calls:]); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Something that appears in the way of a move while Cassandra stops.
func TestAFileInTheWayOfTheSwitchEndsIt(t *testing.T) {
	for _, c := range []struct {
		name  string
		place func(r *placing) string
	}{
		{"of an old file", func(r *placing) string { return filepath.Join(r.Plan.Moves[1].Before, "CommitLog-7-1.log") }},
		{"of the old data", func(r *placing) string { return filepath.Dir(r.Plan.Moves[0].Before) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
			way := c.place(r)
			h.on["stop"] = func() error { write(t, way, "in the way"); return nil }
			_, err := r.Run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "switch: ") || !strings.Contains(err.Error(), "the old files are in "+filepath.Dir(r.Plan.Moves[0].Before)) {
				t.Errorf("got %v", err)
			}
			if r.journal(t).Phase != PhaseAside || h.up {
				t.Errorf("journal %+v, up %v", r.journal(t), h.up)
			}
			// Nothing was overwritten, and every old file is where it was or where the journal says.
			all := tree(t, h.dir)
			if all[strings.TrimPrefix(way, h.dir+"/")] != "in the way" {
				t.Error("what was in the way is gone")
			}
			for name, content := range oldFiles() {
				if all[name] != content && all["cbk-before-"+planID+"/"+name] != content {
					t.Errorf("%s is lost", name)
				}
			}
			// Once it is out of the way, the restore goes on.
			if err := os.Remove(way); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Run(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			mustBe(t, filepath.Join(h.dir, "data"), backedUp())
			mustBe(t, filepath.Join(h.dir, "cbk-before-"+planID), oldFiles())
		})
	}
}

func TestWhatCarriesTheRestoresNameIsNotSwitchedIn(t *testing.T) {
	for _, name := range []string{"cbk-restore-" + planID + "/data/planted", "cbk-before-" + planID + "/data/planted", "cbk-before-" + planID + "/hints/planted"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
			write(t, filepath.Join(h.dir, name), "mine")
			_, err := r.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(filepath.Join(h.dir, strings.SplitN(name, "/", 2)[0]), "/")+" exists already") {
				t.Errorf("got %v", err)
			}
			if got := tree(t, h.dir); got[name] != "mine" || r.journal(t) != nil || !h.up {
				t.Errorf("%q, journal %+v, up %v", got[name], r.journal(t), h.up)
			}
		})
	}
}

func TestTwoRestoresAtOnceAreOneTooMany(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := newRig(t).backup("monday", backedUp())
	r := inPlace(t, s, h)
	h.on["stop"] = func() error {
		h.on = nil
		other := *r
		if _, err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another restore is running with the state directory "+r.StateDir) {
			t.Errorf("the second: %v", err)
		}
		return nil
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := &placing{Options: r.Options, Snap: s}
	var err error
	if again.Plan, err = NewPlan(t.Context(), s, h, orderAt(InPlace, s, started.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Run(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	mustBe(t, filepath.Join(h.dir, "cbk-before-"+again.Plan.ID, "data"), backedUp())
}

// A node that goes on answering is not stopped, whatever its stop command said.
func TestANodeThatStillAnswersIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{on: make(map[string]func() error)}
		h.on["stop"] = func() error { h.up = true; return nil }
		r := &Job{Options: Options{Host: h, Log: silentLog}}
		asked := time.Now()
		err := r.stop(t.Context())
		if err == nil || !strings.Contains(err.Error(), "Cassandra still answers, for 2m0s") || time.Since(asked) != stopTimeout {
			t.Errorf("after %v: %v", time.Since(asked), err)
		}
		// One that takes its time is waited for.
		h.on["stop"] = func() error {
			h.up = true
			go func() { time.Sleep(time.Minute); h.up = false }()
			return nil
		}
		asked = time.Now()
		if err := r.stop(t.Context()); err != nil || time.Since(asked) < time.Minute {
			t.Errorf("after %v: %v", time.Since(asked), err)
		}
		// An interruption is one, also while waiting.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		h.on["stop"] = func() error { h.up = true; return nil }
		if err := r.stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
