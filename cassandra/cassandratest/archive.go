package cassandratest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// archive is the file from which a JVM maps the classes an earlier run loaded,
// rather than parse and verify them: a node is up in five seconds then, and in
// nine without. It belongs to one release and one Java.
func (c *Cluster) archive() string {
	p := c.platform.server
	return filepath.Join(p.jars, fmt.Sprintf("classes-%x.jsa", javaID(p.java)))
}

// javaID tells one installation of Java from another, and from itself after an
// upgrade.
func javaID(java string) []byte {
	real, err := filepath.EvalSymlinks(java)
	if err != nil {
		real = java
	}
	// The release file may be missing; the path alone must do then.
	release, _ := os.ReadFile(filepath.Join(filepath.Dir(real), "..", "release"))
	sum := sha256.Sum256(fmt.Appendf(release, "\n%s", real))
	return sum[:8]
}

// ensureArchive makes the archive where it is missing. A Java 11 cannot write one
// as it ends; its nodes start without.
func (c *Cluster) ensureArchive(ctx context.Context) error {
	if c.platform.server.old {
		return nil
	}
	unlock, err := lockFile(c.archive()+".lock", true)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(c.archive()); err == nil {
		return nil
	}
	return c.makeArchive(ctx)
}

// makeArchive starts a node of its own and stops it in order, for its JVM to
// write the archive as it ends.
func (c *Cluster) makeArchive(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "cassandratest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	one, err := New(dir, Options{Version: c.options.Version})
	if err != nil {
		return err
	}
	defer one.Stop()
	part := c.archive() + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := one.Nodes[0].start(ctx, "-XX:ArchiveClassesAtExit="+part); err != nil {
		return err
	}
	if err := one.Nodes[0].Stop(ctx); err != nil {
		return err
	}
	return os.Rename(part, c.archive())
}
