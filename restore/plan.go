package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"cbk/cassandra/node"
	"cbk/snapshot"
)

// Host is the node that a restore in place works on; *node.Node is one.
type Host interface {
	Layout() node.Layout
	Answers(ctx context.Context) bool
	Identity(ctx context.Context) (node.Identity, error)
	StopCassandra(ctx context.Context) error
	StartCassandra(ctx context.Context) error
	WaitUp(ctx context.Context) error
	SampleQuery(ctx context.Context, keyspace, table string) error
}

// Plan is what a restore in place will do.
type Plan struct {
	ID      string
	Backup  string
	Node    string
	HostID  string
	Running bool // Cassandra answered and is the node of the backup
	Tables  int
	Files   int
	Bytes   int64
	Damaged int // SSTables that were damaged on the node already
	Moves   []Move
}

// RefusedError says that a restore was not begun because it would do harm.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return "refused: " + e.Reason }

func stagingName(id string) string { return "cbk-restore-" + id }
func beforeName(id string) string  { return "cbk-before-" + id }

// freeMargin is left free on each file system beyond the restored bytes, so that Cassandra can start and compact.
const freeMargin = 64 << 20

// PlanInPlace finds out what restoring a snapshot onto a host means and whether it may be done. A host that runs as
// another node is refused; one that does not answer cannot be asked, and the plan says so. started is when the restore
// was asked for and makes its id.
func PlanInPlace(ctx context.Context, snap *snapshot.Snapshot, host Host, started time.Time) (*Plan, error) {
	p := &Plan{ID: started.UTC().Format("20060102T150405Z"), Backup: snap.Backup, Node: snap.Entry.Catalogue.Node, HostID: snap.HostID,
		Tables: len(snap.Node.Tables), Files: snap.Files, Bytes: snap.BytesSource, Damaged: snap.DamagedSSTables}
	if host.Answers(ctx) {
		id, err := host.Identity(ctx)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(id.HostID, snap.HostID) {
			return nil, &RefusedError{fmt.Sprintf("this node is %s (%s), the backup is of %s (%s)", id.HostID, id.Name, snap.HostID, p.Node)}
		}
		p.Running = true
	}
	if err := whole(snap); err != nil {
		return nil, err
	}
	l := host.Layout()
	if err := p.planMoves(l); err != nil {
		return nil, err
	}
	return p, p.checkSpace(len(l.DataDirs))
}

// whole refuses a snapshot that is not of the whole node: everything on the node gives way to it.
func whole(snap *snapshot.Snapshot) error {
	if snap.Node.Selection != nil {
		return &RefusedError{"the backup is of chosen tables only, and a restore in place replaces all"}
	}
	if n := len(snap.Node.Missing); n > 0 {
		return &RefusedError{fmt.Sprintf("the backup lacks %d tables that the node had, first %s, and a restore in place replaces all", n, snap.Node.Missing[0])}
	}
	return nil
}

// planMoves places every directory of the node. The commit log must be among them: what it holds would be replayed over
// the restored files. Where cassandra.yaml does not name it, it cannot be known.
func (p *Plan) planMoves(l node.Layout) error {
	if l.CommitLog == "" {
		return &RefusedError{"cassandra.yaml has no commitlog_directory, and its content would be replayed over the restored files: name it there as Cassandra uses it"}
	}
	for i, dir := range append(slices.Clone(l.DataDirs), l.CommitLog, l.Hints, l.SavedCaches, l.CDCRaw) {
		data := i < len(l.DataDirs)
		m, err := planMove(dir, p.ID, data)
		if dir == "" || !data && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, other := range p.Moves {
			if within(m.Live, other.Live) || within(other.Live, m.Live) {
				return &RefusedError{fmt.Sprintf("%s and %s lie in one another and cannot be exchanged one by one: restore with --to", other.Live, m.Live)}
			}
		}
		p.Moves = append(p.Moves, m)
	}
	return nil
}

func within(dir, parent string) bool {
	rel, err := filepath.Rel(parent, dir)
	return err == nil && filepath.IsLocal(rel)
}

// planMove places the two directories beside dir, so that every move is a rename; inside it where dir is a mount point.
func planMove(dir, id string, fill bool) (Move, error) {
	here, err := mountOf(dir)
	if err != nil {
		return Move{}, fmt.Errorf("directory of Cassandra: %w", err)
	}
	up, err := mountOf(filepath.Dir(dir))
	if err != nil {
		return Move{}, fmt.Errorf("directory of Cassandra: %w", err)
	}
	at := filepath.Dir(dir)
	if here != up {
		at = dir
	}
	m := Move{Live: dir, Before: filepath.Join(at, beforeName(id), filepath.Base(dir))}
	if fill {
		m.Staging = filepath.Join(at, stagingName(id), filepath.Base(dir))
	}
	return m, nil
}

// mount tells where renames are possible: within one device, and there within one mount, since bind mounts of the same
// file system are no less apart. The id is 0 before Linux 5.8.
type mount struct {
	major, minor uint32
	id           uint64
}

func mountOf(dir string) (mount, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &st); err != nil {
		return mount{}, &fs.PathError{Op: "statx", Path: dir, Err: err}
	}
	return mount{st.Dev_major, st.Dev_minor, st.Mnt_id}, nil
}

// checkSpace demands room for all restored bytes beside what is there: the old files stay. The bytes of a snapshot of
// several data directories are assumed to spread evenly over the node's.
func (p *Plan) checkSpace(dataDirs int) error {
	for _, m := range p.Moves[:dataDirs] {
		var st unix.Statfs_t
		if err := unix.Statfs(m.Live, &st); err != nil {
			return fmt.Errorf("free space of %s: %w", m.Live, err)
		}
		free := int64(st.Bavail) * st.Bsize
		if need := p.Bytes/int64(dataDirs) + freeMargin; free < need {
			return fmt.Errorf("%s has %s free, %s are needed: make room or restore with --to elsewhere", m.Live,
				humanize.IBytes(uint64(free)), humanize.IBytes(uint64(need)))
		}
	}
	return nil
}

// Print writes the plan for a reader.
func (p *Plan) Print(w io.Writer) {
	fmt.Fprintf(w, "Restore %s of node %s (%s) in place: %d tables, %d files, %s\n", p.Backup, p.Node, p.HostID,
		p.Tables, p.Files, humanize.IBytes(uint64(p.Bytes)))
	if !p.Running {
		fmt.Fprintln(w, "  !  Cassandra does not answer here: that this is the node above is taken on trust")
	}
	if p.Damaged > 0 {
		fmt.Fprintf(w, "  !  %d SSTables were damaged on the node when they were backed up, and come back as they were\n", p.Damaged)
	}
	fmt.Fprintln(w, "  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk")
	fmt.Fprintln(w, "  2. stop Cassandra")
	for _, m := range p.Moves {
		fmt.Fprintf(w, "  3. move the content of %s to %s\n", m.Live, m.Before)
	}
	fmt.Fprintln(w, "  4. move the restored files in, start Cassandra, wait until CQL answers, query every restored table")
}
