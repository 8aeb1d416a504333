package whole

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
	"cbk/restore"
	"cbk/snapshot/fleet"
)

// site is a cluster of nodes with journals that do as the real ones do.
type site struct {
	t *testing.T

	mu      sync.Mutex
	calls   []string // phase and address, as they began
	stdin   map[string]string
	journal map[string]restore.Phase // by address
	upAfter map[string]int           // looks at the ring until a node is up in it
	on      func(phase, address string) error
	said    map[string]string // what a phase says in place of the usual
}

const id = "20261124T010203Z"

func newSite(t *testing.T) *site {
	return &site{t: t, stdin: make(map[string]string), journal: make(map[string]restore.Phase), upAfter: make(map[string]int), said: make(map[string]string),
		on: func(string, string) error { return nil }}
}

// RemoteConfig implements fleet.Runner.
func (s *site) RemoteConfig(h cluster.Host) string { return "/etc/cbk/" + h.Address }

// next are the phases that a call leads to.
var next = map[string]restore.Phase{"fetch": restore.PhaseFetched, "switch": restore.PhaseStart, "start": restore.PhaseVerify, "verify": restore.PhaseDone,
	"commit": restore.PhaseCommitted, "rollback": restore.PhaseUndone}

// Run implements fleet.Runner.
func (s *site) Run(ctx context.Context, h cluster.Host, cmd cluster.Command) error {
	phase := cmd.Args[2]
	s.mu.Lock()
	s.calls = append(s.calls, phase+" "+h.Address)
	if cmd.Stdin != nil {
		b, _ := io.ReadAll(cmd.Stdin)
		s.stdin[phase+" "+h.Address] = string(b)
	}
	on := s.on
	s.mu.Unlock()
	time.Sleep(time.Second)
	if err := on(phase, h.Address); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.answer(phase, h.Address) {
		if err := cmd.Line([]byte(line)); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) answer(phase, address string) []string {
	if said, ok := s.said[phase+" "+address]; ok {
		return []string{said}
	}
	switch phase {
	case "ring":
		here := fleet.Here{Schema: fleet.HereSchema, HostID: "x"}
		for _, a := range addresses {
			s.upAfter[a]--
			here.Ring.Members = append(here.Ring.Members, ring.Member{Address: a, Up: s.upAfter[a] < 0})
		}
		return []string{text(here)}
	case "restores":
		doc := Restores{Schema: RestoresSchema}
		if p := s.journal[address]; p != "" {
			doc.Restores = []One{{ID: id, Backup: "monday", Phase: p, Way: restore.Clone, Node: NodeName{HostID: "id of " + address}}}
		}
		return []string{text(doc)}
	case "alter":
		return nil
	}
	if now := s.journal[address]; !now.Over() || phase == "commit" || phase == "rollback" {
		s.journal[address] = next[phase]
	}
	return []string{text(fleet.Progress{Schema: fleet.ProgressSchema, Bytes: 7}), text(PhaseLine{Schema: PhaseSchema, ID: id, Phase: s.journal[address]})}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

var addresses = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}

// options restore three nodes, the second of which is the seed.
func options() Options {
	opt := Options{ID: id, Log: slog.New(slog.DiscardHandler), Verify: []string{"--verify=counts"}}
	for i, a := range addresses {
		opt.Parts = append(opt.Parts, Part{Host: cluster.Host{Address: a}, Seed: i == 1, Order: func(context.Context) ([]byte, error) { return []byte("order for " + a), nil }})
	}
	return opt
}

func (s *site) restore(opt Options) (nodes []Node, err error) {
	s.t.Helper()
	synctest.Test(s.t, func(t *testing.T) { nodes, err = Restore(t.Context(), s, opt) })
	return nodes, err
}

// began are the calls without the addresses, each once, in the order in which the first of them began.
func (s *site) began() (phases []string) {
	for _, c := range s.calls {
		phase, _, _ := strings.Cut(c, " ")
		if len(phases) == 0 || phases[len(phases)-1] != phase {
			phases = append(phases, phase)
		}
	}
	return phases
}

func phases(nodes []Node) (at []restore.Phase) {
	for i := range nodes {
		at = append(at, nodes[i].Phase)
	}
	return at
}

func want[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachPhaseBeginsWhenAllHaveEndedTheOneBefore(t *testing.T) {
	s := newSite(t)
	opt := options()
	opt.Statements = []string{"ALTER KEYSPACE a", "ALTER KEYSPACE b"}
	s.upAfter["10.0.0.3"] = 3
	nodes, err := s.restore(opt)
	if err != nil {
		t.Fatal(err)
	}
	want(t, []restore.Phase{restore.PhaseDone, restore.PhaseDone, restore.PhaseDone}, phases(nodes))
	want(t, []string{"fetch", "switch", "start", "ring", "alter", "verify"}, s.began())
	// The seed starts alone, and the statements are run when the last node is up.
	want(t, []string{"start 10.0.0.2", "start 10.0.0.1", "start 10.0.0.3"}, ordered(s.calls[6:9]))
	if n := strings.Count(strings.Join(s.calls, "|"), "ring 10.0.0.1"); n != 4 {
		t.Errorf("the ring was looked at %d times", n)
	}
	want(t, map[string]string{"fetch 10.0.0.1": "order for 10.0.0.1", "fetch 10.0.0.2": "order for 10.0.0.2", "fetch 10.0.0.3": "order for 10.0.0.3",
		"alter 10.0.0.1": `["ALTER KEYSPACE a","ALTER KEYSPACE b"]` + "\n"}, s.stdin)
	if nodes[0].Progress.Bytes != 7 {
		t.Errorf("%+v", nodes[0])
	}
}

// ordered sorts all but the first.
func ordered(calls []string) []string {
	calls = slices.Clone(calls)
	slices.Sort(calls[1:])
	return calls
}

// failing fails a phase on a node for good.
func (s *site) failing(phase, address string) {
	s.on = func(p, a string) error {
		if p == phase && a == address {
			return &cluster.ExitError{Host: a, Code: 5, Stderr: "cbk: space: no room\n"}
		}
		return nil
	}
}

func TestANodeThatFailsBeforeTheSwapStopsEverythingWithNothingChanged(t *testing.T) {
	s := newSite(t)
	s.failing("fetch", "10.0.0.2")
	_, err := s.restore(options())
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Changed || stopped.Phase != "fetch" || !strings.Contains(err.Error(), "nothing was changed on any node") || !strings.Contains(err.Error(), "no room") {
		t.Errorf("error is %v", err)
	}
	want(t, []string{"fetch"}, s.began())
}

func TestANodeThatFailsLaterLeavesTheOthersInThePhaseAndSaysWhichIsWhere(t *testing.T) {
	for phase, at := range map[string][]restore.Phase{
		"switch": {restore.PhaseStart, restore.PhaseFetched, restore.PhaseStart},
		"start":  {restore.PhaseStart, restore.PhaseStart, restore.PhaseStart},
		"verify": {restore.PhaseDone, restore.PhaseVerify, restore.PhaseDone},
	} {
		s := newSite(t)
		s.failing(phase, "10.0.0.2")
		nodes, err := s.restore(options())
		var stopped *StoppedError
		if !errors.As(err, &stopped) || !stopped.Changed || stopped.Phase != phase {
			t.Fatalf("%s: %v", phase, err)
		}
		want(t, at, phases(nodes))
		if !strings.Contains(err.Error(), "in phase "+string(at[1])+": ") || !strings.Contains(err.Error(), "10.0.0.2") {
			t.Errorf("%s: %v", phase, err)
		}
		// The same again goes on and ends well.
		s.failing("", "")
		if nodes, err = s.restore(options()); err != nil {
			t.Errorf("%s, again: %v", phase, err)
		}
		want(t, []restore.Phase{restore.PhaseDone, restore.PhaseDone, restore.PhaseDone}, phases(nodes))
	}
}

func TestALostConnectionIsTriedAgainInEveryPhase(t *testing.T) {
	s := newSite(t)
	failed := make(map[string]bool)
	s.on = func(phase, address string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		key := phase + address
		if phase == "ring" || failed[key] {
			return nil
		}
		failed[key] = true
		return &cluster.LostError{Host: address, Err: io.EOF}
	}
	nodes, err := s.restore(options())
	if err != nil {
		t.Error(err)
	}
	want(t, []restore.Phase{restore.PhaseDone, restore.PhaseDone, restore.PhaseDone}, phases(nodes))
}

func TestAnInterruptionBeginsNoFurtherPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupted := errors.New("interrupted")
		s.on = func(phase, address string) error {
			if phase == "switch" && address == "10.0.0.3" {
				cancel(interrupted)
			}
			return nil
		}
		if _, err := Restore(ctx, s, options()); !errors.Is(err, interrupted) {
			t.Errorf("error is %v", err)
		}
		if phases := s.began(); slices.Contains(phases, "start") {
			t.Errorf("phases: %v", phases)
		}
	})
}

