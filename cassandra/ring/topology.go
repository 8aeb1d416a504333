package ring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Bounds on a ring from outside. The largest known clusters have a few thousand
// nodes; members are numbered in 16 bits to keep the replicas of a ring small.
const (
	maxMembers = 1 << 16
	// maxTokensEach is Cassandra's own bound on num_tokens.
	maxTokensEach = 1536
	// maxTokens is 4096 nodes of 256 tokens.
	maxTokens = 1 << 20
)

// Topology is a ring that has been checked and is ready to be asked. It does not
// change and may be used by many goroutines.
type Topology struct {
	partitioner partitioner
	replication map[string]map[string]string
	normal      []string // host ids
	owners      []Member // who holds tokens, in the order of the host ids
	joining     []Member // who will, in the order of the ring's members
	tokens      []token  // in the order of the ring
	owner       []uint16 // by token: index in owners
}

// Topology checks the ring and prepares it. Those that hold tokens own ranges as
// they do in Cassandra: a member that is leaving or moving until it has left or
// moved, one that is joining not before it has joined.
func (r Ring) Topology() (*Topology, error) {
	t, err := newTopology(r)
	if err != nil {
		return nil, fmt.Errorf("ring of cluster %q: %w", r.Cluster, err)
	}
	return t, nil
}

func newTopology(r Ring) (*Topology, error) {
	if r.Absent != "" {
		return nil, fmt.Errorf("its members are not known: %s", r.Absent)
	}
	if len(r.Members) > maxMembers {
		return nil, fmt.Errorf("%d members are more than %d", len(r.Members), maxMembers)
	}
	t := &Topology{replication: r.Replication}
	var err error
	if t.partitioner, err = newPartitioner(r.Partitioner); err != nil {
		return nil, err
	}
	for _, m := range r.Members {
		owns, err := m.owns()
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.HostID, err)
		}
		if owns {
			t.owners = append(t.owners, m)
		} else {
			t.joining = append(t.joining, m)
		}
	}
	for _, m := range r.Normal() {
		t.normal = append(t.normal, m.HostID)
	}
	slices.Sort(t.normal)
	slices.SortFunc(t.owners, func(a, b Member) int { return cmp.Compare(a.HostID, b.HostID) })
	return t, t.place()
}

// owns tells whether a member owns ranges.
func (m Member) owns() (bool, error) {
	switch m.State {
	case Joining:
		return false, nil
	case Normal, Leaving, Moving:
	default:
		return false, fmt.Errorf("state %q is not known", m.State)
	}
	if n := len(m.Tokens); n == 0 || n > maxTokensEach {
		return false, fmt.Errorf("%d tokens of a member that is %s, not 1 to %d", n, m.State, maxTokensEach)
	}
	return true, nil
}

// place reads the owners' tokens and brings them into the order of the ring.
func (t *Topology) place() error {
	type placed struct {
		token
		owner uint16
	}
	var all []placed
	for i, m := range t.owners {
		if i > 0 && m.HostID == t.owners[i-1].HostID {
			return fmt.Errorf("two members have the host id %s", m.HostID)
		}
		if len(all)+len(m.Tokens) > maxTokens {
			return fmt.Errorf("there are more than %d tokens", maxTokens)
		}
		for _, text := range m.Tokens {
			tok, err := t.partitioner.parse(text)
			if err != nil {
				return fmt.Errorf("token %.60q of member %s: %w", text, m.HostID, err)
			}
			all = append(all, placed{tok, uint16(i)})
		}
	}
	if len(all) == 0 {
		return errors.New("no member owns a token")
	}
	slices.SortFunc(all, func(a, b placed) int { return a.compare(b.token) })
	t.tokens, t.owner = make([]token, len(all)), make([]uint16, len(all))
	for i, p := range all {
		if i > 0 && p.compare(all[i-1].token) == 0 {
			return fmt.Errorf("token %.60s is held by both %s and %s", p.text, t.owners[all[i-1].owner].HostID, t.owners[p.owner].HostID)
		}
		t.tokens[i], t.owner[i] = p.token, p.owner
	}
	return nil
}

// Len is the number of the ring's ranges: one for each token.
func (t *Topology) Len() int { return len(t.tokens) }

// Range is the range that ends at the token with that index in the order of the
// ring. Range 0 goes over the end of the ring.
func (t *Topology) Range(i int) Range {
	return Range{t.tokens[(i+len(t.tokens)-1)%len(t.tokens)].text, t.tokens[i].text}
}

// Find is the index of the range that a token lies in.
func (t *Topology) Find(text string) (int, error) {
	tok, err := t.partitioner.parse(text)
	if err != nil {
		return 0, fmt.Errorf("token %.60q: %w", text, err)
	}
	i := sort.Search(len(t.tokens), func(i int) bool { return t.tokens[i].compare(tok) >= 0 })
	return i % len(t.tokens), nil
}
