package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
)

// A catalogue entry says of the ring that its node saw what a listing needs, so that rings are read only of backups that
// lack nodes: the number of members in state NORMAL, a digest of their host ids, and one of all that decides where rows
// lie. Nodes that saw the same ring have the same digests, whatever their domains.

// Members is what a catalogue entry says of the ring.
type Members struct {
	Normal   int    `json:"normal,omitempty"`   // members in state NORMAL, up or down
	Others   int    `json:"others,omitempty"`   // in other states
	HostIDs  string `json:"host_ids,omitempty"` // digest of their host ids; empty where the ring is not known
	Topology string `json:"topology,omitempty"` // digest of the ring but for addresses and for who is up
}

// membersOf sums a ring up.
func membersOf(r *ring.Ring) (Members, error) {
	if r.Absent != "" {
		return Members{}, nil
	}
	var hosts []string
	for _, m := range r.Normal() {
		hosts = append(hosts, m.HostID)
	}
	same := *r
	same.Members = slices.Clone(r.Members)
	for i := range same.Members {
		same.Members[i].Address, same.Members[i].Up = "", false
	}
	doc, err := encodeJSON(same)
	if err != nil {
		return Members{}, err
	}
	return Members{Normal: len(hosts), Others: len(r.Members) - len(hosts), HostIDs: HostsDigest(hosts), Topology: shortHash(doc)}, nil
}

// HostsDigest is the digest of a set of host ids, upper and lower case being one.
func HostsDigest(hosts []string) string {
	lower := make([]string, len(hosts))
	for i, h := range hosts {
		lower[i] = strings.ToLower(h)
	}
	slices.Sort(lower)
	return shortHash([]byte(strings.Join(slices.Compact(lower), "\n")))
}

// shortHash is short: what it is compared with is signed like itself.
func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// everyoneIn reports whether the nodes of a backup are exactly the members that each of them saw.
func (b *Backup) everyoneIn() bool {
	hosts := make([]string, len(b.Nodes))
	for i := range b.Nodes {
		hosts[i] = b.Nodes[i].HostID
		if b.Nodes[i].Members.HostIDs != b.Nodes[0].Members.HostIDs {
			return false
		}
	}
	return b.Nodes[0].Members.HostIDs == HostsDigest(hosts)
}

// ringReader reads rings once each: all node snapshots of a quiet cluster share one.
type ringReader struct {
	repo  *repo.Repo
	known map[string]*ring.Ring // by topology, or by blob where that is not known
}

func newRingReader(r *repo.Repo) *ringReader {
	return &ringReader{repo: r, known: make(map[string]*ring.Ring)}
}

// judge fills in which NORMAL members of any ring seen by one of the backup's nodes are not in it, and what can be
// restored without them.
func (rr *ringReader) judge(ctx context.Context, b *Backup, damaged func(*repo.DamageError)) error {
	if b.everyoneIn() && b.Nodes[0].Members.Others == 0 {
		b.level, b.levelKnown = ring.All, true
		b.seeEachOther()
		return nil
	}
	rings, err := rr.rings(ctx, b, damaged)
	if err != nil {
		return err
	}
	have := make(map[string]bool)
	for _, e := range b.Nodes {
		have[strings.ToLower(e.HostID)] = true
	}
	for _, seen := range rings {
		b.unsure = b.unsure || seen.Absent != ""
		for _, m := range seen.Normal() {
			if id := strings.ToLower(m.HostID); !have[id] {
				have[id] = true
				b.Missing = append(b.Missing, m)
			}
		}
	}
	all := b.cover(rings)
	b.level = ring.Restorable(all)
	b.levelKnown = len(all) > 0 && !slices.ContainsFunc(all, func(c ring.Coverage) bool { return c.Unknown != "" })
	return nil
}

// seeEachOther notes what is known of the ring where everyone is in: its members.
func (b *Backup) seeEachOther() {
	seen := &ring.Ring{Members: make([]ring.Member, len(b.Nodes))}
	for i := range b.Nodes {
		seen.Members[i] = ring.Member{HostID: b.Nodes[i].HostID, State: ring.Normal}
		b.Nodes[i].seen = seen
	}
}

