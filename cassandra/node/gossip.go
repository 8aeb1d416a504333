package node

import (
	"errors"
	"fmt"
	"strings"

	"cbk/cassandra/ring"
)

// gossipStates maps what members say of themselves to the states of nodetool status. Who has left, was removed or does
// not join is no member. One that shut down keeps its ranges.
var gossipStates = map[string]struct {
	state  string
	member bool
}{
	"NORMAL": {ring.Normal, true}, "shutdown": {ring.Normal, true}, "LEAVING": {ring.Leaving, true}, "removing": {ring.Leaving, true},
	"MOVING": {ring.Moving, true}, "BOOT": {ring.Joining, true}, "BOOT_REPLACE": {ring.Joining, true}, "NEW": {ring.Joining, true},
	"LEFT": {}, "removed": {}, "hibernate": {},
}

// parseGossip reads the members from the output of nodetool gossipinfo:
//
//	/127.0.0.1
//	  STATUS:19:NORMAL,-4611686018427387903
//	  DC:9:dc1
//	  HOST_ID:2:8168ce07-18b6-403f-bdab-c28e44fe368c
//
// Gossip keeps a dead member's last words, so Up says only that a member has not said that it shuts down. A member
// without a state has only begun to join, or is a stranger: it counts as joining where it has a host id.
func parseGossip(out string) (map[string]ring.Member, error) {
	seen := make(map[string]ring.Member)
	for _, m := range gossipers(out) {
		status, _, _ := strings.Cut(m.said["STATUS"], ",")
		s, ok := gossipStates[status]
		if status == "" {
			s.state, s.member, ok = ring.Joining, true, true
		}
		if !ok {
			return nil, fmt.Errorf("nodetool gossipinfo shows %s in the state %q", oneLine(m.address), oneLine(status))
		}
		id := m.said["HOST_ID"]
		if !s.member || id == "" {
			continue
		}
		up := status != "shutdown" && status != "removing" && status != ""
		seen[id] = ring.Member{HostID: id, Address: m.address, DC: m.said["DC"], Rack: m.said["RACK"], State: s.state, Up: up}
	}
	if len(seen) == 0 {
		return nil, errors.New("nodetool gossipinfo shows no member")
	}
	return seen, nil
}

// gossiper is an address and what is known of it.
type gossiper struct {
	address string
	said    map[string]string
}

func gossipers(out string) []gossiper {
	var all []gossiper
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, " \r\n")
		said, indented := strings.CutPrefix(line, "  ")
		if _, address, ok := strings.Cut(line, "/"); ok && !indented {
			all = append(all, gossiper{address, make(map[string]string)})
			continue
		}
		f := strings.SplitN(said, ":", 3)
		if !indented || len(f) != 3 || len(all) == 0 {
			continue
		}
		key := strings.TrimSuffix(f[0], "_WITH_PORT")
		if all[len(all)-1].said[key] == "" {
			all[len(all)-1].said[key] = f[2]
		}
	}
	return all
}
