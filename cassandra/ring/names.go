package ring

import (
	"net/netip"
	"strings"
)

// Names are names of members beside their host ids and addresses, by host id:
// their node names in a backup, their host names.
type Names map[string][]string

// nameKey is the same for two forms of one name: host ids and host names in upper
// and lower case, one address written in two ways.
func nameKey(name string) string {
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(name)
}

// directory finds members by any of their names.
type directory map[string][]int

func newDirectory(members []Member, names Names) directory {
	d := make(directory)
	more := make(map[string][]string, len(names))
	for id, list := range names {
		more[nameKey(id)] = append(more[nameKey(id)], list...)
	}
	for i, m := range members {
		d.add(m.HostID, i)
		d.add(m.Address, i)
		for _, name := range more[nameKey(m.HostID)] {
			d.add(name, i)
		}
	}
	return d
}

func (d directory) add(name string, i int) {
	key := nameKey(name)
	if list := d[key]; name != "" && (len(list) == 0 || list[len(list)-1] != i) {
		d[key] = append(list, i)
	}
}

// find are the members with that name: one, where it is clear.
func (d directory) find(name string) []int { return d[nameKey(name)] }
