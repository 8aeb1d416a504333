// Package cluster reaches the nodes of a Cassandra cluster by SSH, from one machine
// that needs nothing but the way there: it runs cbk on them, many side by side, and
// puts cbk there.
//
// Words. A host is a node as the ring tells it: its address, its data centre, its
// rack. The route to it is the SSH servers on the way, the node's own being the
// last and those before it jump hosts. A line is what a command on a node says: one
// line of its standard output, a JSON document. The leash is the standard input of
// a command on a node: whoever holds the other end wants it to go on.
//
// Where settings come from. The section cluster: of the configuration wins over the
// user's ssh config, and that over defaults, which are ssh's own. Of ssh config
// count Host, HostName, User, Port, IdentityFile, IdentitiesOnly, ProxyJump,
// HostKeyAlias and UserKnownHostsFile. A host with a ProxyCommand is refused,
// because the way round it may not exist or lead elsewhere; everything else there,
// and the files of /etc/ssh, are not looked at. What is set for the nodes is not
// for the jump hosts, as with ssh, but known_hosts and, where ssh config names none
// for them, identity_files.
//
// Who is trusted. A server is known by known_hosts, plain, hashed or by an
// authority; it is asked for a key of a kind that is known of it, since any other
// could be compared with nothing. Unknown servers are refused with the fingerprint
// of their key, or written down where [Options].AcceptNew says so. A server whose
// key is another than the known one, or revoked, is refused always. We show keys of
// files and of the agent, with their certificates. Passphrases are never asked for:
// an encrypted key is the agent's to open.
//
// One connection leads to each server and carries all that is run there, so that
// 180 nodes behind one jump host are one connection to it and not 180, of which it
// would refuse most. A connection that does not answer for three keepalives is
// lost, and whatever ran over it fails with a [LostError]; the next command makes
// another.
//
// How a command ends. sshd ends no process whose connection is gone: what does not
// write goes on unseen. So a command's standard input stays open behind what it is
// given until it has ended, and cbk on the node ends when its input does ([Leash]).
// A cancelled command is told so by the end of its input and by SIGTERM, which sshd
// may refuse, and has 30 s to clean up.
//
// Invariants. A result is never better than what happened: exit code 0 counts only
// when it has come. Content goes over standard input only; what stands on a command
// line can be read by every user of the node. What nodes send is bounded: a line by
// 1 MiB, the standard error that is kept by 4 KiB. No host's error hides another's.
// After [Cluster.Close] nothing of this package runs any more.
//
// Ways in: [New], then [Cluster.Run] and [Cluster.Push] for one host, and [Each]
// for many. On the node: [Leash].
package cluster
