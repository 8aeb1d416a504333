package sstable

// Header is the HEADER part of Statistics.db: what is needed to read the rows of Data.db.
type Header struct {
	MinTimestamp         int64  // microseconds since 1970
	MinLocalDeletionTime int64  // seconds since 1970
	MinTTL               int64  // seconds
	KeyType              string // class names as Cassandra writes them
	ClusteringTypes      []string
	Static, Regular      []Column // in the order of the file
}

// Column is one column of a table as the SSTable knows it.
type Column struct {
	Name []byte
	Type string
}
