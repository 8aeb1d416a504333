package ring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rack is a rack of one data centre; racks of two may share a name.
type Rack struct {
	DC   string `json:"dc"`
	Rack string `json:"rack"`
}

// String writes a rack as users do: dc:rack.
func (r Rack) String() string { return r.DC + ":" + r.Rack }

func (r Rack) compare(o Rack) int {
	return cmp.Or(strings.Compare(r.DC, o.DC), strings.Compare(r.Rack, o.Rack))
}

// Renames are the names that data centres and racks of the backup's ring have at
// the target. What is not named keeps its name. All take effect at once, so two
// may change places.
type Renames struct {
	DCs   map[string]string
	Racks map[Rack]string // by the rack's names in the backup
}

// ParseRenames reads renames as users write them: old=new for data centres and
// dc:old=new for racks, all but new being names in the backup.
func ParseRenames(dcs, racks []string) (Renames, error) {
	r := Renames{make(map[string]string), make(map[Rack]string)}
	for _, text := range dcs {
		before, after, ok := cutRename(text)
		if !ok {
			return r, fmt.Errorf("rename of data centre %q is not old=new", text)
		}
		if _, twice := r.DCs[before]; twice {
			return r, fmt.Errorf("data centre %q is renamed twice", before)
		}
		r.DCs[before] = after
	}
	for _, text := range racks {
		before, after, ok := cutRename(text)
		dc, rack, named := strings.Cut(before, ":")
		if !ok || !named || dc == "" || rack == "" {
			return r, fmt.Errorf("rename of rack %q is not dc:old=new", text)
		}
		if _, twice := r.Racks[Rack{dc, rack}]; twice {
			return r, fmt.Errorf("rack %s is renamed twice", before)
		}
		r.Racks[Rack{dc, rack}] = after
	}
	return r, nil
}

// cutRename cuts old=new. A second = would leave open where old ends.
func cutRename(text string) (before, after string, ok bool) {
	before, after, _ = strings.Cut(text, "=")
	return before, after, before != "" && after != "" && !strings.Contains(after, "=")
}

func (r Renames) dc(name string) string {
	if after, ok := r.DCs[name]; ok {
		return after
	}
	return name
}

// place is where a member of the backup's ring stands at the target.
func (r Renames) place(m Member) Rack {
	if after, ok := r.Racks[Rack{m.DC, m.Rack}]; ok {
		return Rack{r.dc(m.DC), after}
	}
	return Rack{r.dc(m.DC), m.Rack}
}

// check refuses a rename of what the ring has not, which is a slip of the pen, and
// one that makes two data centres one: no replication could name them apart.
func (r Renames) check(members []Member) error {
	dcs, racks := make(map[string]bool), make(map[Rack]bool)
	for _, m := range members {
		dcs[m.DC], racks[Rack{m.DC, m.Rack}] = true, true
	}
	for _, name := range slices.Sorted(maps.Keys(r.DCs)) {
		if !dcs[name] {
			return fmt.Errorf("no member of the backup's ring is in data centre %q, which is to be renamed", name)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(r.Racks), Rack.compare) {
		if !racks[at] {
			return fmt.Errorf("no member of the backup's ring is in rack %s, which is to be renamed", at)
		}
	}
	from := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(dcs)) {
		if other, taken := from[r.dc(name)]; taken {
			return fmt.Errorf("data centres %q and %q would both be %q", other, name, r.dc(name))
		}
		from[r.dc(name)] = name
	}
	return nil
}

// RenameReplication gives the options of a keyspace's replication with the names
// that its data centres have at the target. Only NetworkTopologyStrategy names
// data centres. It is an error where two of them would get one name.
func RenameReplication(options map[string]string, r Renames) (map[string]string, error) {
	if shortClass(options["class"]) != NetworkTopologyStrategy {
		return maps.Clone(options), nil
	}
	renamed := make(map[string]string, len(options))
	for _, name := range slices.Sorted(maps.Keys(options)) {
		after := name
		if name != "class" && name != replicationFactor {
			after = r.dc(name)
			if after == "class" || after == replicationFactor {
				return nil, fmt.Errorf("data centre %q cannot be named %q: replication has an option of that name", name, after)
			}
		}
		if _, taken := renamed[after]; taken {
			return nil, fmt.Errorf("two data centres of the replication would be %q", after)
		}
		renamed[after] = options[name]
	}
	return renamed, nil
}
