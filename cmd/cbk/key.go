package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"cbk/repo/roles"
)

func keyCommand() *cli.Command {
	return &cli.Command{
		Name: "key", Usage: "who may do what: keys of owners, writers, keepers and readers",
		Subcommands: []*cli.Command{keyListCommand(), keyAddCommand(), keyExportCommand(), keyRemoveCommand(), keyRevokeCommand(),
			keyRotateCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command key %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func roleFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "role", Usage: usage, Required: true}
}

func keyAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "add a key that opens with a passphrase, a key management service or a recovery key",
		Flags: commonFlags(roleFlag("owner, reader or keeper"),
			&cli.StringFlag{Name: "new-passphrase-file", Usage: "`FILE` whose first line is the passphrase of the key"},
			&cli.StringFlag{Name: "new-kms", Usage: "`URL` of the key management service's key"},
			&cli.BoolFlag{Name: "new-recovery", Usage: "print a recovery key"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			wrapping, recovery, err := newWrapping(c)
			if err != nil {
				return err
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			id, err := s.repo.AddSlot(c.Context, roles.Role(c.String("role")), wrapping)
			head := s.audit(c, nil, err, made(id)...)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, map[string]any{"schema": "cbk.key-add/1", "key": id.String(), "recovery_key": recovery, "audit_head": head})
			}
			fmt.Fprintf(c.App.Writer, "added %s key %s\n", c.String("role"), id)
			if recovery != "" {
				_, err = fmt.Fprintf(c.App.Writer, "recovery key, shown this once: %s\n", recovery)
			}
			return err
		},
	}
}

func newWrapping(c *cli.Context) (w roles.Wrapping, recovery string, err error) {
	given := 0
	if file := c.String("new-passphrase-file"); file != "" {
		given++
		pass, err := firstLine("passphrase file", file)
		if err != nil {
			return w, "", err
		}
		w = roles.Passphrase(pass, roles.DefaultCost)
	}
	if url := c.String("new-kms"); url != "" {
		given++
		w = roles.KMS(c.Context, url)
	}
	if c.Bool("new-recovery") {
		given++
		w, recovery = roles.Recovery()
	}
	if given != 1 {
		return w, "", usageError("choose one of --new-passphrase-file, --new-kms, --new-recovery")
	}
	return w, recovery, nil
}

func keyExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "make a key and print its key file on standard output; no copy of it stays",
		Flags: commonFlags(roleFlag("owner, writer, keeper or reader"),
			&cli.StringSliceFlag{Name: "domain", Usage: "`LABEL` of the node that a writer backs up; repeat for more"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			if stat, err := os.Stdout.Stat(); err == nil && c.App.Writer == os.Stdout && stat.Mode()&os.ModeCharDevice != 0 {
				return usageError("a key file is a secret: redirect standard output to a file that only its user can read")
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			file, id, err := s.repo.ExportKey(c.Context, roles.Role(c.String("role")), c.StringSlice("domain"))
			s.audit(c, nil, err, made(id)...)
			if err != nil {
				return err
			}
			s.log.Info("key exported", "role", c.String("role"), "key", id)
			_, err = c.App.Writer.Write(file)
			return err
		},
	}
}

// made names a key for the audit record, if there is one.
func made(id roles.KeyID) []string {
	if id == (roles.KeyID{}) {
		return nil
	}
	return []string{"key " + id.String()}
}

// keyID parses the only argument of a command.
func keyID(c *cli.Context) (roles.KeyID, error) {
	arg, err := one(c, "key id")
	if err != nil {
		return roles.KeyID{}, err
	}
	id, err := roles.ParseKeyID(arg)
	if err != nil {
		return id, usageError("key id %q: %w; cbk key list shows them", arg, err)
	}
	return id, nil
}

func keyRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "remove a key that opens with a slot: passphrase, key management service or recovery key", ArgsUsage: "KEY",
		Flags: commonFlags(yesFlag()),
		Action: func(c *cli.Context) error {
			return endKey(c, "removed", func(s *session, id roles.KeyID) error {
				slots, err := s.repo.Slots(c.Context)
				if err == nil && len(slots[id]) == 0 {
					err = usageError("key %s has no slot; cbk key revoke ends it", id)
				}
				return err
			})
		},
	}
}

func keyRevokeCommand() *cli.Command {
	return &cli.Command{
		Name: "revoke", Usage: "end a key: what it signs from here on is no backup, and its nodes get new keys", ArgsUsage: "KEY",
		Flags: commonFlags(yesFlag(), &cli.StringFlag{Name: "last", Usage: "`BACKUP` that is the last of that key to count", DefaultText: "the newest there is"}),
		Action: func(c *cli.Context) error {
			return endKey(c, "revoked", func(*session, roles.KeyID) error { return nil })
		},
	}
}

// endKey revokes a key, after check and a question.
func endKey(c *cli.Context, done string, check func(*session, roles.KeyID) error) (err error) {
	id, err := keyID(c)
	if err != nil {
		return err
	}
	s, err := open(c, false)
	if err != nil {
		return err
	}
	defer s.close(&err)
	p, known := s.repo.Key().Trust().Principal(id)
	if !known {
		return fmt.Errorf("key %s: %w", id, roles.ErrUnknownSigner)
	}
	if err := check(s, id); err != nil {
		return err
	}
	last, void, err := s.lastRoots(c, id)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		fmt.Fprintf(c.App.Writer, "%s %s of %s: %d of its backups count no more\n", p.Role, id, forWhom(p), void)
	}
	if err := confirm(c, c.App.ErrWriter, "this ends the key for ever"); err != nil {
		return err
	}
	err = s.repo.Revoke(c.Context, id, last)
	head := s.audit(c, nil, err)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{"schema": "cbk.key-end/1", "key": id.String(), "backups_void": void, "audit_head": head})
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s\n", done)
	return err
}

func keyRotateCommand() *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "seal backups to a new seal key; earlier ones are sealed to it too and stay readable",
		Flags: commonFlags(
			&cli.StringFlag{Name: "domain", Usage: "give one node, by its `LABEL`, a seal key of its own"},
			&cli.BoolFlag{Name: "resume", Usage: "draw no key: finish a rotation that was ended halfway"},
			&cli.BoolFlag{Name: "retire", Usage: "then destroy the older seal keys"}),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, false)
			if err != nil {
				return err
			}
			defer s.close(&err)
			n := 0
			if c.Bool("resume") {
				n, err = s.repo.Reseal(c.Context)
			} else {
				n, err = s.repo.RotateSeal(c.Context, c.String("domain"))
			}
			var retired []roles.SealKeyID
			if err == nil && c.Bool("retire") {
				retired, err = s.repo.RetireSeals(c.Context, c.String("domain"))
			}
			head := s.audit(c, nil, err)
			if err != nil {
				return errors.Join(err, fmt.Errorf("%d session keys were sealed anew; cbk key rotate --resume does the rest", n))
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, map[string]any{"schema": "cbk.key-rotate/1", "sessions": n, "retired": len(retired), "audit_head": head})
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s sealed anew, %s retired\n", plural(n, "session key"), plural(len(retired), "seal key"))
			return err
		},
	}
}