func TestNodesThatDoNotComeUpStopTheRestoreBeforeItIsVerified(t *testing.T) {
	s := newSite(t)
	s.upAfter["10.0.0.3"] = 1 << 20
	_, err := s.restore(options())
	if err == nil || !strings.Contains(err.Error(), "10.0.0.1 does not see 10.0.0.3 up") || slices.Contains(s.began(), "verify") {
		t.Errorf("error is %v, phases %v", err, s.began())
	}
}

func TestANodeThatSaysNothingOrOfAnotherRestoreHasNotDoneIt(t *testing.T) {
	for _, line := range []string{"{}", "hello", `{"schema":"cbk.node-phase/1","id":"other","phase":"fetched"}`} {
		s := newSite(t)
		s.said["fetch 10.0.0.2"] = line
		if _, err := s.restore(options()); err == nil || !slices.Equal(s.began(), []string{"fetch"}) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAnOrderThatCannotBeMadeStopsBeforeTheSwap(t *testing.T) {
	s := newSite(t)
	opt := options()
	refused := errors.New("no right to lend")
	opt.Parts[2].Order = func(context.Context) ([]byte, error) { return nil, refused }
	if _, err := s.restore(opt); !errors.Is(err, refused) || slices.Contains(s.began(), "switch") {
		t.Errorf("error is %v", err)
	}
	opt = options()
	opt.Ready = func(context.Context, cluster.Host) error { return refused }
	if _, err := s.restore(opt); !errors.Is(err, refused) {
		t.Errorf("error is %v", err)
	}
}

// standing asks the nodes of a site.
func (s *site) standing() (found []Found, err error) {
	s.t.Helper()
	var hosts []cluster.Host
	for _, a := range addresses {
		hosts = append(hosts, cluster.Host{Address: a})
	}
	synctest.Test(s.t, func(t *testing.T) {
		found, err = Standing(t.Context(), s, hosts, cluster.Plan{Retry: cluster.Retry{Tries: 1}})
	})
	return found, err
}

func TestTheNodesTellWhichRestoresStand(t *testing.T) {
	s := newSite(t)
	s.journal["10.0.0.1"], s.journal["10.0.0.2"], s.journal["10.0.0.3"] = restore.PhaseDone, restore.PhaseVerify, restore.PhaseCommitted
	s.said["restores 10.0.0.3"] = `{"schema":"cbk.restores/1","restores":[{"id":"20270101T000000Z","backup":"b","node":{"host_id":"x"},"phase":"done"},{"id":"20200101T000000Z","phase":"committed"}]}`
	found, err := s.standing()
	if err != nil {
		t.Fatal(err)
	}
	want(t, []Found{{ID: "20270101T000000Z", Backup: "b", At: map[string]restore.Phase{"10.0.0.3": "done"}, Gets: map[string]string{"10.0.0.3": "x"}},
		{ID: id, Backup: "monday", Way: restore.Clone, At: map[string]restore.Phase{"10.0.0.1": "done", "10.0.0.2": "verify"},
			Gets: map[string]string{"10.0.0.1": "id of 10.0.0.1", "10.0.0.2": "id of 10.0.0.2"}}}, found)
	if found[0].Unfinished() || !found[1].Unfinished() {
		t.Error("what is under way")
	}
	if !found[0].All(restore.PhaseDone) || found[1].All(restore.PhaseDone) || found[1].All(restore.PhaseVerify) {
		t.Error("what is in one phase")
	}
	for _, line := range []string{"{}", "no"} {
		s.said["restores 10.0.0.2"] = line
		if _, err := s.standing(); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

func TestAllNodesCommitOrRollBack(t *testing.T) {
	for _, rollback := range []bool{false, true} {
		s := newSite(t)
		phase, then := "commit", restore.PhaseCommitted
		if rollback {
			phase, then = "rollback", restore.PhaseUndone
		}
		s.failing(phase, "10.0.0.3")
		end := func() (nodes []Node, err error) {
			synctest.Test(t, func(t *testing.T) { nodes, err = End(t.Context(), s, options(), rollback) })
			return nodes, err
		}
		nodes, err := end()
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s restore %s: %s: 10.0.0.3: exit code 5", phase, id, phase)) {
			t.Errorf("error is %v", err)
		}
		want(t, []restore.Phase{then, then, ""}, phases(nodes))
		s.failing("", "")
		nodes, err = end()
		if err != nil {
			t.Error(err)
		}
		want(t, []restore.Phase{then, then, then}, phases(nodes))
	}
}
