package sstable

// Minima that a header stores are differences from here, 2015-09-22T00:00:00Z: the
// day EncodingStats was written.
const (
	epochSeconds = 1442880000
	epochMicros  = epochSeconds * 1_000_000
)

// Header is the HEADER part of Statistics.db: what is needed to read the rows of
// Data.db. Type texts are class names with their arguments, as in
// "org.apache.cassandra.db.marshal.ListType(org.apache.cassandra.db.marshal.UTF8Type)".
type Header struct {
	MinTimestamp         int64 // microseconds since 1970
	MinLocalDeletionTime int64 // seconds since 1970
	MinTTL               int64 // seconds
	KeyType              string
	ClusteringTypes      []string
	Static, Regular      []Column // in the order of the file
}

// Column is one column of a table as the SSTable knows it.
type Column struct {
	Name []byte
	Type string
}

// parseHeader reads
//
//	vint min timestamp · vint min local deletion time · vint min TTL · text key type
//	· vint n · n × text clustering type
//	· twice, static and regular: vint n · n × (bytes name · text type)
//
// where texts and bytes stand behind a vint with their length.
func parseHeader(c *cursor, layout string) Header {
	h := Header{
		MinTimestamp:         int64(c.vint()) + epochMicros,
		MinLocalDeletionTime: headerDeletionTime(c.vint(), layout),
		MinTTL:               int64(int32(c.vint())),
		KeyType:              string(c.bytes()),
		ClusteringTypes:      parseTypes(c),
	}
	h.Static = parseColumns(c)
	h.Regular = parseColumns(c)
	return h
}

// headerDeletionTime undoes the writer's 32 bit difference, which wraps. Since oa
// the time is unsigned and ends in 2106: Cassandra 5.0 holds it as a negative number
// behind 2038, and makes it unsigned where it comes to a row.
func headerDeletionTime(v uint64, layout string) int64 {
	seconds := uint32(v) + epochSeconds
	if layout >= "oa" {
		return int64(seconds)
	}
	return int64(int32(seconds))
}

func parseTypes(c *cursor) []string {
	var types []string
	for range c.count(c.vint(), 1) {
		types = append(types, string(c.bytes()))
	}
	return types
}

func parseColumns(c *cursor) []Column {
	var columns []Column
	for range c.count(c.vint(), 2) {
		columns = append(columns, Column{Name: c.bytes(), Type: string(c.bytes())})
	}
	return columns
}

// AppendHeader appends the bytes of the HEADER part as Cassandra writes them.
func AppendHeader(b []byte, h Header) []byte {
	b = appendVint(b, uint64(h.MinTimestamp-epochMicros))
	b = appendVint(b, uint64(int32(h.MinLocalDeletionTime-epochSeconds)))
	b = appendVint(b, uint64(int32(h.MinTTL)))
	b = appendText(b, h.KeyType)
	b = appendVint(b, uint64(len(h.ClusteringTypes)))
	for _, t := range h.ClusteringTypes {
		b = appendText(b, t)
	}
	for _, columns := range [][]Column{h.Static, h.Regular} {
		b = appendVint(b, uint64(len(columns)))
		for _, col := range columns {
			b = appendText(appendText(b, string(col.Name)), col.Type)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(appendVint(b, uint64(len(s))), s...)
}
