package main

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/keys"
	"cbk/repo/store"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a repository",
		Flags: commonFlags(&cli.StringFlag{Name: "pack-size", Usage: "`SIZE` of the objects that hold data, 1 MiB to 128 MiB",
			Value: humanize.IBytes(repo.DefaultPackSize)}),
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
			size, err := humanize.ParseBytes(c.String("pack-size"))
			if err != nil || size > 1<<40 {
				return usageError("--pack-size %q: give a size like 64MiB", c.String("pack-size"))
			}
			settings := repo.DefaultConfig()
			settings.PackSize = int(size)
			pass, err := passphrase(cfg, c.App.ErrWriter)
			if err != nil {
				return err
			}
			st, err := store.Open(c.Context, cfg.Repository, store.Options{Make: true, Log: log})
			if err != nil {
				return err
			}
			defer st.Close()
			if err := repo.Init(c.Context, st, pass, keys.DefaultCost, settings); err != nil {
				return fmt.Errorf("init %s: %w", cfg.Repository, err)
			}
			return printInit(c, cfg.Repository)
		},
	}
}

func printInit(c *cli.Context, url string) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{"schema": "cbk.init/1", "repository": url})
	}
	_, err := fmt.Fprintf(c.App.Writer, "repository ready at %s\nkeep the passphrase: without it nothing in the repository can be read\n", url)
	return err
}
