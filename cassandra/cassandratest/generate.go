package cassandratest

import (
	"context"
	_ "embed" // for the text of a program
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Kinds of generated tables.
const (
	Docs  = "docs"  // customers with a JSON text of some 2 KiB and a set, one row a partition
	IoT   = "iot"   // sensor readings of some 60 bytes, 500 a partition
	Blobs = "blobs" // random KiB, ten a partition
)

// GenerateOptions say how the rows become files. The zero value is LZ4 in the
// chunks of a release's default and 64 MiB a file.
type GenerateOptions struct {
	Compression string // options of a table's compression as CQL writes them, without braces: "'class': 'ZstdCompressor'"
	FileMiB     int    // size from which a file ends, in MiB of plain rows
}

// generateText is the program that writes SSTables.
//
//go:embed Generate.java
var generateText string

// Generate writes SSTables of so many rows below a directory, without a server
// and far faster than one, and returns the directory with them, which ends with
// keyspace and table. They are those of [Version] in its own format, oa. The same
// kind, rows, seed and options give the same plain rows in the same files.
func Generate(ctx context.Context, dir, kind string, rows, seed int64, o GenerateOptions) (string, error) {
	setDefault(&o.Compression, "'class': 'LZ4Compressor'")
	setDefault(&o.FileMiB, 64)
	cmd, err := generator(ctx)
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, "bulk", kind)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	cmd.Args = append(cmd.Args, to, kind, fmt.Sprint(rows), fmt.Sprint(seed), strconv.Itoa(o.FileMiB), o.Compression)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("generate %s: %w\n%s", kind, err, lastLines(out, 20))
	}
	return to, nil
}

// generator is the command of the program, but for its arguments.
func generator(ctx context.Context) (*exec.Cmd, error) {
	p, err := newPlatform(Version)
	if err != nil {
		return nil, err
	}
	cp, err := classpath(p.server.jars)
	if err != nil {
		return nil, err
	}
	// The writer buffers a file's rows as objects, several times their size.
	options := append([]string{"-Xmx2500M", "-XX:+UseSerialGC", "-Dcassandra.clock=Generate$StandingClock"}, moduleOptions()...)
	return Java(ctx, "Generate", generateText, cp, options...)
}
