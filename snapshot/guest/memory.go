package guest

import (
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Bounds on what is read: the largest hosts have some thousand mounts of a few hundred bytes.
const (
	maxMountInfo = 4 << 20
	maxGroups    = 64 << 10
	maxValue     = 64
)

// unlimited and above is how version 1 writes that there is no limit: the largest number that is a multiple of a page.
const unlimited = 1 << 62

// MemoryLimit returns the least memory limit of this process's control group and the groups above it that can be seen,
// of either version, or false where there is none. root is the file system of the machine, os.DirFS("/").
func MemoryLimit(root fs.FS) (bytes int64, limited bool) {
	bytes = math.MaxInt64
	for _, line := range lines(root, "proc/self/mountinfo", maxMountInfo) {
		m, ok := parseMount(line)
		if !ok {
			continue
		}
		for dir := m.directory(groupOf(root, m.version)); ; dir = path.Dir(dir) {
			for _, name := range m.limits() {
				if n, ok := limit(root, path.Join(dir, name)); ok {
					bytes, limited = min(bytes, n), true
				}
			}
			if dir == m.point || dir == "." {
				break
			}
		}
	}
	if !limited {
		return 0, false
	}
	return bytes, true
}

// mount is a mounted hierarchy of control groups that limits memory. root is the group that is seen at point.
type mount struct {
	root, point string
	version     int
}

// parseMount reads a line of mountinfo: "32 31 0:29 ROOT POINT options [fields] - TYPE source OPTIONS".
func parseMount(line string) (m mount, ok bool) {
	head, tail, ok := strings.Cut(line, " - ")
	left, right := strings.Fields(head), strings.Fields(tail)
	if !ok || len(left) < 6 || len(right) < 3 {
		return m, false
	}
	switch {
	case right[0] == "cgroup2":
		m.version = 2
	case right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), "memory"):
		m.version = 1
	default:
		return m, false
	}
	m.root, m.point = left[3], strings.TrimPrefix(path.Clean(left[4]), "/")
	return m, true
}

// limits are the files that limit a group. High does not kill, but stalls whoever exceeds it.
func (m mount) limits() []string {
	if m.version == 2 {
		return []string{"memory.max", "memory.high"}
	}
	return []string{"memory.limit_in_bytes"}
}

// directory is where a group is seen; where it is not below what is mounted, as in a container without a namespace of
// its own, what is mounted is taken for it.
func (m mount) directory(group string) string {
	below, ok := strings.CutPrefix(group, strings.TrimSuffix(m.root, "/")+"/")
	if !ok || !fs.ValidPath(below) {
		return m.point
	}
	return path.Join(m.point, below)
}

// groupOf returns the group of this process: "0::/GROUP" in version 2, "4:memory:/GROUP" in version 1.
func groupOf(root fs.FS, version int) string {
	for _, line := range lines(root, "proc/self/cgroup", maxGroups) {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		if version == 2 && f[0] == "0" || version == 1 && slices.Contains(strings.Split(f[1], ","), "memory") {
			return f[2]
		}
	}
	return ""
}

func limit(root fs.FS, name string) (int64, bool) {
	all := lines(root, name, maxValue)
	if len(all) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(all[0], 10, 64) // "max" is no number
	return n, err == nil && n > 0 && n < unlimited
}

// lines returns the lines of a file, none if it cannot be read.
func lines(root fs.FS, name string, bound int64) []string {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bound))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
