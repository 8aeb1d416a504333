// Package prove shows that a restored node has the data: it chooses partitions in the files that were restored, finds out by
// its own reading how many rows are there, and asks Cassandra for them.
//
// Words. A sample is some partitions of a table, chosen at random through the indexes of its SSTables, with a seed that the
// report tells: the same seed chooses the same partitions of the same files. An expectation is what must be there of one. It
// is undecided where our reader cannot tell, which is no failure and is told. A level is the consistency level of the queries.
//
// What is compared with what. The rows of a sample are those that the restored SSTables of one node have, after all their
// deletions and without what expires within a horizon. Where the caller says that the whole cluster was restored, a partition
// of which no row comes back is a failure, and fewer rows are one. Otherwise the coordinator may have asked another replica,
// which was not restored or knows of a newer deletion: then it is a note, and a failure if of no partition of the table
// anything comes back. More rows are none. The values of rows are not compared: their files were, by hash, before the start. Counts are
// compared if the caller says that this node has all replicas of everything, and else only told. Of counters only
// presence counts, and of views the rows that have more than cells.
//
// Invariants. Sampling reads files and needs no node; it must be done before the node starts, since compactions replace
// files. Its memory is bounded whatever the size of an index, a partition or a table. A damaged file is an error, and no
// undecided partition.
//
// Ways in: [Prepare] before the start, [Check] after it, [ReadQueries] for queries with known answers:
//
//	plan, err := prove.Prepare(ctx, tables, prove.Options{Mode: prove.Samples, Level: "QUORUM", Seed: 7, Now: time.Now()})
//	// start the node
//	report, err := prove.Check(ctx, node, plan, queries)
//	err = errors.Join(err, report.Text(os.Stdout), report.Err())
package prove
