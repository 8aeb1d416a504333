package guest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	v2Mount = "25 1 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	v1Mount = "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	cpu     = "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	disk    = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	half    = "536870912"
	quarter = "268435456"
)

func TestTheMemoryLimitIsTheLeastOfTheGroupsAbove(t *testing.T) {
	none := "9223372036854771712" // of version 1
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  int64
		is    bool
	}{
		{"no control groups", map[string]string{"proc/self/mountinfo": disk}, 0, false},
		{"nothing mounted", nil, 0, false},
		{"version 2, own group", map[string]string{"proc/self/mountinfo": disk + v2Mount, "proc/self/cgroup": "0::/system.slice/cbk.service\n",
			"sys/fs/cgroup/system.slice/cbk.service/memory.max": half + "\n"}, 512 << 20, true},
		{"version 2, group above", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/a/b/c\n",
			"sys/fs/cgroup/a/memory.max": quarter, "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/c/memory.max": half}, 256 << 20, true},
		{"version 2, own group below a larger one", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": half, "sys/fs/cgroup/a/b/memory.max": quarter}, 256 << 20, true},
		{"version 2, high stalls before max", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": half, "sys/fs/cgroup/a/memory.high": quarter}, 256 << 20, true},
		{"version 2, no limit", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.high": "max\n"}, 0, false},
		{"version 2, a container with a namespace", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": half}, 512 << 20, true},
		{"version 2, moved out of its namespace", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/../other\n",
			"sys/fs/cgroup/memory.max": half, "sys/fs/other/memory.max": quarter}, 512 << 20, true},
		{"version 1, own group", map[string]string{"proc/self/mountinfo": cpu + v1Mount, "proc/self/cgroup": "4:memory:/cbk\n1:cpu:/x\n",
			"sys/fs/cgroup/memory/cbk/memory.limit_in_bytes": half, "sys/fs/cgroup/memory/memory.limit_in_bytes": none}, 512 << 20, true},
		{"version 1, group above", map[string]string{"proc/self/mountinfo": v1Mount, "proc/self/cgroup": "4:hugetlb,memory:/pod/cbk\n",
			"sys/fs/cgroup/memory/pod/cbk/memory.limit_in_bytes": none, "sys/fs/cgroup/memory/pod/memory.limit_in_bytes": quarter}, 256 << 20, true},
		{"version 1, a container that sees its host's names", map[string]string{
			"proc/self/mountinfo":                        strings.Replace(v1Mount, "0:29 /", "0:29 /docker/1f", 1),
			"proc/self/cgroup":                           "4:memory:/docker/1f\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": half}, 512 << 20, true},
		{"version 1, below what is mounted", map[string]string{
			"proc/self/mountinfo":                          strings.Replace(v1Mount, "0:29 /", "0:29 /docker/1f", 1),
			"proc/self/cgroup":                             "4:memory:/docker/1f/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": half}, 512 << 20, true},
		{"both versions", map[string]string{"proc/self/mountinfo": v1Mount + strings.Replace(v2Mount, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", 1),
			"proc/self/cgroup": "4:memory:/a\n0::/\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": half}, 512 << 20, true},
		{"what is no number", map[string]string{"proc/self/mountinfo": v2Mount, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "lots", "sys/fs/cgroup/memory.max": "-1"}, 0, false},
		{"lines cut short", map[string]string{"proc/self/mountinfo": "25 1\n - \n" + "25 1 0:23 / /sys/fs/cgroup rw - cgroup2\n", "proc/self/cgroup": "0\n:\n"}, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tc.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, is := MemoryLimit(root)
			if got != tc.want || is != tc.is {
				t.Errorf("got %d, %t, want %d, %t", got, is, tc.want, tc.is)
			}
		})
	}
}

func TestTheLimitOfThisMachineCanBeRead(t *testing.T) {
	if n, is := MemoryLimit(os.DirFS("/")); is && n < 1<<20 || !is && n != 0 {
		t.Errorf("got %d, %t", n, is)
	}
}
