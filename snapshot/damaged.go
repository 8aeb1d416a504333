package snapshot

import (
	"log/slog"
	"sync"

	"cbk/cassandra/node"
)

// Damaged is an SSTable that was not sound on the node. It was backed up as it is.
type Damaged struct {
	Keyspace string   `json:"keyspace"`
	Table    string   `json:"table"`
	SSTable  string   `json:"sstable"` // path below the data directory, up to the component
	What     []string `json:"what"`
}

// maxDamaged bounds the damaged SSTables that a result names; all are counted, logged and marked in the backup.
const maxDamaged = 1000

// damagedList collects them. Safe for concurrent use.
type damagedList struct {
	mu    sync.Mutex
	list  []Damaged
	total int
}

func (l *damagedList) add(log *slog.Logger, d *node.TableDir, t *SSTable) {
	if len(t.Damage) == 0 {
		return
	}
	one := Damaged{d.Keyspace, d.Table, d.Live + "/" + t.File(&Component{}), t.Damage}
	log.Warn("damaged at the source", "keyspace", d.Keyspace, "table", d.Table, "sstable", one.SSTable, "what", t.Damage)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total++; len(l.list) < maxDamaged {
		l.list = append(l.list, one)
	}
}
