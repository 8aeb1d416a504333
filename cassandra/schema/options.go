package schema

import (
	"fmt"
	"strings"
)

// kindsOfOption are the types of the columns that hold options.
const (
	textOption = iota
	boolOption
	intOption
	doubleOption
	mapOption
	blobsOption
)

// tableOptions are the options of tables and views in the order of DESCRIBE. Those with an old release are columns that
// 4.0 and later keep for drivers, and do not take as options: what has read_repair is one of them.
var tableOptions = []struct {
	name  string
	kind  int
	old   bool // up to 3.11
	views bool // views take it
}{
	{"additional_write_policy", textOption, false, true},
	{"allow_auto_snapshot", boolOption, false, true},
	{"bloom_filter_fp_chance", doubleOption, false, true},
	{"caching", mapOption, false, true},
	{"cdc", boolOption, false, true},
	{"comment", textOption, false, true},
	{"compaction", mapOption, false, true},
	{"compression", mapOption, false, true},
	{"memtable", textOption, false, true},
	{"crc_check_chance", doubleOption, false, true},
	{"dclocal_read_repair_chance", doubleOption, true, true},
	{"default_time_to_live", intOption, false, false},
	{"extensions", blobsOption, false, true},
	{"gc_grace_seconds", intOption, false, true},
	{"incremental_backups", boolOption, false, true},
	{"max_index_interval", intOption, false, true},
	{"memtable_flush_period_in_ms", intOption, false, true},
	{"min_index_interval", intOption, false, true},
	{"read_repair", textOption, false, true},
	{"read_repair_chance", doubleOption, true, true},
	{"speculative_retry", textOption, false, true},
}

// options writes what follows WITH.
func (t *table) options(compact bool) (string, error) {
	var all []string
	if compact {
		all = append(all, "COMPACT STORAGE")
	}
	all = append(all, "ID = "+quoteUUID(need[[16]byte](t.fields, "id")))
	if len(t.clusters) > 0 {
		all = append(all, "CLUSTERING ORDER BY ("+t.clusteringOrder()+")")
	}
	view := t.row["view_name"] != nil
	for _, o := range tableOptions {
		if t.row[o.name] == nil || o.old && t.row["read_repair"] != nil || view && !o.views {
			continue
		}
		all = append(all, o.name+" = "+t.option(o.name, o.kind))
	}
	return strings.Join(all, "\n    AND "), t.err
}

func (t *table) option(name string, kind int) string {
	switch kind {
	case boolOption:
		return fmt.Sprint(value[bool](t.fields, name))
	case intOption:
		return fmt.Sprint(value[int](t.fields, name))
	case doubleOption:
		return quoteDouble(value[float64](t.fields, name))
	case mapOption:
		return quoteMap(value[map[string]string](t.fields, name))
	case blobsOption:
		return quoteBlobs(value[map[string][]byte](t.fields, name))
	}
	return quoteText(value[string](t.fields, name))
}

func (t *table) clusteringOrder() string {
	var all []string
	for _, c := range t.clusters {
		order := "ASC"
		if strings.EqualFold(c.order, "desc") {
			order = "DESC"
		}
		all = append(all, quoteName(c.name)+" "+order)
	}
	return strings.Join(all, ", ")
}
