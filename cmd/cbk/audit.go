package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/store"
)

// auditTimeout bounds the writing of a record when the command itself was interrupted.
const auditTimeout = 30 * time.Second

// auditError says that a command did what it says, and that its audit record is missing.
type auditError struct{ error }

// Error returns one line.
func (e *auditError) Error() string {
	return "the change is made, but not in the audit chain: " + e.error.Error()
}

// Unwrap returns the cause.
func (e *auditError) Unwrap() error { return e.error }

// audit puts down in the audit chain what the command did to the repository, and returns where that stands, for its
// document. plan is the document that --dry-run --json prints, nil where there is none; done is what came of it; objects
// are what was made. It is called once, after the act. A record that cannot be written makes the command end with an
// auditError, see close.
func (s *session) audit(c *cli.Context, plan any, done error, objects ...string) (head string) {
	if !acted(done) {
		return ""
	}
	head, err := appendAudit(c, s.repo, plan, done, objects)
	if err != nil && done != nil && exitCode(done) == exitFailed {
		s.log.Warn("no audit record", "error", err) // what the command itself failed by is told as its error
	} else if err != nil {
		s.unrecorded = &auditError{err}
	}
	return head
}

// auditIfAllowed is audit for commands that change nothing in the repository: a key without the right to write does
// without a record.
func (s *session) auditIfAllowed(c *cli.Context, done error) (head string) {
	if !acted(done) {
		return ""
	}
	if s.cfg.FirstVersion {
		s.log.Info("no audit record: by first versions the repository is only read")
		return ""
	}
	st, err := store.Open(c.Context, s.cfg.Repository, store.Options{Log: s.log})
	if err == nil {
		head, err = appendAudit(c, s.repo.By(st), nil, done, nil)
		err = errors.Join(err, st.Close())
	}
	if err != nil {
		s.log.Log(c.Context, levelOf(err), "no audit record", "error", err)
	}
	return head
}

func levelOf(err error) slog.Level {
	if errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrReadOnly) {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// acted reports whether a command got as far as changing something: mistakes, refusals and keys that do not fit are
// found before that.
func acted(done error) bool {
	return slices.Contains([]int{exitOK, exitFailed, exitIncomplete, exitDamage, exitInterrupted}, exitCode(done))
}

// appendAudit appends the record and prints where it stands, so that a copy of that lies elsewhere.
func appendAudit(c *cli.Context, r *repo.Repo, plan any, done error, objects []string) (string, error) {
	entry, err := auditEntry(c, plan, done)
	if err != nil {
		return "", err
	}
	entry.Objects = objects
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), auditTimeout)
	defer cancel()
	head, err := r.AppendAudit(ctx, entry)
	if head.Seq == 0 {
		return "", err
	}
	fmt.Fprintf(c.App.ErrWriter, "audit head %s\n", head)
	return head.String(), err
}

func auditEntry(c *cli.Context, plan any, done error) (repo.AuditEntry, error) {
	e := repo.AuditEntry{At: time.Now(), User: "unknown", Command: commandName(c), Args: spoken(c), Result: "done", Exit: exitCode(done)}
	if done != nil {
		e.Result = failureOf(done).code
	}
	if u, err := user.Current(); err == nil {
		e.User = u.Username
	}
	var err error
	if e.Host, err = os.Hostname(); err != nil {
		return e, fmt.Errorf("host name: %w", err)
	}
	if plan != nil {
		sum := sha256.New()
		err = printJSON(sum, plan)
		e.Plan = fmt.Sprintf("%x", sum.Sum(nil))
	}
	return e, err
}

// commandName returns the words of the command, such as "key export".
func commandName(c *cli.Context) string {
	var words []string
	for _, up := range c.Lineage() {
		if up.Command != nil && up.Command.Name != "" && up.Command.Name != c.App.Name && !slices.Contains(words, up.Command.Name) {
			words = append([]string{up.Command.Name}, words...)
		}
	}
	return strings.Join(words, " ")
}

// spoken returns what the command was told to do: its flags that were set, by whatever way, and its arguments. Flags that
// every command has say where and how, not what. A URL may hold a secret and is cut after its scheme.
func spoken(c *cli.Context) (args []string) {
	where := make(map[string]bool)
	for _, f := range commonFlags() {
		where[f.Names()[0]] = true
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if where[name] || !c.IsSet(name) {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			args = append(args, "--"+name)
		case *cli.StringSliceFlag:
			for _, v := range c.StringSlice(name) {
				args = append(args, "--"+name+"="+v)
			}
		default:
			args = append(args, fmt.Sprintf("--%s=%v", name, c.Value(name)))
		}
	}
	args = append(args, c.Args().Slice()...)
	for i, a := range args {
		if before, _, is := strings.Cut(a, "://"); is {
			args[i] = before + "://…"
		}
	}
	return args
}