// rings returns the different rings that the nodes of a backup saw. A backup of which one cannot be read is unsure.
func (rr *ringReader) rings(ctx context.Context, b *Backup, damaged func(*repo.DamageError)) ([]*ring.Ring, error) {
	var all []*ring.Ring
	for i := range b.Nodes {
		seen, err := rr.read(ctx, &b.Nodes[i])
		var damage *repo.DamageError
		if errors.As(err, &damage) {
			damaged(damage)
			b.unsure = true
			continue
		}
		if err != nil {
			return nil, err
		}
		b.Nodes[i].seen = seen
		if !slices.Contains(all, seen) {
			all = append(all, seen)
		}
	}
	return all, nil
}

// cover tells what the nodes of a backup hold of each keyspace: of the rings that they saw, the one that asks for most
// decides. A node whose snapshot lacks tables holds nothing for sure.
func (b *Backup) cover(rings []*ring.Ring) []ring.Coverage {
	held := make(map[string]bool)
	for _, n := range b.Nodes {
		held[n.HostID] = n.MissingTables == 0
	}
	worst := make(map[string]ring.Coverage)
	for _, seen := range rings {
		for _, c := range coverageOf(seen, held) {
			if known, ok := worst[c.Keyspace]; !ok || c.Level < known.Level {
				worst[c.Keyspace] = c
			}
		}
	}
	return slices.SortedFunc(maps.Values(worst), func(x, y ring.Coverage) int { return cmp.Compare(x.Keyspace, y.Keyspace) })
}

func coverageOf(seen *ring.Ring, held map[string]bool) []ring.Coverage {
	t, err := seen.Topology()
	if err == nil {
		return t.Coverage(held)
	}
	var all []ring.Coverage
	for keyspace := range seen.Replication {
		all = append(all, ring.Coverage{Keyspace: keyspace, Unknown: err.Error()})
	}
	return all
}

// Coverage tells for each keyspace, in the order of their names, what the nodes of a backup hold of it. Rings that cannot
// be read are left out and make the backup unsure.
func (b *Backup) Coverage(ctx context.Context, r *repo.Repo) ([]ring.Coverage, error) {
	rings, err := newRingReader(r).rings(ctx, b, func(*repo.DamageError) {})
	if err != nil {
		return nil, err
	}
	return b.cover(rings), nil
}

func (rr *ringReader) read(ctx context.Context, e *Entry) (*ring.Ring, error) {
	key := e.Members.Topology
	if key == "" {
		key = e.root.Ring.String()
	}
	if r, ok := rr.known[key]; ok {
		return r, nil
	}
	rd, err := rr.repo.NewReaderFor(ctx, e.root)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	r, err := readRing(ctx, rd, e)
	if err == nil {
		rr.known[key] = r
	}
	return r, err
}

func readRing(ctx context.Context, rd *repo.Reader, e *Entry) (*ring.Ring, error) {
	b, err := rd.Load(ctx, &repo.Scratch{}, nil, e.root.Ring, pack.Ring)
	if err != nil {
		return nil, fmt.Errorf("ring of %s in backup %q: %w", e.Node, e.Backup, err)
	}
	r := &ring.Ring{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, &repo.DamageError{Object: e.Root, What: fmt.Sprintf("ring: %v", err)}
	}
	return r, nil
}

// ringFits reads the ring of an entry and compares it with what the entry says of it.
func ringFits(ctx context.Context, rd *repo.Reader, e *Entry) error {
	seen, err := readRing(ctx, rd, e)
	if err != nil {
		return err
	}
	if e.Members == (Members{}) {
		return nil // it says nothing of it
	}
	if m, err := membersOf(seen); err != nil || m != e.Members {
		return errors.Join(err, &repo.DamageError{Object: e.Root, What: "its catalogue entry is not of its ring"})
	}
	return nil
}
