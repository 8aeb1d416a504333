package restore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"cbk/cassandra/node"
	"cbk/snapshot"
)

// Place is one data directory of the node, with room for the files that are fetched and for those of before, both where a
// rename reaches them.
type Place struct {
	Live    string `json:"live"`
	Staging string `json:"staging"`
	Before  string `json:"before"`
	Undone  string `json:"undone"` // what a rollback takes away again
	Free    int64  `json:"free_bytes"`
	Need    int64  `json:"needed_bytes"` // about, where there are several
}

// Places are the data directories of a node and say which SSTable goes where. The answer follows from the plan alone, so
// that every phase of a restore, in whatever process, gives the same.
type Places struct {
	Dirs      []Place `json:"dirs"`
	UserDirs  int     `json:"user_dirs"`  // the first, which may hold tables of users
	SystemDir int     `json:"system_dir"` // where Cassandra wants its own; -1 where it has no wish
	Same      bool    `json:"same"`       // the backup has as many: each SSTable goes to the one it came from
}

func stagingName(id string) string { return "cbk-restore-" + id }
func beforeName(id string) string  { return "cbk-before-" + id }
func undoneName(id string) string  { return "cbk-undone-" + id }

// own tells the directories of restores, which none moves.
func own(name string) bool {
	return strings.HasPrefix(name, stagingName("")) || strings.HasPrefix(name, beforeName("")) || strings.HasPrefix(name, undoneName(""))
}

func newPlaces(l node.Layout, id string, had int) (Places, error) {
	p := Places{UserDirs: l.UserDirs, SystemDir: -1, Same: had == len(l.DataDirs)}
	if p.UserDirs == 0 {
		p.UserDirs = len(l.DataDirs)
	}
	for i, dir := range l.DataDirs {
		at, err := beside(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = refuse("the data directory %s is not there: make it, empty and of the user of Cassandra", dir)
		}
		if err != nil {
			return p, err
		}
		free, err := freeBytes(dir)
		if err != nil {
			return p, err
		}
		base := filepath.Base(dir)
		p.Dirs = append(p.Dirs, Place{Live: dir, Staging: filepath.Join(at, stagingName(id), base), Before: filepath.Join(at, beforeName(id), base),
			Undone: filepath.Join(at, undoneName(id), base), Free: free})
		if dir == l.SystemDir {
			p.SystemDir = i
		}
	}
	return p, nil
}

// of is the number of the directory that an SSTable goes to. Where the backup has more or fewer directories, those with
// more free space get more.
func (p *Places) of(t *snapshot.Table, s *snapshot.SSTable) int {
	system := node.InSystemDir(t.Keyspace, t.Name)
	switch {
	case system && p.SystemDir >= 0:
		return p.SystemDir
	case p.Same && s.DataDir < p.UserDirs:
		return s.DataDir
	case system:
		return 0
	}
	var total uint64
	for _, d := range p.Dirs[:p.UserDirs] {
		total += uint64(max(d.Free, 1))
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s/%s", t.Dir, s.Sub, s.Prefix)
	at := h.Sum64() % total
	for i, d := range p.Dirs[:p.UserDirs] {
		free := uint64(max(d.Free, 1))
		if at < free {
			return i
		}
		at -= free
	}
	return 0
}

// freeMargin is left free on each file system beyond the restored bytes, so that Cassandra can start and compact.
const freeMargin = 64 << 20

// demand spreads the bytes over the directories as of does and refuses where one lacks room: the old files stay. Those of
// one file system share what is free there.
func (p *Places) demand(bytes int64) error {
	var total float64
	for _, d := range p.Dirs[:p.UserDirs] {
		total += float64(max(d.Free, 1))
	}
	sharing := make(map[mount]int64)
	for i := range p.Dirs {
		d := &p.Dirs[i]
		m, err := mountOf(d.Live)
		if err != nil {
			return err
		}
		m.id = 0 // bind mounts of one file system share its room
		switch {
		case i >= p.UserDirs:
		case p.Same:
			d.Need = bytes / int64(p.UserDirs)
		default:
			d.Need = int64(float64(bytes) * float64(max(d.Free, 1)) / total)
		}
		sharing[m] += d.Need
		if need := sharing[m] + freeMargin; d.Free < need {
			return &SpaceError{Dir: d.Live, Free: d.Free, Need: need}
		}
	}
	return nil
}

// SpaceError reports a data directory without room for what is restored.
type SpaceError struct {
	Dir        string
	Free, Need int64 // bytes
}

// Error names the directory and both sizes.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("%s has %s free, %s are needed: make room or restore with --to elsewhere", e.Dir,
		humanize.IBytes(uint64(e.Free)), humanize.IBytes(uint64(e.Need)))
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// beside is the directory beside dir where a rename reaches; dir itself where it is a mount point.
func beside(dir string) (string, error) {
	here, err := mountOf(dir)
	if err != nil {
		return "", fmt.Errorf("directory of Cassandra: %w", err)
	}
	up, err := mountOf(filepath.Dir(dir))
	if err != nil {
		return "", fmt.Errorf("directory of Cassandra: %w", err)
	}
	if here != up {
		return dir, nil
	}
	return filepath.Dir(dir), nil
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
