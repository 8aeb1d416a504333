package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"cbk/cassandra/node"
	"cbk/repo"
	"cbk/repo/store"
)

const maxPassphrase = 4 << 10

// session is what a command works with.
type session struct {
	cfg    *config
	log    *slog.Logger
	repo   *repo.Repo
	counts *store.Counts
}

// open reads the configuration and opens the repository with the passphrase.
func open(c *cli.Context, readOnly bool) (*session, error) {
	log, err := logger(c)
	if err != nil {
		return nil, err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(c.Context, cfg.Repository, store.Options{ReadOnly: readOnly, Log: log})
	if err != nil {
		return nil, err
	}
	counted, counts := store.Counting(st)
	pass, err := passphrase(cfg, c.App.ErrWriter)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r, err := repo.Open(c.Context, counted, pass, filepath.Join(cfg.StateDir, "cache"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", cfg.Repository, err), st.Close())
	}
	debug.FreeOSMemory() // the key derivation took 64 MiB, which nothing after it needs in one piece
	return &session{cfg: cfg, log: log, repo: r, counts: counts}, nil
}

// close adds a failure to release the store to the command's own error.
func (s *session) close(err *error) { *err = errors.Join(*err, s.repo.Close()) }

func (s *session) node() (*node.Node, error) { return node.New(s.cfg.node(), s.log) }

// passphrase reads the first line of the passphrase file, else CBK_PASSPHRASE, else asks on a terminal.
func passphrase(cfg *config, prompt io.Writer) ([]byte, error) {
	if cfg.PassphraseFile != "" {
		f, err := os.Open(cfg.PassphraseFile)
		if err != nil {
			return nil, usageError("passphrase file: %w", err)
		}
		defer f.Close()
		line, err := bufio.NewReader(io.LimitReader(f, maxPassphrase)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, usageError("passphrase file: %w", err)
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return nil, usageError("passphrase file %s: its first line is empty", cfg.PassphraseFile)
		}
		return line, nil
	}
	if p := os.Getenv("CBK_PASSPHRASE"); p != "" {
		return []byte(p), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, usageError("no passphrase: set --passphrase-file, CBK_PASSPHRASE_FILE or passphrase_file: in the config")
	}
	fmt.Fprint(prompt, "passphrase: ")
	p, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return nil, usageError("read passphrase: %w", err)
	}
	return p, nil
}
