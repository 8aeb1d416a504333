package cluster

import "time"

// Hurry has a cluster wait less for what does not answer.
func (c *Cluster) Hurry(keepalive, grace time.Duration) { c.interval, c.grace = keepalive, grace }

// CommandLine is what a host's shell is given.
func CommandLine(words ...string) (string, error) { return commandLine(words...) }
