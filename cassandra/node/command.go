package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// maxOutput bounds what is read of a command's output. nodetool ring writes
	// some 150 bytes a token: 1,000 nodes of 256 are 38 MB.
	maxOutput = 64 << 20
	// keptOutput is the end of the output that a CommandError keeps.
	keptOutput = 4 << 10
	// killAfter is how long a cancelled command may take to end by itself.
	killAfter = 5 * time.Second
)

// nodetoolKey is the configuration key of nodetool, which gets an environment.
const nodetoolKey = "cassandra.nodetool"

// CommandError tells that a command of the configuration failed.
type CommandError struct {
	Argv     []string // as run; may hold what the configuration put there
	ExitCode int      // -1 where the command did not start or was ended by a signal
	Output   string   // the last 4 KiB of what it wrote, for the caller to print
	Err      error    // what exec or the context said

	label string // command and subcommand, fit for a message
	key   string // the configuration key that holds the command
}

// Error is one line: the command, how it ended, what it said, what to check.
func (e *CommandError) Error() string {
	said := complaint(e.Output)
	if said != "" {
		said = ": " + said
	}
	return fmt.Sprintf("%s: %s%s; check %s in the config", e.label, oneLine(e.Err.Error()), said, e.key)
}

// Unwrap gives what exec or the context said.
func (e *CommandError) Unwrap() error { return e.Err }

// run runs the command of a configuration key with more arguments and returns
// what it wrote, both streams together.
//
// The output goes to a file and not through a pipe: a daemon left behind by a
// start command keeps its output open, and a pipe would make us wait for it or
// kill it on its next line.
func (n *Node) run(ctx context.Context, key string, command []string, args ...string) (string, error) {
	if len(command) == 0 || command[0] == "" {
		return "", fmt.Errorf("no command in %s; set it in the config", key)
	}
	out, err := unlinkedFile()
	if err != nil {
		return "", err
	}
	defer out.Close()
	argv := append(append([]string(nil), command...), args...)
	cmd := childCommand(ctx, argv, out)
	if key == nodetoolKey {
		env, err := n.nodetoolEnv()
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, env...)
		if n.cfg.JMX != (JMXConfig{}) {
			key += " and cassandra.jmx"
		}
	}
	n.log.Debug("run command", "key", key, "args", args)
	if err := cmd.Run(); err != nil {
		return "", newCommandError(ctx, cmd, err, key, args, readTail(out))
	}
	return readOutput(out)
}

// childCommand prepares a command in a process group of its own, so that a
// Ctrl-C meant for us does not reach the daemon it starts, and so that
// cancelling ends the Java process behind a wrapper script too.
func childCommand(ctx context.Context, argv []string, out *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = childEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	return cmd
}

// childEnv leaves our own variables out: they may hold a passphrase.
func childEnv(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "CBK_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func newCommandError(ctx context.Context, cmd *exec.Cmd, err error, key string, args []string, tail string) error {
	code := -1
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	label := filepath.Base(cmd.Args[0])
	if len(args) > 0 {
		label += " " + args[0]
	}
	return &CommandError{Argv: cmd.Args, ExitCode: code, Output: tail, Err: err, label: label, key: key}
}

// unlinkedFile opens a temporary file that goes away with its last user.
func unlinkedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "cbk-output-*")
	if err != nil {
		return nil, fmt.Errorf("create file for a command's output: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("unlink file of a command's output: %w", err)
	}
	return f, nil
}

func readOutput(f *os.File) (string, error) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxOutput+1))
	if err != nil {
		return "", fmt.Errorf("read a command's output: %w", err)
	}
	if len(b) > maxOutput {
		return "", fmt.Errorf("command wrote more than %d bytes", maxOutput)
	}
	return string(b), nil
}

// readTail returns the last bytes written to f. It serves an error message, so
// its own errors only shorten the answer.
func readTail(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-keptOutput)
	b, _ := io.ReadAll(io.NewSectionReader(f, from, keptOutput))
	return strings.ToValidUTF8(string(b), "?")
}

// complaint picks the line of a command's output that says what is wrong:
// nodetool marks it, anything else says it last.
func complaint(output string) string {
	last := ""
	for line := range strings.Lines(output) {
		line = oneLine(line)
		if strings.HasPrefix(line, "error:") || strings.HasPrefix(line, "nodetool:") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}

// oneLine makes a message of at most 300 printable characters of s.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "..."
	}
	return s
}
