package restore

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"cbk/cassandra/node"
	"cbk/snapshot"
)

// Way is how the data of a backup comes to a node.
type Way string

// The ways that end in the directories of a node.
const (
	// InPlace: the node of the backup, or a machine that takes its place, gets the files back.
	InPlace Way = "in-place"
	// Clone: a node of another cluster takes over the tokens and data of one of the backup.
	Clone Way = "clone"
	// Import: a running node takes in tables of users, beside what it has.
	Import Way = "import"
)

// Order is what a node is asked to become. It says nothing of the node itself: one who has never seen the node can give
// it.
type Order struct {
	ID        string             `json:"id"` // names the directories and the journal of this restore
	Way       Way                `json:"way"`
	Backup    string             `json:"backup"`
	Cluster   string             `json:"cluster"`
	Node      string             `json:"node"`      // of the backup
	HostID    string             `json:"host_id"`   // of the backup
	Selection snapshot.Selection `json:"selection"` // of user tables; all: the whole node
	KeepAuth  bool               `json:"keep_auth,omitempty"`
	// WholeCluster tells that all nodes of the backup's ring are restored together, so that no replica has anything newer.
	WholeCluster bool     `json:"whole_cluster,omitempty"`
	Accept       []string `json:"accept,omitempty"` // codes of risks, see package fit
	// TruncateFirst: tables that are there are emptied before they are imported into.
	TruncateFirst bool `json:"truncate_first,omitempty"`
	// AsKeyspace is the name under which the one keyspace that is chosen comes back.
	AsKeyspace string `json:"as_keyspace,omitempty"`
	// FirstStart is what the target of a clone needs in order to take over the tokens.
	FirstStart *node.FirstStart `json:"first_start,omitempty"`
}

// idForm is the time at which a restore was asked for, as its id.
const idForm = "20060102T150405Z"

// NewOrder makes an order. asked is when the restore was asked for and makes its id.
func NewOrder(way Way, snap *snapshot.Snapshot, only snapshot.Selection, asked time.Time) Order {
	return Order{ID: asked.UTC().Format(idForm), Way: way, Backup: snap.Backup, Cluster: snap.Cluster,
		Node: snap.Entry.Catalogue.Node, HostID: snap.HostID, Selection: only}
}

// whole reports whether everything on the node gives way.
func (o *Order) whole() bool { return o.Selection.All() }

// same reports whether two orders ask for the same, at whatever time and at whatever risk.
func (o Order) same(other Order) bool {
	o.ID, other.ID = "", ""
	o.Accept, other.Accept = nil, nil
	return reflect.DeepEqual(o, other)
}

// Cassandra's own keyspaces, by their exact names: a user's may start alike.
const (
	keyspaceSystem  = "system"
	keyspaceSchema  = "system_schema"
	keyspaceAuth    = "system_auth"
	keyspaceViews   = "system_distributed"
	keyspaceTraces  = "system_traces"
	keyspaceCluster = "system_cluster_metadata"
)

// isSystem tells Cassandra's own keyspaces.
func isSystem(keyspace string) bool {
	return slices.Contains([]string{keyspaceSystem, keyspaceSchema, keyspaceAuth, keyspaceViews, keyspaceTraces, keyspaceCluster}, keyspace)
}

// Takes reports whether a table of the backup comes back.
func (o *Order) Takes(keyspace, table string) bool {
	switch {
	case o.Way == Import:
		return !isSystem(keyspace) && o.Selection.Has(keyspace, table)
	case !o.whole():
		return o.Selection.Has(keyspace, table)
	case o.Way == Clone:
		return o.clones(keyspace, table)
	}
	return true
}

// clones reports whether a table may come to another node: what says who the node is, who its peers are or what it was
// doing may not.
func (o *Order) clones(keyspace, table string) bool {
	switch keyspace {
	case keyspaceSystem:
		// Which indexes and views are built, which is true of the files that come along.
		return table == "IndexInfo" || table == "built_views"
	case keyspaceViews:
		return table == "view_build_status"
	case keyspaceAuth:
		return !o.KeepAuth
	case keyspaceTraces, keyspaceCluster:
		return false
	}
	return true
}

// keyspaceName is what Cassandra takes (SchemaConstants.NAME_LENGTH and PATTERN_WORD_CHARS).
var keyspaceName = regexp.MustCompile(`^\w{1,48}$`)

// check refuses what is no order.
func (o *Order) check() error {
	switch {
	case o.Way != InPlace && o.Way != Clone && o.Way != Import:
		return fmt.Errorf("way %q: %s, %s or %s", o.Way, InPlace, Clone, Import)
	case o.Way != Import && (o.TruncateFirst || o.AsKeyspace != ""):
		return fmt.Errorf("only an import empties tables or gives a keyspace another name")
	case o.AsKeyspace != "" && o.whole():
		return fmt.Errorf("another name is given to one keyspace: choose it with --keyspace or --table")
	case o.AsKeyspace != "" && (!keyspaceName.MatchString(o.AsKeyspace) || isSystem(o.AsKeyspace)):
		return fmt.Errorf("%q cannot be the name of a keyspace: 1 to 48 letters, digits and underscores, and none of Cassandra's own", o.AsKeyspace)
	case o.Way == Clone && (!o.whole() || o.FirstStart == nil):
		return fmt.Errorf("a clone is of a whole node, with the tokens it takes over")
	}
	for _, p := range slices.Concat(o.Selection.Keyspaces, o.Selection.Tables) {
		if keyspace, _, _ := cut(p); isSystem(keyspace) {
			return &RefusedError{fmt.Sprintf("%s is Cassandra's own and comes back only with the whole node: restore --in-place without a selection", p)}
		}
	}
	return o.Selection.Check()
}
