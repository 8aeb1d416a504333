package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
)

// site is a cluster of nodes that do as the real ones do, and hear what the test wants them to.
type site struct {
	t    *testing.T
	ring ring.Ring

	mu       sync.Mutex
	calls    []string // phase and address
	args     []string // of the last call
	standing map[string]bool
	recorded map[string]bool
	// on is asked before a call: an error ends it, done does in the middle.
	on   func(phase, address string) error
	said map[string]func(h cluster.Host) any // what a phase says in place of the usual
}

// newSite is a cluster of n nodes, two of them a rack, and of as many tokens.
func newSite(t *testing.T, n int, replication int) *site {
	s := &site{t: t, standing: make(map[string]bool), recorded: make(map[string]bool), said: make(map[string]func(cluster.Host) any),
		on: func(string, string) error { return nil }}
	s.ring = ring.Ring{Cluster: "shop", Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner", Replication: map[string]map[string]string{
		"shop":   {"class": "SimpleStrategy", "replication_factor": fmt.Sprint(replication)},
		"system": {"class": "LocalStrategy"},
	}}
	for i := range n {
		s.ring.Members = append(s.ring.Members, ring.Member{HostID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1), Address: fmt.Sprintf("10.0.0.%d", i+1),
			DC: []string{"east", "west"}[i%2], Rack: fmt.Sprint("r", i/2), State: ring.Normal, Up: true, Tokens: []string{fmt.Sprint(i * 1000)}})
	}
	return s
}

// RemoteConfig implements Runner.
func (s *site) RemoteConfig(h cluster.Host) string { return "/etc/cbk/" + h.Address }

