// Package whole has the nodes of a cluster restored together. Each node does the work itself, by the phases of cbk node;
// this package says which phase is next, on which nodes, and how far all of them have come.
//
// Words. The coordinator is the machine this runs on: it has a key and makes each node's order, which lends the node what it
// needs and no more. A part is a node with its order. The swap is the moment from which a node's files are others.
//
// The way. All nodes fetch, while they run. Only when all have fetched does any stop: then all stop and exchange their
// files, the seeds start, the others start; when they see each other up, one of them runs what the plan lists as statements;
// then all are asked for what must be there. The old files are kept until all commit, or roll back.
//
// Invariants. A node that fails before the swap stops everything, and nothing is changed on any node. After it, the others
// of the same phase are still brought through, and no later phase begins; the report says of each node how far it is. The
// coordinator keeps nothing: the nodes' journals do, by the id of the restore, which Standing asks them for. So whoever runs
// it again goes on with that id, and phases that are done are not done twice.
//
// Ways in: Standing, Restore, End.
package whole
