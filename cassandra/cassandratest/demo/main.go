// Command demo shows cbk on one real Cassandra node, from init to a restore that is compared row by row, and what a
// damaged repository looks like. It prints the commands it runs. Run it with make demo.
//
// With -readme FILE it replaces what stands there between the two demo marks with the excerpt of its own run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
)

func main() {
	cbk := flag.String("cbk", "bin/cbk", "the cbk binary")
	readme := flag.String("readme", "", "file whose demo excerpt is replaced")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *cbk, *readme); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run: a node, a scratch directory, and what was printed for the excerpt.
type demo struct {
	ctx     context.Context
	cbk     string
	dir     string
	node    *cassandratest.Node
	cql     *gocql.Session
	saved   map[string][]string // monday's rows by table
	excerpt strings.Builder
}

func run(ctx context.Context, cbk, readme string) (err error) {
	start := time.Now()
	dir, err := os.MkdirTemp("", "cbk-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{ctx: ctx, dir: dir}
	if d.cbk, err = filepath.Abs(cbk); err != nil {
		return err
	}
	say("starting a real Apache Cassandra %s node (the first run fetches its jars)", cassandratest.Version)
	cluster, err := cassandratest.New(filepath.Join(dir, "node"), cassandratest.Options{Cluster: "demo", Vnodes: 16})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if err := cluster.Start(ctx); err != nil {
		return err
	}
	d.node = cluster.Nodes[0]
	if err := d.story(); err != nil {
		return err
	}
	say("done in %s; nothing is left running", time.Since(start).Round(time.Second))
	if readme == "" {
		return nil
	}
	return replaceExcerpt(readme, d.excerpt.String())
}

func say(format string, args ...any) { fmt.Printf("\n### "+format+"\n", args...) }

// story is the demo itself.
func (d *demo) story() error {
	for _, step := range []func() error{d.connect, d.configure, d.monday, d.tuesday, d.look, d.disaster, d.damage} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) connect() (err error) {
	d.cql, err = d.node.Session()
	return err
}

// configure writes what a node's administrator writes once.
func (d *demo) configure() error {
	k := d.node.Config()
	config := fmt.Sprintf(`repository: file://%[1]s/repo
key_file: %[1]s/writer.key
state_dir: %[1]s/state
cassandra:
  config: %[2]s
  nodetool: [%[3]s]
  cql: {host: %[4]s, port: %[5]d}
  start: [%[6]s]
  stop: [%[7]s]
`, d.dir, k.YAML, strings.Join(k.Nodetool, ", "), k.CQL.Host, k.CQL.Port, k.Start[0], k.Stop[0])
	say("the configuration file, $CBK_CONFIG")
	fmt.Print(d.hide(config))
	if err := errors.Join(os.WriteFile(d.path("cbk.yaml"), []byte(config), 0o600),
		os.WriteFile(d.path("passphrase"), []byte("for the demo only\n"), 0o600)); err != nil {
		return err
	}
	say("the repository's owner makes it, a key for the node, which cannot read, and a key for restores")
	owner := []string{"--passphrase-file", d.path("passphrase")}
	return errors.Join(
		d.run(false, append([]string{"init"}, owner...)...),
		d.export("writer.key", append([]string{"key", "export", "--role", "writer", "--domain", "node-1"}, owner...)...),
		d.export("reader.key", append([]string{"key", "export", "--role", "reader"}, owner...)...))
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// reader is the key that restores and checks.
func (d *demo) reader() string { return d.path("reader.key") }

// rows of the three tables: a collection, a user-defined type and an index; a time series with TTL; blobs.
const (
	mondayRows  = 4000
	tuesdayRows = 4400
)

func (d *demo) monday() error {
	say("a keyspace with three tables, %d rows in each", mondayRows)
	if err := errors.Join(cassandratest.CreateShop(d.cql, 1), cassandratest.Fill(d.cql, 1, 0, mondayRows)); err != nil {
		return err
	}
	var err error
	if d.saved, err = d.rows(); err != nil {
		return err
	}
	return d.run(true, "backup", "--name", "monday")
}

func (d *demo) tuesday() error {
	say("more rows, 200 deleted, and a full compaction, before the next backup")
	if err := errors.Join(cassandratest.Fill(d.cql, 1, mondayRows, tuesdayRows), cassandratest.Delete(d.cql, 0, 200)); err != nil {
		return err
	}
	return errors.Join(d.nodetool("flush"), d.nodetool("compact", cassandratest.Shop), d.run(true, "backup", "--name", "tuesday"))
}

func (d *demo) look() error {
	if code, err := d.exec(false, "show", "tuesday", "--tables"); err != nil || code != 12 {
		return errors.Join(err, fmt.Errorf("the node's key shows content: exit %d", code))
	}
	return errors.Join(d.run(true, "list"), d.run(false, "show", "tuesday", "--key-file", d.reader()),
		d.run(false, "check", "--key-file", d.reader()))
}

// disaster truncates the tables, restores monday and compares every row with what was read before monday's backup.
func (d *demo) disaster() error {
	say("disaster: every table is truncated")
	for _, table := range cassandratest.Tables() {
		if err := d.query("TRUNCATE shop." + table); err != nil {
			return err
		}
	}
	d.cql.Close()
	if err := errors.Join(d.run(true, "restore", "monday", "--key-file", d.reader(), "--in-place", "--yes"), d.connect()); err != nil {
		return err
	}
	got, err := d.rows()
	if err != nil {
		return err
	}
	for _, table := range cassandratest.Tables() {
		if !slices.Equal(d.saved[table], got[table]) {
			return fmt.Errorf("shop.%s did not come back as it was: %d rows, %d were there on monday", table, len(got[table]), len(d.saved[table]))
		}
		d.both("# shop.%s: %d rows read through CQL, each equal to monday's\n", table, len(got[table]))
	}
	return nil
}

func (d *demo) rows() (map[string][]string, error) {
	all := make(map[string][]string)
	for _, table := range cassandratest.Tables() {
		rows, err := cassandratest.Dump(d.cql, table)
		if err != nil {
			return nil, err
		}
		all[table] = rows
	}
	return all, nil
}

// damage flips one byte in the middle of the largest pack.
func (d *demo) damage() error {
	d.cql.Close()
	packs, err := filepath.Glob(filepath.Join(d.dir, "repo", "packs", "*", "*"))
	if err != nil {
		return err
	}
	var largest string
	var content []byte
	for _, p := range packs {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if len(b) > len(content) {
			largest, content = p, b
		}
	}
	say("one byte of the repository is flipped, in the middle of its largest pack")
	content[len(content)/2] ^= 1
	if err := errors.Join(os.Chmod(largest, 0o600), os.WriteFile(largest, content, 0o600)); err != nil {
		return err
	}
	if code, err := d.exec(true, "check", "--key-file", d.reader(), "--read-data"); err != nil || code != 4 {
		return errors.Join(err, fmt.Errorf("check ended with %d, 4 means damage", code))
	}
	return nil
}

func (d *demo) query(stmt string) error { return d.cql.Query(stmt).WithContext(d.ctx).Exec() }

// run runs cbk, which must succeed; excerpt says whether a reader of the excerpt sees it.
func (d *demo) run(excerpt bool, args ...string) error {
	code, err := d.exec(excerpt, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("cbk %s ended with %d", strings.Join(args, " "), code)
	}
	return err
}

// export runs a cbk that prints a secret, into a file.
func (d *demo) export(file string, args ...string) error {
	cmd := d.command(args...)
	d.print(false, "$ cbk "+strings.Join(args, " ")+" > "+d.path(file)+"\n")
	out, err := cmd.Output()
	return errors.Join(err, os.WriteFile(d.path(file), out, 0o600))
}

func (d *demo) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.ctx, d.cbk, args...)
	cmd.Env = append(os.Environ(), "CBK_CONFIG="+d.path("cbk.yaml"))
	cmd.Stderr = os.Stderr
	return cmd
}

