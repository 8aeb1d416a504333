package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/restore/whole"
)

// runbook is a page of commands for an operator. Its fenced blocks are
//
//	console CASE   commands behind "$ ", below each some of the lines that it prints, with … for any text, and [exit N]
//	cql CASE       statements
//	csv FILE       a file that commands read; yaml FILE likewise
type runbook struct {
	blocks []*block
	files  map[string]string
}

// block is a fenced block of commands of one case.
type block struct {
	line  int
	cql   bool
	of    string // the case
	steps []typed
}

// typed is a command with what it prints, or a statement.
type typed struct {
	run  string
	says []string
	exit int
}

var fence = regexp.MustCompile("^```([a-z]+) ([a-z0-9.-]+)$")

// readRunbook refuses blocks that nobody could run: of another language, or without a case.
func readRunbook(page string) (*runbook, error) {
	book := &runbook{files: make(map[string]string)}
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(strings.TrimSpace(lines[i]), "```") {
			continue
		}
		from := i
		kind := fence.FindStringSubmatch(lines[i])
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		if kind == nil || i == len(lines) {
			return nil, fmt.Errorf("line %d: a block has a language and a case or file, and an end", from+1)
		}
		if err := book.add(from+1, kind[1], kind[2], lines[from+1:i]); err != nil {
			return nil, fmt.Errorf("line %d: %w", from+1, err)
		}
	}
	return book, nil
}

func (book *runbook) add(line int, language, name string, lines []string) error {
	b := &block{line: line, of: name, cql: language == "cql"}
	switch language {
	case "csv", "yaml":
		book.files[name] = strings.Join(lines, "\n") + "\n"
		return nil
	case "cql":
		for _, s := range strings.SplitAfter(strings.Join(lines, " "), ";") {
			if s = strings.TrimSpace(s); s != "" {
				b.steps = append(b.steps, typed{run: strings.TrimSuffix(s, ";")})
			}
		}
	case "console":
		if err := b.console(lines); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a block of %q", language)
	}
	if len(b.steps) == 0 {
		return fmt.Errorf("a block of case %q without a command", name)
	}
	book.blocks = append(book.blocks, b)
	return nil
}

var exitLine = regexp.MustCompile(`^\[exit (\d+)\]$`)

func (b *block) console(lines []string) (err error) {
	for _, line := range lines {
		command, is := strings.CutPrefix(line, "$ ")
		switch code := exitLine.FindStringSubmatch(line); {
		case is:
			b.steps = append(b.steps, typed{run: command})
		case len(b.steps) == 0:
			return fmt.Errorf("%q is no command", line)
		case code != nil:
			b.steps[len(b.steps)-1].exit, err = strconv.Atoi(code[1])
		default:
			s := &b.steps[len(b.steps)-1]
			s.says = append(s.says, line)
		}
	}
	return err
}

