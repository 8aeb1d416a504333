// Package table reads the rows of one small table, merged over all its SSTables, as a query for all of it would give them.
// It is for the tables in which Cassandra keeps what it knows of itself, of a node that is stopped.
//
// Words. A row is a map of values by column name, its keys among them; the types of the values are told at [Row]. An SSTable
// knows the names of all columns but those of keys, so that the caller gives these as [Keys].
//
// Invariants. Of cells that meet, the one wins that wins in Cassandra: by timestamp, then deletions and values that expire
// before others, then by value. What a deletion of a partition, a range, a row or a collection covers, and what has expired,
// is in no row. Nothing is guessed: what cannot be read, or be put in order, is an error for the table as a whole. Counters
// and user types that are not frozen are such, with [ErrUnsupported].
//
// All rows are held in memory. [MaxBytes] and [MaxItems] bound that, whatever the SSTables say of themselves.
//
// A [Presence] tells less of more tables: how many rows of one partition are there, whatever their types.
//
// Ways in: [New], [Table.Add] for each SSTable in any order, [Table.Rows]; [NewPresence] and [CountPartition].
package table
