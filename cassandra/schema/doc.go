// Package schema writes a cluster's schema, and its roles, as CQL from the rows of Cassandra's own tables.
//
// Words. A Row is one row of a system table, by column name. System is what system_schema holds, Access what the roles of
// system_auth hold. They come from CQL, where a release cannot describe itself, or from the SSTables of a node that is
// stopped.
//
// The text is of the kind that DESCRIBE SCHEMA WITH INTERNALS of 4.0 and later gives: with the ids of tables and with
// dropped columns, without which SSTables cannot be read. It differs where that text makes something else than what it
// describes:
//
//   - tables with COMPACT STORAGE are statements, not comments, and order by no column that CQL cannot see;
//   - a function's body that holds $$ is a quoted string;
//   - triggers are there;
//   - an option without a value in the rows, which is the release's default, is left out;
//   - dropped columns come in the order of their names.
//
// The way back: [Split] parts such a text into statements, and [Parse] says of one what it makes and what it needs, so
// that a table can be made again with its types, and in a keyspace of another name.
//
// Invariants. It reads nothing itself. The same rows give the same text, whatever their order. A row that is needed and
// lacks a column, or has it with another type, is an error that names it; a row that belongs to nothing is left out, as
// Cassandra does. Time and memory are those of the rows times a small factor.
//
// Ways in: [System.CQL] and [Access.CQL]; [ParseAll] and [Statement.In].
package schema