func (d *demo) exec(excerpt bool, args ...string) (int, error) {
	cmd := d.command(args...)
	d.print(excerpt, "$ cbk "+strings.Join(args, " ")+"\n")
	out, err := cmd.Output()
	d.print(excerpt, string(out))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func (d *demo) nodetool(args ...string) error {
	k := d.node.Config()
	fmt.Println("$ nodetool " + strings.Join(args, " "))
	out, err := exec.CommandContext(d.ctx, k.Nodetool[0], append(k.Nodetool[1:], args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("nodetool: %w: %s", err, out)
	}
	return nil
}

func (d *demo) both(format string, args ...any) { d.print(true, fmt.Sprintf(format, args...)) }

func (d *demo) print(excerpt bool, text string) {
	text = d.hide(text)
	fmt.Print(text)
	if excerpt {
		d.excerpt.WriteString(text)
	}
}

// hide shows the scratch directory as $DEMO.
func (d *demo) hide(text string) string { return strings.ReplaceAll(text, d.dir, "$DEMO") }

const (
	beginMark = "<!-- demo: written by make readme -->\n```console\n"
	endMark   = "```\n<!-- end of demo -->"
)

func replaceExcerpt(file, excerpt string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(b), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return fmt.Errorf("%s has no demo marks", file)
	}
	return os.WriteFile(file, []byte(before+beginMark+excerpt+endMark+after), 0o644)
}