// Run implements Runner.
func (s *site) Run(ctx context.Context, h cluster.Host, cmd cluster.Command) error {
	time.Sleep(time.Second)
	name := cmd.Args[2]
	s.mu.Lock()
	s.calls = append(s.calls, name+" "+h.Address)
	s.args = cmd.Args
	on := s.on
	s.mu.Unlock()
	if err := on(name, h.Address); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.answer(name, h) {
		b, err := json.Marshal(line)
		if raw, ok := line.(string); ok {
			b = []byte(raw)
		}
		if err != nil {
			s.t.Error(err)
		}
		if err := cmd.Line(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) answer(phase string, h cluster.Host) []any {
	if said := s.said[phase+" "+h.Address]; said != nil {
		return []any{said(h)}
	}
	i := slices.IndexFunc(s.ring.Members, func(m ring.Member) bool { return m.Address == h.Address })
	id := s.ring.Members[i].HostID
	if s.recorded[h.Address] && phase != "ring" {
		return []any{Prepared{Schema: PreparedSchema, Recorded: "snapshots/x"}}
	}
	switch phase {
	case "ring":
		return []any{Here{Schema: HereSchema, HostID: id, Address: h.Address, Ring: s.ring}}
	case "prepare":
		s.standing[h.Address] = true
		return []any{"{}", Prepared{Schema: PreparedSchema, HostID: id, Tag: "cbk-1", Started: Instant(time.Now()), Ready: Instant(time.Now().Add(time.Second))}}
	case "upload":
		delete(s.standing, h.Address)
		s.recorded[h.Address] = true
		return []any{Progress{Schema: ProgressSchema, Files: 3, FilesTotal: 9}, `{"schema":"cbk.backup/1","files":9,"missing":[],"damaged_sstables":0}`}
	case "clear":
		delete(s.standing, h.Address)
	}
	return nil
}

// backup runs one in a bubble.
func (s *site) backup(opt Options) (rep *Report, err error) {
	s.t.Helper()
	synctest.Test(s.t, func(t *testing.T) {
		rep, err = s.backupIn(t.Context(), opt)
	})
	return rep, err
}

func (s *site) backupIn(ctx context.Context, opt Options) (*Report, error) {
	opt.Name, opt.Log = "b", slog.New(slog.DiscardHandler)
	if opt.Seeds == nil {
		opt.Seeds = []string{"10.0.0.1"}
	}
	return Backup(ctx, s, opt)
}

// called are the calls of a phase, sorted.
func (s *site) called(phase string) (addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if name, address, _ := strings.Cut(c, " "); name == phase {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses
}

func (s *site) wantCalled(phase string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.called(phase)); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", phase, diff)
	}
}

func (s *site) wantStanding(want ...string) {
	s.t.Helper()
	var got []string
	for address := range s.standing {
		got = append(got, address)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("snapshots standing (-want +got):\n%s", diff)
	}
}

func states(r *Report) (states []string) {
	for i := range r.Nodes {
		states = append(states, r.Nodes[i].State)
	}
	return states
}

func wantStates(t *testing.T, r *Report, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func wantUnfinished(t *testing.T, err error, done, total int, level ring.Level) {
	t.Helper()
	var e *UnfinishedError
	if !errors.As(err, &e) || e.Done != done || e.Total != total || e.Level != level {
		t.Errorf("error is %T: %v", err, err)
	}
}

func TestAllNodesAreSnapshottedBeforeTheFirstUpload(t *testing.T) {
	s := newSite(t, 3, 2)
	rep, err := s.backup(Options{Prepare: []string{"--keyspace", "shop"}, Upload: []string{"--mode", "full"}, Uploads: cluster.Limits{Total: 1}})
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, rep, Done, Done, Done)
	s.wantCalled("prepare", "10.0.0.1", "10.0.0.2", "10.0.0.3")
	s.wantCalled("clear")
	if last := slices.IndexFunc(s.calls, func(c string) bool { return strings.HasPrefix(c, "upload") }); last != 4 {
		t.Errorf("calls: %v", s.calls)
	}
	if rep.Done != 3 || rep.Level != ring.All || rep.Spread != time.Second || rep.Nodes[1].Stored.Files != 9 || rep.Nodes[1].Progress.FilesTotal != 9 {
		t.Errorf("%+v", rep)
	}
	want := []string{"node", "--leash", "upload", "--config", "/etc/cbk/10.0.0.", "--name", "b", "--mode", "full"}
	if s.args[4] = s.args[4][:len(want[4])]; !slices.Equal(s.args, want) {
		t.Errorf("args: %q", s.args)
	}
	s.wantStanding()
}

func TestADownNodeIsLeftOutWhereItsReplicasDo(t *testing.T) {
	s := newSite(t, 3, 3)
	s.ring.Members[1].Up = false
	rep, err := s.backup(Options{Require: ring.Quorum})
	wantUnfinished(t, err, 2, 3, ring.Quorum)
	wantStates(t, rep, Done, Down, Done)
	s.wantCalled("prepare", "10.0.0.1", "10.0.0.3")
}

// Nothing is to be snapshotted for a backup that could not be restored.
func TestABackupThatWouldLackRangesTakesNoSnapshot(t *testing.T) {
	for level, replication := range map[ring.Level]int{ring.One: 1, ring.Quorum: 2, ring.All: 3} {
		s := newSite(t, 3, replication)
		s.ring.Members[1].Up = false
		_, err := s.backup(Options{Require: level})
		var lacks *LacksError
		if !errors.As(err, &lacks) || !slices.Equal(lacks.Missing, []string{"10.0.0.2"}) || len(lacks.Lacks) != 1 || lacks.Lacks[0].Keyspace != "shop" {
			t.Errorf("%s: %v", level, err)
		}
		s.wantCalled("prepare")
	}
	s := newSite(t, 3, 1)
	s.ring.Members[1].Up = false
	rep, err := s.backup(Options{Require: ring.None})
	wantUnfinished(t, err, 2, 3, ring.None)
	wantStates(t, rep, Done, Down, Done)
}

func TestNodesThatCannotSnapshotAreJudgedLikeDownOnes(t *testing.T) {
	for _, c := range []struct {
		replication int
		states      []string
	}{{1, []string{Cleared, Cleared, Cleared}}, {3, []string{Done, Failed, Done}}} {
		s := newSite(t, 3, c.replication)
		s.on = func(phase, address string) error {
			if phase == "prepare" && address == "10.0.0.2" {
				return &cluster.ExitError{Host: address, Code: 5, Stderr: "cbk: refused: disk\n"}
			}
			return nil
		}
		rep, err := s.backup(Options{Require: ring.One})
		wantStates(t, rep, c.states...)
		s.wantStanding()
		if err == nil || c.replication == 1 && len(s.called("upload")) > 0 {
			t.Errorf("replication %d: %v", c.replication, err)
		}
	}
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	s := newSite(t, 2, 1)
	failures := map[string]int{"prepare 10.0.0.1": 2, "upload 10.0.0.2": 5}
	s.on = func(phase, address string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if failures[phase+" "+address]--; failures[phase+" "+address] >= 0 {
			return &cluster.LostError{Host: address, Err: io.EOF}
		}
		return nil
	}
	rep, err := s.backup(Options{Require: ring.One})
	if err != nil {
		t.Error(err)
	}
	wantStates(t, rep, Done, Done)
}

// The next run stores the same moment.
func TestANodeThatCannotUploadKeepsItsSnapshotForTheNextRun(t *testing.T) {
	s := newSite(t, 3, 3)
	s.on = func(phase, address string) error {
		if phase == "upload" && address == "10.0.0.3" {
			return &cluster.ExitError{Host: address, Code: 1}
		}
		return nil
	}
	rep, err := s.backup(Options{Require: ring.One})
	wantUnfinished(t, err, 2, 3, ring.Quorum)
	wantStates(t, rep, Done, Done, Failed)
	s.wantStanding("10.0.0.3")
	s.on = func(string, string) error { return nil }
	rep, err = s.backup(Options{Require: ring.One})
	if err != nil || rep.Done != 3 {
		t.Errorf("again: %v", err)
	}
	wantStates(t, rep, Before, Before, Done)
	if _, err := s.backup(Options{}); !errors.Is(err, ErrAllRecorded) {
		t.Errorf("a third time: %v", err)
	}
}

func TestAnInterruptionClearsWhatIsNotStored(t *testing.T) {
	for _, phase := range []string{"prepare", "upload"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, 3, 1)
			ctx, cancel := context.WithCancelCause(t.Context())
			interrupted := errors.New("interrupted")
			s.on = func(name, address string) error {
				if name == phase && address == "10.0.0.2" {
					cancel(interrupted)
				}
				return nil
			}
			rep, err := s.backupIn(ctx, Options{Uploads: cluster.Limits{Total: 1}})
			if !errors.Is(err, interrupted) {
				t.Errorf("%s: error is %v", phase, err)
			}
			s.wantStanding()
			if phase == "upload" {
				wantStates(t, rep, Done, Cleared, Cleared)
			}
		})
	}
}

