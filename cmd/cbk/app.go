package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, permute(args, app.Commands))
	return report(stderr, err)
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:  "cbk",
		Usage: "back up Apache Cassandra: encrypted, deduplicated, restorable",
		Commands: []*cli.Command{initCommand(), backupCommand(), backupClusterCommand(), listCommand(), showCommand(), filesCommand(), lastCommand(), diffCommand(),
			statsCommand(), checkCommand(), restoreCommand(), restoreClusterCommand(), nodeCommand(), deleteCommand(), purgeCommand(), holdCommand(), gcCommand(), repairCommand(), keyCommand(), auditCommand(), doctorCommand(),
			configCommand(), versionCommand()},
		Writer: stdout, ErrWriter: stderr,
		HideVersion: true,
		// A list is a flag given several times: commas are part of values.
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // report prints, main exits
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usageError("%w", err) },
		CommandNotFound: func(c *cli.Context, name string) {
			c.App.Metadata["unknown"] = name
		},
		Metadata: map[string]any{},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = app.OnUsageError
		for _, sub := range c.Subcommands {
			sub.OnUsageError = app.OnUsageError
		}
	}
	return app
}

// commonFlags are the flags of every command that opens a repository; extra ones follow.
func commonFlags(extra ...cli.Flag) []cli.Flag {
	return append(extra,
		&cli.StringFlag{Name: "repo", Usage: "repository `URL`: file:///path or a path", EnvVars: []string{"CBK_REPO"}},
		&cli.StringFlag{Name: "config", Usage: "configuration `FILE`", DefaultText: defaultConfigFile, EnvVars: []string{"CBK_CONFIG"}},
		&cli.StringFlag{Name: "key-file", Usage: "key `FILE` made by cbk key export", EnvVars: []string{"CBK_KEY_FILE"}},
		&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` whose first line is the passphrase", EnvVars: []string{"CBK_PASSPHRASE_FILE"}},
		&cli.StringFlag{Name: "kms", Usage: "`URL` of the key in a key management service that opens a slot", EnvVars: []string{"CBK_KMS"}},
		&cli.StringFlag{Name: "recovery-file", Usage: "`FILE` whose first line is the recovery key", EnvVars: []string{"CBK_RECOVERY_FILE"}},
		&cli.StringFlag{Name: "state-dir", Usage: "`DIR` for the local cache and restore journals", EnvVars: []string{"CBK_STATE_DIR"}},
		firstVersionFlag(),
		&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info"},
		jsonFlag())
}

// keyFlags say what opens the repository; at most one of them is given.
var keyFlags = []string{"key-file", "passphrase-file", "kms", "recovery-file"}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print one JSON document on standard output"}
}

// logger writes to standard error, each line with the id of this run.
func logger(c *cli.Context) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, usageError("--log-level: %w", err)
	}
	h := slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level})
	return slog.New(h).With("run", uuid.NewString()[:8]), nil
}

// one returns the only argument of a command.
func one(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usageError("%s takes one %s, got %d arguments", c.Command.Name, what, c.NArg())
	}
	return c.Args().First(), nil
}

func none(c *cli.Context) error {
	if c.NArg() != 0 {
		return usageError("%s takes no arguments, got %q", c.Command.Name, c.Args().First())
	}
	return nil
}

// permute moves the flags of a command before its arguments, so that "restore monday --in-place" reads as it is said:
// the flag parser stops at the first argument.
func permute(args []string, commands []*cli.Command) []string {
	if len(args) < 2 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == args[1] })
	if i < 0 {
		return args
	}
	if len(commands[i].Subcommands) > 0 {
		own := 2 // flags of a group of commands stand before the command, and take no values
		for own < len(args) && strings.HasPrefix(args[own], "-") {
			own++
		}
		return append(args[:own-1:own-1], permute(args[own-1:], commands[i].Subcommands)...)
	}
	takesValue := make(map[string]bool)
	for _, f := range commands[i].Flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !isBool
		}
	}
	flags, rest := args[:2:2], []string(nil)
	for i := 2; i < len(args); i++ {
		name := strings.TrimLeft(args[i], "-")
		switch {
		case args[i] == "--":
			return slices.Concat(flags, []string{"--"}, rest, args[i+1:])
		case name == args[i] || name == "":
			rest = append(rest, args[i])
		default:
			flags = append(flags, args[i])
			if takesValue[name] && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return slices.Concat(flags, []string{"--"}, rest)
}

func versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version", Flags: []cli.Flag{jsonFlag()}, Action: func(c *cli.Context) error {
		if err := none(c); err != nil {
			return err
		}
		if c.Bool("json") {
			return printJSON(c.App.Writer, map[string]any{"schema": "cbk.version/1", "version": version(), "format": 0})
		}
		_, err := fmt.Fprintf(c.App.Writer, "cbk %s, repository format 0\n", version())
		return err
	}}
}
