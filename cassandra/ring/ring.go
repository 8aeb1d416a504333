package ring

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
)

// States of a member, as nodetool status names them.
const (
	Normal  = "NORMAL"
	Leaving = "LEAVING"
	Joining = "JOINING"
	Moving  = "MOVING"
)

// Member is one node of the ring.
type Member struct {
	HostID  string   `json:"host_id"` // UUID in its usual text form
	Address string   `json:"address"` // broadcast address, without a port
	DC      string   `json:"dc"`
	Rack    string   `json:"rack"`
	State   string   `json:"state"` // one of the states above
	Up      bool     `json:"up"`    // as the asked node saw it
	Tokens  []string `json:"tokens"`
}

// Ring is a cluster's ring as one of its nodes saw it.
type Ring struct {
	Cluster     string   `json:"cluster"`
	Partitioner string   `json:"partitioner"` // Java class name
	Members     []Member `json:"members"`     // in the order of the host ids
	// Replication holds per keyspace the options of its replication: "class"
	// and, by strategy, "replication_factor" or one factor per data centre.
	Replication map[string]map[string]string `json:"replication"`
	// Absent says why the members are not known; empty where they are.
	Absent string `json:"absent,omitempty"`
}

// Normal returns the members that own their ranges, up or down: the nodes a
// backup of the cluster needs.
func (r Ring) Normal() []Member {
	var normal []Member
	for _, m := range r.Members {
		if m.State == Normal {
			normal = append(normal, m)
		}
	}
	return normal
}

// Sort brings members and tokens into their one order. A member without tokens
// gets an empty list, so that its JSON is a list too.
func (r Ring) Sort() {
	slices.SortFunc(r.Members, func(a, b Member) int { return cmp.Compare(a.HostID, b.HostID) })
	for i, m := range r.Members {
		if m.Tokens == nil {
			r.Members[i].Tokens = []string{}
		}
		SortTokens(m.Tokens)
	}
}

// SortTokens sorts tokens by number. Where one of them is no decimal number, as
// with ByteOrderedPartitioner, all are sorted as text.
func SortTokens(tokens []string) {
	numbers := make(map[string]*big.Int, len(tokens))
	for _, t := range tokens {
		n, ok := new(big.Int).SetString(t, 10)
		if !ok {
			slices.Sort(tokens)
			return
		}
		numbers[t] = n
	}
	slices.SortFunc(tokens, func(a, b string) int {
		return cmp.Or(numbers[a].Cmp(numbers[b]), strings.Compare(a, b))
	})
}
