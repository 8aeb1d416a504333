// Package cassandratest brings real Cassandra clusters to tests and to
// demonstrations. Cassandra comes as jars from Maven Central, once for a machine;
// a node is a directory with its configuration, its data and a bin folder, and
// lives on a loopback address of its own.
//
// Words. A slot is the right to one loopback address 127.0.1.N and one JMX port.
// It is held as a lock on a file under the temporary directory, so that test
// processes running beside each other never meet, and the kernel gives it back
// when its process dies. The owner of a cluster is the process that called [New].
//
// Releases run from 3.11 on. Those before 5.0 need a Java 11, which comes from
// the Python Package Index.
//
// The corners are a keyspace of what is hard to bring back, made of any release:
// what shadows a row lies in another SSTable than the row, and columns were
// dropped after they were written.
//
// The zoo is a keyspace whose tables show all that an SSTable can hold and every
// compressor. [Fixtures] are its SSTables as a release wrote them, flushed and
// compacted, with what the release's own tools say of them; they are made once
// for a machine and kept beside the jars. [Generate] writes large SSTables
// without a server.
//
// What it needs: java and javac 17 and, for the first run, mvn and pip. What is
// missing is an error that says what to install; no test is skipped.
//
// Invariants. A node's bin/start returns at once and its bin/stop when the node
// has ended; both do nothing where nothing is to do. A node does not outlive its
// owner: bin/start leaves a small watch beside the node, which kills the node
// within a second or two once the slot's lock is free, be it that the owner
// stopped the cluster, was killed or was interrupted.
//
// Ways in: [Run] in a test; [New], [Cluster.Start] and [Cluster.Stop] in a program
// or a TestMain; [CreateShop], [Fill], [Delete] and [Dump] for rows to back up,
// [CreateCorners], [FillCorners] and [DumpCorners] for those that are easily lost;
// [Fixtures] and [Generate] for files to read.
package cassandratest
