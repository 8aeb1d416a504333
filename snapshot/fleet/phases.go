package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
)

// Schemas of the lines that the phases print.
const (
	HereSchema     = "cbk.node-ring/1"
	PreparedSchema = "cbk.node-prepared/1"
	ProgressSchema = "cbk.node-progress/1"
	storedSchema   = "cbk.backup/1"
)

// Here is what cbk node ring prints: who the node is, and the ring as it sees it.
type Here struct {
	Schema  string    `json:"schema"`
	HostID  string    `json:"host_id"`
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Release string    `json:"release"`
	Ring    ring.Ring `json:"ring"`
}

// Prepared is what cbk node prepare prints, and the others of a node that has nothing to do.
type Prepared struct {
	Schema   string `json:"schema"`
	Backup   string `json:"backup"`
	HostID   string `json:"host_id,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Started  string `json:"started,omitempty"`  // when the snapshot was asked for, to the millisecond
	Ready    string `json:"ready,omitempty"`    // when it stood
	Recorded string `json:"recorded,omitempty"` // the root of the backup, where this node has done its part already
}

// instant is how the moments of snapshots are written.
const instant = "2006-01-02T15:04:05.000Z"

// Instant writes the moment of a snapshot, to the millisecond: by these the nodes are compared.
func Instant(t time.Time) string { return t.UTC().Format(instant) }

// Progress is a line that cbk node upload prints every second.
type Progress struct {
	Schema     string `json:"schema"`
	Files      int64  `json:"files"`
	FilesTotal int64  `json:"files_total"`
	Bytes      int64  `json:"bytes"`
	BytesTotal int64  `json:"bytes_total"`
}

// Stored is the part of a node's cbk.backup/1 that the report of the cluster has.
type Stored struct {
	Finished    string `json:"finished"`
	SSTables    int    `json:"sstables"`
	Files       int    `json:"files"`
	BytesSource int64  `json:"bytes_source"`
	BytesNew    int64  `json:"bytes_new"`
	BytesStored int64  `json:"bytes_stored"`
	Missing     int    `json:"-"` // tables
	Damaged     int    `json:"damaged_sstables"`
	Left        string `json:"snapshot_left,omitempty"`
}

// Runner runs cbk on nodes; [cluster.Cluster] is one.
type Runner interface {
	Run(context.Context, cluster.Host, cluster.Command) error
	RemoteConfig(cluster.Host) string
}

// ErrSilent is a phase that ended well and said nothing of what it is called for.
var ErrSilent = errors.New("it did not say what came of it: is it another release of cbk?")

// Call is one call of a phase on a node.
type Call struct {
	Words []string  // the phase and its arguments; every user of the node can read them
	Stdin io.Reader // may be nil
	Lines Lines     // that it prints
}

// Do calls cbk node on a host. The phase ends where its connection does.
func Do(ctx context.Context, r Runner, h cluster.Host, call Call) error {
	args := slices.Concat([]string{"node", "--leash", call.Words[0], "--config", r.RemoteConfig(h)}, call.Words[1:])
	if err := r.Run(ctx, h, cluster.Command{Args: args, Stdin: call.Stdin, Line: call.Lines.take}); err != nil {
		return fmt.Errorf("%s: %w", call.Words[0], err)
	}
	return nil
}

// Lines say by its schema what becomes of a line: it is decoded into a value, or given to a func([]byte) error. Other lines
// are passed over, so that later releases may say more.
type Lines map[string]any

func (l Lines) take(b []byte) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("it said what is no JSON: %.80q", b)
	}
	switch to := l[head.Schema].(type) {
	case nil:
		return nil
	case func([]byte) error:
		return to(b)
	default:
		return json.Unmarshal(b, to)
	}
}

// Progressed hands on each line of progress.
func Progressed(to func(Progress)) func([]byte) error {
	return func(line []byte) error {
		var p Progress
		err := json.Unmarshal(line, &p)
		to(p)
		return err
	}
}

// Asking says how nodes are asked for the ring.
type Asking struct {
	Runner Runner
	// Ready is called on each host before it is asked; may be nil.
	Ready func(context.Context, cluster.Host) error
	// Silent is told of each node that does not answer, and why.
	Silent func(address string, err error)
}

// First asks one node after the other and returns what the first that answers says. The error is that of all, or the
// context's.
func (a Asking) First(ctx context.Context, addresses ...string) (*Here, error) {
	var failed []error
	for _, address := range addresses {
		here, err := a.ask(ctx, cluster.Host{Address: address})
		if err == nil {
			return here, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		a.Silent(address, err)
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

func (a Asking) ask(ctx context.Context, h cluster.Host) (*Here, error) {
	if a.Ready != nil {
		if err := a.Ready(ctx, h); err != nil {
			return nil, err
		}
	}
	return Ask(ctx, a.Runner, h)
}

// Ask has a node tell who it is.
func Ask(ctx context.Context, r Runner, h cluster.Host) (*Here, error) {
	var here Here
	if err := Do(ctx, r, h, Call{Words: []string{"ring"}, Lines: Lines{HereSchema: &here}}); err != nil {
		return nil, err
	}
	if here.HostID == "" {
		return nil, fmt.Errorf("%s: ring: %w", h.Address, ErrSilent)
	}
	return &here, nil
}
