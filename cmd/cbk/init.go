package main

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a repository",
		Flags: commonFlags(
			&cli.StringFlag{Name: "pack-size", Usage: "`SIZE` of the objects that hold data, 1 MiB to 128 MiB",
				Value: humanize.IBytes(repo.DefaultPackSize)},
			&cli.BoolFlag{Name: "discard-unfinished", Usage: "remove what an init that died has left"}),
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			log, err := logger(c)
			if err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			settings := repo.DefaultSettings()
			if settings.PackSize, err = packSize(c); err != nil {
				return err
			}
			slots, recovery, own, err := cfg.firstSlots(c)
			if err != nil {
				return err
			}
			options, err := cfg.storeOptions(c, changing)
			if err != nil {
				return err
			}
			options.Make, options.Log = true, log
			st, err := store.Open(c.Context, cfg.Repository, options)
			if err != nil {
				return err
			}
			defer st.Close()
			if c.Bool("discard-unfinished") {
				err = repo.DiscardUnfinishedInit(c.Context, st)
			}
			if err == nil {
				err = repo.Init(c.Context, st, settings, slots...)
			}
			if err != nil {
				return fmt.Errorf("init %s: %w", cfg.Repository, err)
			}
			head, unrecorded := auditInit(c, st, own)
			return errors.Join(printInit(c, cfg.Repository, recovery, head), unrecorded)
		},
	}
}

func packSize(c *cli.Context) (int, error) {
	size, err := humanize.ParseBytes(c.String("pack-size"))
	if err != nil || size > 1<<40 {
		return 0, usageError("--pack-size %q: give a size like 64MiB", c.String("pack-size"))
	}
	return int(size), nil
}

// auditInit begins the audit chain of the owner. The recovery key is yet to be printed, whatever comes of it.
func auditInit(c *cli.Context, st store.Store, own roles.Unlock) (head string, err error) {
	r, err := repo.Open(c.Context, st, own, "")
	if err == nil {
		head, err = appendAudit(c, r, nil, nil, nil)
	}
	if err != nil {
		return head, &auditError{err}
	}
	return head, nil
}

// firstSlots are the owner's: by the key management service or passphrase as configured, which own opens, and by a
// recovery key that is printed once.
func (c *config) firstSlots(ctx *cli.Context) (slots []roles.Wrapping, recovery string, own roles.Unlock, err error) {
	var first roles.Wrapping
	switch {
	case c.KeyFile != "" || c.recoveryFile != "":
		return nil, "", own, usageError("a repository begins with a passphrase or a key management service; key files are exported from it")
	case c.KMS != "":
		first, own = roles.KMS(ctx.Context, c.KMS), roles.WithKMS(ctx.Context, c.KMS)
	default:
		pass, err := c.passphrase(ctx.App.ErrWriter)
		if err != nil {
			return nil, "", own, err
		}
		first, own = roles.Passphrase(pass, roles.DefaultCost), roles.WithPassphrase(pass)
	}
	spare, recovery := roles.Recovery()
	return []roles.Wrapping{first, spare}, recovery, own, nil
}

func printInit(c *cli.Context, url, recovery, head string) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{"schema": "cbk.init/1", "repository": url, "recovery_key": recovery, "audit_head": head})
	}
	_, err := fmt.Fprintf(c.App.Writer, "repository ready at %s\n"+
		"recovery key, shown this once: %s\n"+
		"keep it and the passphrase apart from each other: without one of them nothing in the repository can be read\n", url, recovery)
	return err
}
