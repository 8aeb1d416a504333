package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"cbk/cassandra/offline"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const maxPassphrase = 4 << 10

// session is what a command works with.
type session struct {
	cfg    *config
	log    *slog.Logger
	repo   *repo.Repo
	store  store.Store
	counts *store.Counts
	limits limits

	unrecorded error             // why the audit record of the command is missing
	advise     func(error) error // adds what versions may help
}

// open reads the configuration and opens the repository.
func open(c *cli.Context, readOnly bool) (*session, error) {
	do := changing
	if readOnly {
		do = reading
	}
	return openIn(c, do, func(stateDir string) string { return stateDir })
}

// openIn is open with the state directory that state makes of the configured one.
func openIn(c *cli.Context, do access, state func(string) string) (*session, error) {
	return openBy(c, do, state, func(cfg *config) (roles.Unlock, error) { return cfg.unlock(c) })
}

// openLent opens the repository with a loan, and with no key of this machine. Nothing is kept of it: not even what a
// listing of the lender's domains would leave in the state directory. The loan's bytes belong to it from here on.
func openLent(c *cli.Context, loan []byte) (*session, error) {
	nowhere := func(string) string { return "" }
	return openBy(c, reading, nowhere, func(*config) (roles.Unlock, error) {
		l, err := roles.ParseLoan(loan)
		return roles.WithLoan(l, time.Now()), err
	})
}

// openBy is openIn with what unlock makes of the configuration.
func openBy(c *cli.Context, do access, state func(string) string, unlock func(*config) (roles.Unlock, error)) (*session, error) {
	log, err := logger(c)
	if err != nil {
		return nil, err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	limits, err := cfg.Limits.limits(c)
	if err != nil {
		return nil, err
	}
	options, err := cfg.storeOptions(c, do)
	if err != nil {
		return nil, err
	}
	options.Log, options.Upload = log, limits.upload
	st, err := store.Open(c.Context, cfg.Repository, options)
	if err != nil {
		return nil, err
	}
	advise := func(err error) error { return cfg.advise(c.Context, st, err) }
	counted, counts := store.Counting(st)
	key, err := unlock(cfg)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r, err := repo.Open(c.Context, counted, key, state(cfg.StateDir))
	if err != nil {
		return nil, errors.Join(advise(fmt.Errorf("open %s: %w", cfg.Repository, err)), st.Close())
	}
	if cfg.FirstVersion {
		r = r.Forgetful()
	}
	debug.FreeOSMemory() // the key derivation took 64 MiB, which nothing after it needs in one piece
	return &session{cfg: cfg, log: log, repo: r, store: counted, counts: counts, limits: limits, advise: advise}, nil
}

// openContent opens the repository for a command that needs what backups hold.
func openContent(c *cli.Context) (*session, error) {
	s, err := open(c, true)
	if err != nil {
		return nil, err
	}
	if err := s.repo.MustRead(c.Command.Name + " backups"); err != nil {
		return nil, errors.Join(err, s.repo.Close())
	}
	return s, nil
}

// close adds to the command's own error that its audit record is missing, and a failure to release the store.
func (s *session) close(err *error) {
	if s.unrecorded != nil && as[quiet](*err) {
		*err = nil // it was told, and that the record is missing outranks it
	}
	*err = errors.Join(s.advise(*err), s.unrecorded, s.repo.Close())
}

// node is the one of this machine, which runs.
func (s *session) node() (*offline.Running, error) { return offline.NewRunning(s.cfg.node(), s.log) }

// unlock returns what opens the repository: key file, passphrase file, key management service or recovery key as
// configured, else CBK_PASSPHRASE, else a passphrase asked for on a terminal.
func (c *config) unlock(ctx *cli.Context) (roles.Unlock, error) {
	switch {
	case c.KeyFile != "":
		text, err := readFile("key file", c.KeyFile, roles.MaxKeyFile)
		if err != nil {
			return roles.Unlock{}, err
		}
		f, err := roles.ParseKeyFile(text)
		if err != nil {
			return roles.Unlock{}, fmt.Errorf("key file %s: %w", c.KeyFile, err)
		}
		return roles.WithKeyFile(f), nil
	case c.KMS != "":
		return roles.WithKMS(ctx.Context, c.KMS), nil
	case c.recoveryFile != "":
		typed, err := firstLine("recovery file", c.recoveryFile)
		if err != nil {
			return roles.Unlock{}, err
		}
		return roles.WithRecovery(string(typed))
	}
	pass, err := c.passphrase(ctx.App.ErrWriter)
	return roles.WithPassphrase(pass), err
}

func (c *config) passphrase(prompt io.Writer) ([]byte, error) {
	if c.PassphraseFile != "" {
		return firstLine("passphrase file", c.PassphraseFile)
	}
	if p := os.Getenv("CBK_PASSPHRASE"); p != "" {
		return []byte(p), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, usageError("no key: set --key-file or --passphrase-file, their variables, or key_file: or passphrase_file: in the config")
	}
	fmt.Fprint(prompt, "passphrase: ")
	p, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return nil, usageError("read passphrase: %w", err)
	}
	return p, nil
}

// firstLine reads a secret that somebody keeps in a file.
func firstLine(what, file string) ([]byte, error) {
	text, err := readFile(what, file, maxPassphrase)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if line = bytes.TrimRight(line, "\r"); len(line) == 0 {
		return nil, usageError("%s %s: its first line is empty", what, file)
	}
	return line, nil
}

func readFile(what, file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usageError("%s: %w", what, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	if err != nil {
		return nil, usageError("%s: %w", what, err)
	}
	return text, nil
}

// domain returns whose blobs a backup shares: with a writer's key file the domain it was made for, which outlives the
// node; else what --node or node: say, else ("") the node's host id.
func (s *session) domain(c *cli.Context) (string, error) {
	label := cmp.Or(c.String("node"), s.cfg.Node)
	own := s.repo.Key().Domains()
	switch {
	case s.repo.Key().Role() != roles.RoleWriter || slices.Contains(own, label):
		return label, nil
	case label != "":
		return "", usageError("the key file is for %s, not for %s", strings.Join(own, ", "), label)
	case len(own) == 1:
		return own[0], nil
	}
	return "", usageError("the key file is for %d nodes: choose one with --node or node:", len(own))
}
