package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// KindSSTables is what a node snapshot holds. Commit logs are reserved as another kind.
const KindSSTables = "sstables"

// Modes of a backup.
const (
	// ModeDifferential: the backup is complete to read and costs only what is new.
	ModeDifferential = "differential"
	// ModeFull: the backup has a copy of its own of all it needs, and survives the loss of everything else but config,
	// keys and trust log.
	ModeFull = "full"
)

// CheckMode refuses what is no mode.
func CheckMode(mode string) error {
	if mode != ModeDifferential && mode != ModeFull {
		return fmt.Errorf("mode %q: %s or %s", mode, ModeDifferential, ModeFull)
	}
	return nil
}

// Ways to the files of a node.
const (
	WaySnapshot = "snapshot" // a snapshot that Cassandra takes for the backup
	WayExisting = "existing" // one that an operator took
	WayOffline  = "offline"  // the live SSTables of a node that is stopped
)

// Catalogue is the first part of a root: what a listing shows. Times are the node's own clock, in UTC. Bytes are file
// bytes at the source (BytesSource), plain bytes of blobs this backup added (BytesNew) and the sizes of the packs and
// shards it put, padding and tables of contents included (BytesStored).
type Catalogue struct {
	Kind            string    `json:"kind"`
	Backup          string    `json:"backup"`
	Cluster         string    `json:"cluster"`
	HostID          string    `json:"host_id"`
	Node            string    `json:"node"`
	Mode            string    `json:"mode"`
	Started         time.Time `json:"started"`
	Finished        time.Time `json:"finished"`
	Tables          int       `json:"tables"`
	SSTables        int       `json:"sstables"`
	Files           int       `json:"files"`
	Unchanged       int       `json:"files_unchanged"`
	BytesSource     int64     `json:"bytes_source"`
	BytesNew        int64     `json:"bytes_new"`
	BytesStored     int64     `json:"bytes_stored"`
	Selected        bool      `json:"selected,omitempty"`         // of chosen tables only
	SelectionID     string    `json:"selection_id,omitempty"`     // tells selections apart, see Selection.ID
	MissingTables   int       `json:"missing_tables,omitempty"`   // of the schema, that the snapshot lacked
	DamagedSSTables int       `json:"damaged_sstables,omitempty"` // at the source
	Members         Members   `json:"ring"`                       // as the node saw them
	// Annotations are an operator's own words, see CheckAnnotations.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Node is the top description blob of a node snapshot: everything about the node that is not an SSTable, and where the
// descriptions of its tables are.
type Node struct {
	Version     string   `json:"cassandra_version"`
	Partitioner string   `json:"partitioner"`
	DC          string   `json:"dc"`
	Rack        string   `json:"rack"`
	Address     string   `json:"address"`
	Tokens      []string `json:"tokens"`
	DataDirs    int      `json:"data_dirs"`

	Way       string     `json:"way"`                  // one of Ways
	Tag       string     `json:"tag,omitempty"`        // of Cassandra's snapshot
	CommitLog int64      `json:"commit_log,omitempty"` // bytes that a stopped node had not flushed and that are not in
	Selection *Selection `json:"selection,omitempty"`  // nil: all tables
	Found                // how the tables compare with the schema

	Schema       []Text `json:"schema"` // CQL that makes each user keyspace again, in the order of their names
	SchemaAbsent string `json:"schema_absent,omitempty"`
	Roles        *Text  `json:"roles,omitempty"` // CQL
	RolesAbsent  string `json:"roles_absent,omitempty"`
	Config       []Text `json:"config,omitempty"` // files, with secrets masked

	Tables []Table `json:"tables"`
}

// Text is a named text of a node snapshot: the schema of a keyspace, or a file.
type Text struct {
	Name   string `json:"name"`
	Blobs  []ID   `json:"blobs"` // data blobs that, joined, are the text
	Masked int    `json:"masked,omitempty"`
}

// texts are all texts of the node.
func (n *Node) texts() []Text {
	all := slices.Concat(n.Schema, n.Config)
	if n.Roles != nil {
		all = append(all, *n.Roles)
	}
	return all
}

// Table is one table of a node snapshot. Its SSTables are described page by page in blobs of their own, so that an
// unchanged table costs nothing.
type Table struct {
	Keyspace string `json:"keyspace"`
	Name     string `json:"table"`
	ID       string `json:"id"`  // 32 hex digits, or empty
	Dir      string `json:"dir"` // the directory below a data directory, slash-separated; without id where made before 2.1
	Pages    []ID   `json:"pages"`
	Cost

	refs [][]pack.ID // reference segments of each page, while a backup is taken
}

// Cost counts what a table meant for a backup; BytesStored is the sealed size of the blobs it added.
type Cost struct {
	SSTables    int   `json:"sstables"`
	Files       int   `json:"files"`
	Unchanged   int   `json:"files_unchanged"`
	BytesSource int64 `json:"bytes_source"`
	BytesNew    int64 `json:"bytes_new"`
	BytesStored int64 `json:"bytes_stored"`
}

func (c *Cost) add(o Cost) {
	c.SSTables += o.SSTables
	c.Files += o.Files
	c.Unchanged += o.Unchanged
	c.BytesSource += o.BytesSource
	c.BytesNew += o.BytesNew
	c.BytesStored += o.BytesStored
}

func (c *Cost) stored(a repo.Added) {
	c.BytesNew += a.Plain
	c.BytesStored += a.Stored
}

// ID is a blob id that reads and writes as hex in JSON.
type ID pack.ID

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(pack.ID(id).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error {
	p, err := pack.ParseID(string(b))
	*id = ID(p)
	return err
}

func ids(refs []repo.Ref) []ID {
	out := make([]ID, len(refs))
	for i, r := range refs {
		out[i] = ID(r.ID)
	}
	return out
}

// encodeJSON is the canonical form of the small documents: struct fields in order, map keys sorted.
func encodeJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode description: %w", err)
	}
	return b, nil
}