func TestASnapshotThatCannotBeClearedIsTold(t *testing.T) {
	s := newSite(t, 3, 1)
	s.on = func(phase, address string) error {
		if phase == "clear" && address == "10.0.0.1" || phase == "prepare" && address == "10.0.0.2" {
			return &cluster.ExitError{Host: address, Code: 2}
		}
		return nil
	}
	if _, err := s.backup(Options{Require: ring.One}); err == nil || !strings.Contains(err.Error(), "may be left on 10.0.0.1: cbk node clear --name b") {
		t.Errorf("error is %v", err)
	}
	s.wantStanding("10.0.0.1")
}

func TestAnotherNodeUnderTheAddressTakesNoPart(t *testing.T) {
	s := newSite(t, 3, 3)
	s.said["prepare 10.0.0.2"] = func(h cluster.Host) any {
		s.standing[h.Address] = true
		return Prepared{Schema: PreparedSchema, HostID: "another", Tag: "cbk-1"}
	}
	rep, err := s.backup(Options{Require: ring.One})
	wantUnfinished(t, err, 2, 3, ring.Quorum)
	wantStates(t, rep, Done, Failed, Done)
	s.wantStanding()
	if !strings.Contains(err.Error(), "10.0.0.2 answers as node another") {
		t.Errorf("error is %v", err)
	}
}

func TestANodeThatSaysNothingOrNonsenseIsNotDone(t *testing.T) {
	for _, phase := range []string{"prepare", "upload"} {
		for _, line := range []string{`{}`, `{"schema":"cbk.other/1"}`, `welcome to the machine`, `{"schema":"cbk.backup/1","files":"many"}`, `{"schema":"cbk.node-prepared/1"}`} {
			s := newSite(t, 3, 3)
			s.said[phase+" 10.0.0.2"] = func(cluster.Host) any { return line }
			rep, err := s.backup(Options{Require: ring.One})
			wantUnfinished(t, err, 2, 3, ring.Quorum)
			wantStates(t, rep, Done, Failed, Done)
		}
	}
	s := newSite(t, 3, 3)
	s.said["ring 10.0.0.1"] = func(cluster.Host) any { return "{}" }
	if _, err := s.backup(Options{}); !errors.Is(err, ErrSilent) {
		t.Errorf("ring: %v", err)
	}
}

func TestABackupWithFlawsIsNotWhole(t *testing.T) {
	for _, line := range []string{`{"schema":"cbk.backup/1","missing":["shop.a"]}`, `{"schema":"cbk.backup/1","damaged_sstables":1}`} {
		s := newSite(t, 3, 3)
		s.said["upload 10.0.0.2"] = func(cluster.Host) any { return line }
		rep, err := s.backup(Options{})
		wantUnfinished(t, err, 3, 3, ring.All)
		wantStates(t, rep, Done, Done, Done)
		if !strings.Contains(err.Error(), "what 1 of them had was not whole") {
			t.Errorf("error is %v", err)
		}
	}
}

