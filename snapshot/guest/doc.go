// Package guest is how cbk behaves on a node that has other things to do.
//
// A backup runs beside Cassandra, on its processors, disks, memory and page cache. What it may not do is be noticed in
// the latency of a query. So:
//
// Reading. What a Guest opens is read under a byte rate that all its files share, and leaves the page cache as it was.
// A snapshot holds hard links: the file that is read is the inode Cassandra serves queries from, so "evict what was
// read" would throw out its hottest pages, and "leave what was read" would push them out with a terabyte that nobody
// asks for again. A Guest asks the kernel which pages are resident before it reads them (mincore), two windows ahead
// of its reading, and gives back those that were not, a window behind. Asked too early the answer is stale, asked after
// the read or its readahead it is wrong. What remains is small and falls on the safe side, but for one case: a page
// that Cassandra itself brings in within the seconds between question and return goes with the others and costs
// Cassandra one read. Of a file that this process may not write the kernel tells nothing (all is said to be resident),
// and nothing is given back: run cbk as the owner of the data. Pages that are mapped or dirty are never given back by
// the kernel, whoever asks, nor is what readahead has under way when a reading is broken off. None of this can fail a
// read.
//
// Priority. LowerPriority makes the process nice and puts it at the lower end of the best-effort I/O class. Not into the
// idle class: a disk that is never idle would never serve it, and a backup that stands still holds a snapshot that
// grows. The I/O class counts where the disk has a scheduler that knows it (bfq, mq-deadline) and niceness among the
// processes of one group: kernel.sched_autogroup_enabled and systemd put sessions and services into groups of their
// own, in which the unit's CPUWeight= and IOWeight= decide. Children inherit both, so whoever lowers the process must
// not start a server from it; of a backup the only child is nodetool, which merely asks Cassandra to work.
//
// Memory and processors. MemoryLimit is what the control group allows. The number of processors needs no code: since Go
// 1.25 the runtime derives GOMAXPROCS from the group's CPU quota (cpu.max, or cpu.cfs_quota_us) and follows its changes,
// where go.mod says 1.25 or later. It looks at the process's own group only, not at its parents', and does not go below 2.
//
// Space. A snapshot takes no room when it is made; it grows as Cassandra compacts files away whose links it keeps.
// Space.Watch ends a backup before that fills the disk.
package guest
