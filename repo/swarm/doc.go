// Package swarm holds one test: many processes write one repository, each with a key file of its own, while keepers
// collect garbage without mercy, backups are deleted, and processes are killed at any moment. What package gcmodel proves
// of the protocol step by step, this shows of the program: every backup that was committed and not deleted reads back
// whole.
//
// The test binary plays all parts: started with a role in its environment it is one writer's backup, or a keeper.
package swarm
