// Package sshtest runs real SSH servers for tests: OpenSSH's sshd, unprivileged or as
// root, on loopback, any number of them.
//
// Words. A lab is a directory with a home, keys, an authority for users and one for
// hosts, and what may log in. A server is an address of its own with host keys of
// its own; a session is one sshd process, which serves one connection.
//
// A server is a listener of the test, which starts sshd -i for each connection, as
// inetd does. So 180 servers cost 180 sockets, no port is guessed, and the test
// knows the process of every connection: it can stop it, kill it, count it. With the
// test its connections end, and with them these processes, however the test ends.
//
// Everybody who logs in is the user who runs the test, since sshd without root can
// make nobody else. There is no PAM; the shell's home is the lab's, which has no start
// files, and its environment what [Options] say.
//
// Ways in: [New], [Lab.Key] and [Lab.Authorize], [Lab.Start], then [Server.Line] for
// known_hosts.
package sshtest