// check compares what a command did with what the page says: its exit code, and the lines in their order, among others.
func (s *typed) check(exit int, printed string) error {
	if exit != s.exit {
		return fmt.Errorf("exit %d, the page says %d", exit, s.exit)
	}
	rest := strings.Split(printed, "\n")
	for _, want := range s.says {
		parts := strings.Split(want, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		line := regexp.MustCompile("^" + strings.Join(parts, ".*") + `\s*$`)
		i := slices.IndexFunc(rest, line.MatchString)
		if i < 0 {
			return fmt.Errorf("no line %q, or not in this order", want)
		}
		rest = rest[i+1:]
	}
	return nil
}

// scene is what the cases share: the page, a node with a backup of Monday in its repository, and the rows of that day.
type scene struct {
	book   *runbook
	shared *rig
	monday map[string][]string
}

// caseOf is a case of the runbook: what must be so before and between its blocks, and what must have come of them.
type caseOf struct {
	name string
	do   func(d *desk)
}

// play runs a case, all of whose blocks have to be run.
func (s *scene) play(t *testing.T, c caseOf) {
	t.Helper()
	r := *s.shared
	r.t = t
	d := &desk{rig: &r, scene: s, t: t}
	for _, b := range s.book.blocks {
		if b.of == c.name {
			d.blocks = append(d.blocks, b)
		}
	}
	d.open("10.0.0.1", r.node.Address)
	c.do(d)
	for _, b := range d.blocks {
		t.Errorf("the block of line %d was not run", b.line)
	}
}

// desk is where an operator runs the blocks of a case.
type desk struct {
	*rig
	*scene
	t      *testing.T
	blocks []*block
	at     string // the directory where commands run
	env    []string
}

// open makes the desk one of its rig: a directory with the files of the page in which some words are replaced, and an ssh that
// runs its command here with the configuration ADDRESS.yaml of the rig.
func (d *desk) open(words ...string) {
	d.t.Helper()
	d.at = d.t.TempDir()
	ssh := fmt.Sprintf("#!/bin/sh\nCBK_CONFIG=%s/$1.yaml\nexport CBK_CONFIG\nshift\nexec sh -c \"$*\"\n", d.dir)
	err := errors.Join(os.Mkdir(filepath.Join(d.at, "bin"), 0o700), os.WriteFile(filepath.Join(d.at, "bin", "ssh"), []byte(ssh), 0o700))
	for name, text := range d.book.files {
		err = errors.Join(err, os.WriteFile(filepath.Join(d.at, name), []byte(strings.NewReplacer(words...).Replace(text)), 0o600))
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.env = append(os.Environ(), "BACKUP=monday", "CBK_CONFIG="+d.path("cbk.yaml"), "PATH="+filepath.Join(d.at, "bin")+":"+os.Getenv("PATH"))
}

// set gives the commands variables.
func (d *desk) set(variables ...string) { d.env = append(d.env, variables...) }

// next runs the next block of the case.
func (d *desk) next() {
	d.t.Helper()
	if len(d.blocks) == 0 {
		d.t.Fatal("the page has no more blocks of this case")
	}
	b := d.blocks[0]
	d.blocks = d.blocks[1:]
	for _, s := range b.steps {
		if b.cql {
			d.exec(s.run)
			continue
		}
		exit, printed := d.shell(s.run)
		if err := s.check(exit, printed); err != nil {
			d.t.Fatalf("block of line %d, $ %s\n%v; it printed\n%s", b.line, s.run, err, printed)
		}
	}
}

// shell runs a command as an operator's shell does.
func (d *desk) shell(command string) (exit int, printed string) {
	d.t.Helper()
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir, cmd.Env = d.at, d.env
	out, err := cmd.CombinedOutput()
	if err := ignoreExit(err); err != nil {
		d.t.Fatalf("$ %s: %v", command, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// id is that of the newest restore.
func (d *desk) id() string {
	d.t.Helper()
	all := doc[whole.Restores](d.rig, "restore", "--status").Restores
	if len(all) == 0 {
		d.t.Fatal("there is no restore")
	}
	return all[len(all)-1].ID
}

// unknown are the blocks that no case would run.
func (book *runbook) unknown(cases []caseOf) (lost []string) {
	for _, b := range book.blocks {
		if !slices.ContainsFunc(cases, func(c caseOf) bool { return c.name == b.of }) {
			lost = append(lost, fmt.Sprintf("line %d: no case %q", b.line, b.of))
		}
	}
	return lost
}

func TestABlockThatNobodyWouldRunIsFound(t *testing.T) {
	book, err := readRunbook("text\n```console a\n$ cbk list\nNAME …\n[exit 4]\n$ ls\n```\n```yaml q.yaml\n- x\n```\n```cql b\nSELECT 1;\nSELECT\n2;\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []*block{{line: 2, of: "a", steps: []typed{{"cbk list", []string{"NAME …"}, 4}, {run: "ls"}}}, {line: 11, cql: true, of: "b", steps: []typed{{run: "SELECT 1"}, {run: "SELECT 2"}}}}
	if diff := cmp.Diff(want, book.blocks, cmp.AllowUnexported(block{}, typed{})); diff != "" || book.files["q.yaml"] != "- x\n" {
		t.Errorf("files %q, blocks (-want +got):\n%s", book.files, diff)
	}
	if diff := cmp.Diff([]string{`line 11: no case "b"`}, book.unknown([]caseOf{{name: "a"}})); diff != "" {
		t.Error(diff)
	}
	for page, says := range map[string]string{
		"```\ncbk list\n```":                "line 1: a block has a language",
		"\n```console\n$ cbk list\n```":     "line 2: a block has a language",
		"  ```console a\n  $ cbk list\n```": "line 1: a block has a language",
		"```console a\n$ cbk list\n":        "line 1: a block has a language",
		"```sh a\ncbk list\n```":            `a block of "sh"`,
		"```console a\n```":                 "without a command",
		"```cql a\n\n```":                   "without a command",
		"```console a\ncbk list\n```":       "is no command",
	} {
		if _, err := readRunbook(page); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestWhatACommandDoesIsComparedWithThePage(t *testing.T) {
	printed := "a plan\n  1. stop (now)\nrestored 5 files, to x  \n"
	for _, c := range []struct {
		says []string
		exit int
		bad  string
	}{
		{nil, 0, ""},
		{[]string{"a plan", "restored … files, to x"}, 0, ""},
		{[]string{"  1. stop (now)"}, 0, ""},
		{[]string{"…files…"}, 0, ""},
		{[]string{"1. stop (now)"}, 0, "no line"},
		{[]string{"restored … files"}, 0, "no line"},
		{[]string{"restored … files, to x", "a plan"}, 0, "no line"},
		{[]string{"a plan", "a plan"}, 0, "no line"},
		{nil, 5, "exit 5, the page says 0"},
	} {
		err := (&typed{says: c.says}).check(c.exit, printed)
		if (err != nil) != (c.bad != "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%q, exit %d: %v", c.says, c.exit, err)
		}
	}
	if err := (&typed{exit: 5}).check(5, ""); err != nil {
		t.Error(err)
	}
}