func TestTheNextSeedIsAskedWhereOneDoesNotAnswer(t *testing.T) {
	s := newSite(t, 2, 1)
	s.on = func(phase, address string) error {
		if phase == "ring" && address == "10.0.0.1" {
			return &cluster.DialError{Host: address, Err: io.EOF}
		}
		return nil
	}
	if _, err := s.backup(Options{Seeds: []string{"10.0.0.1", "10.0.0.2"}}); err != nil {
		t.Error(err)
	}
	var dial *cluster.DialError
	if _, err := s.backup(Options{}); !errors.As(err, &dial) {
		t.Errorf("without another: %v", err)
	}
}

func TestEachHostIsMadeReadyFirst(t *testing.T) {
	s := newSite(t, 2, 1)
	ready := make(map[string]int)
	opt := Options{Ready: func(_ context.Context, h cluster.Host) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		ready[h.Address]++
		return nil
	}}
	if _, err := s.backup(opt); err != nil || ready["10.0.0.1"] != 2 || ready["10.0.0.2"] != 1 {
		t.Errorf("made ready %v: %v", ready, err)
	}
	refused := errors.New("of another machine")
	opt.Ready = func(_ context.Context, h cluster.Host) error { return refused }
	if _, err := s.backup(opt); !errors.Is(err, refused) {
		t.Errorf("error is %v", err)
	}
}

func TestFiltersChooseNodesAndMisspellingsNone(t *testing.T) {
	for _, c := range []struct {
		filter Filter
		want   []string
		err    string
	}{
		{Filter{}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}, ""},
		{Filter{DCs: []string{"east"}}, []string{"10.0.0.1", "10.0.0.3"}, ""},
		{Filter{Racks: []string{"r1"}}, []string{"10.0.0.3", "10.0.0.4"}, ""},
		{Filter{Racks: []string{"east:r1"}}, []string{"10.0.0.3"}, ""},
		{Filter{Nodes: []string{"10.0.0.2", "00000000-0000-0000-0000-000000000003"}}, []string{"10.0.0.2", "10.0.0.3"}, ""},
		{Filter{DCs: []string{"east", "north"}}, nil, "no NORMAL node of data centre north"},
		{Filter{Racks: []string{"east:r7"}}, nil, "no NORMAL node of rack east:r7"},
		{Filter{Nodes: []string{"10.0.0.9"}}, nil, "no NORMAL node of node 10.0.0.9"},
		{Filter{DCs: []string{"east"}, Nodes: []string{"10.0.0.2"}}, nil, "passes all filters"},
	} {
		s := newSite(t, 4, 1)
		rep, err := s.backup(Options{Filter: c.filter, Require: ring.All})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c.filter, err)
			}
			continue
		}
		s.wantCalled("upload", c.want...)
		if rep.Chosen != len(c.want) || (len(c.want) < 4) != (err != nil) {
			t.Errorf("%+v: %d chosen, %v", c.filter, rep.Chosen, err)
		}
	}
}

func TestARingThatCannotBeTrustedStopsBeforeTheFirstSnapshot(t *testing.T) {
	for want, change := range map[string]func(*ring.Ring){
		"not known: why":            func(r *ring.Ring) { r.Absent = "why" },
		"have the same address":     func(r *ring.Ring) { r.Members[1].Address = r.Members[0].Address },
		"no NORMAL node of the":     func(r *ring.Ring) { r.Members[0].State, r.Members[1].State = ring.Joining, ring.Joining },
		"10.0.0.2 the backup would": func(r *ring.Ring) { r.Replication["shop"]["class"] = "com.example.Own"; r.Members[1].Up = false },
	} {
		s := newSite(t, 2, 1)
		change(&s.ring)
		if _, err := s.backup(Options{Require: ring.One}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
		s.wantCalled("prepare")
	}
}

func TestABudgetIsSharedOutAmongTheUploadsOfAMoment(t *testing.T) {
	for want, limits := range map[int]cluster.Limits{9: {}, 4: {Total: 4}, 6: {PerDC: 3}, 2: {PerDC: 1, PerRack: 1, Total: 7}, 1: {PerDC: 4, Total: 1}} {
		s := newSite(t, 9, 1)
		var told int
		if _, err := s.backup(Options{Uploads: limits, Share: func(n int) []string { told = n; return []string{"--share"} }}); err != nil {
			t.Error(err)
		}
		if told != want || !slices.Contains(s.args, "--share") {
			t.Errorf("%+v: %d at a time, want %d; %q", limits, told, want, s.args)
		}
	}
}
