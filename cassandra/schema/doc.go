// Package schema writes a cluster's schema, and its roles, as CQL from the rows of Cassandra's own tables.
//
// Words. A Row is one row of a system table, by column name. System is what system_schema holds, Access what the roles of
// system_auth hold. They come from CQL, where a release cannot describe itself, or from the SSTables of a node that is
// stopped.
//
// Invariants. It reads nothing itself. The same rows give the same text, whatever their order.
package schema
