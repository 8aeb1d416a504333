package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"cbk/repo"
	"cbk/repo/roles"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name: "audit", Usage: "who did what to the repository: signed records, chained for each key",
		Subcommands: []*cli.Command{auditListCommand(), auditVerifyCommand(), auditExportCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command audit %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func chainFlag() cli.Flag {
	return &cli.StringFlag{Name: "key", Usage: "only the chain of the key with this `ID`", DefaultText: "all that the key in use can see"}
}

// openAudit opens the repository and reads which records are asked for.
func openAudit(c *cli.Context) (s *session, opt repo.AuditOptions, err error) {
	if err := none(c); err != nil {
		return nil, opt, err
	}
	if id := c.String("key"); id != "" {
		if opt.Key, err = roles.ParseKeyID(id); err != nil {
			return nil, opt, usageError("--key %q: %w; cbk key list shows them", id, err)
		}
	}
	for _, text := range c.StringSlice("against") {
		h, err := repo.ParseAuditHead(text)
		if err != nil {
			return nil, opt, usageError("--against %w", err)
		}
		opt.Against = append(opt.Against, h)
	}
	s, err = open(c, true)
	return s, opt, err
}

// auditJSON is one record, in cbk.audit/1 and as a line of cbk audit export.
type auditJSON struct {
	Schema   string   `json:"schema,omitempty"` // of a line
	Key      string   `json:"key"`
	Role     string   `json:"role"`
	Nodes    []string `json:"nodes"` // of a writer
	Revoked  bool     `json:"revoked"`
	Number   uint64   `json:"number"`
	Hash     string   `json:"hash"`
	Previous string   `json:"previous"`
	At       string   `json:"at"`
	User     string   `json:"user"`
	Host     string   `json:"host"`
	Command  string   `json:"command"`
	Args     []string `json:"args"`
	Plan     string   `json:"plan_sha256,omitempty"`
	Result   string   `json:"result"`
	Exit     int      `json:"exit"`
	Objects  []string `json:"objects"`
	Made     int      `json:"objects_total"`

	at time.Time
}

func auditDocument(t *roles.Trust, r *repo.AuditRecord) auditJSON {
	doc := auditJSON{Key: r.Key.String(), Nodes: []string{}, Revoked: r.Revoked, Number: r.Seq, Hash: r.Hash.String(), Previous: r.Previous.String(),
		At: clock(r.At), User: r.User, Host: r.Host, Command: r.Command, Args: append([]string{}, r.Args...), Plan: r.Plan, Result: r.Result,
		Exit: r.Exit, Objects: append([]string{}, r.Objects...), Made: r.Made, at: r.At}
	if p, ok := t.Principal(r.Key); ok {
		doc.Role, doc.Nodes = string(p.Role), append(doc.Nodes, p.Domains...)
	}
	return doc
}

func auditListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "print the newest records",
		Flags: commonFlags(chainFlag(), &cli.IntFlag{Name: "last", Value: 100, Usage: "print the newest `N`"}),
		Action: func(c *cli.Context) (err error) {
			s, opt, err := openAudit(c)
			if err != nil {
				return err
			}
			defer s.close(&err)
			if opt.Last = c.Int("last"); opt.Last < 1 {
				return usageError("--last %d: at least 1", opt.Last)
			}
			all, damage, err := s.newest(c, opt)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, map[string]any{"schema": "cbk.audit/1", "records": all})
			} else {
				printAudit(c.App.Writer, all)
			}
			if damage != nil {
				err = errors.Join(err, fmt.Errorf("the list may lack records: %w; cbk audit verify names all that is wrong", damage))
			}
			return err
		},
	}
}

// newest returns the newest records by time, and one of the things that are wrong.
func (s *session) newest(c *cli.Context, opt repo.AuditOptions) (all []auditJSON, wrong error, err error) {
	all = []auditJSON{}
	trim := func() {
		slices.SortStableFunc(all, func(a, b auditJSON) int { return a.at.Compare(b.at) })
		all = all[max(0, len(all)-opt.Last):]
	}
	err = s.repo.Audit(c.Context, opt, func(r repo.AuditRecord, err error) error {
		if err != nil {
			wrong = err
			return nil
		}
		if all = append(all, auditDocument(s.repo.Key().Trust(), &r)); len(all) >= 2*opt.Last {
			trim()
		}
		return nil
	})
	trim()
	return all, wrong, err
}

func printAudit(w io.Writer, all []auditJSON) {
	t := newTable(w, 9, "at", "key", "role", "number", "by", "did", "result", "made")
	for _, r := range all {
		t.AppendRow([]any{r.At, r.Key, r.Role, r.Number, shown(r.User + "@" + r.Host), shown(r.Command + " " + strings.Join(r.Args, " ")),
			shown(r.Result), r.Made})
	}
	t.Render()
}

// shown is what others wrote, fit for a terminal.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

func auditExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "print every record as a line of JSON",
		Flags: commonFlags(chainFlag()),
		Action: func(c *cli.Context) (err error) {
			s, opt, err := openAudit(c)
			if err != nil {
				return err
			}
			defer s.close(&err)
			var wrong error
			err = s.repo.Audit(c.Context, opt, func(r repo.AuditRecord, err error) error {
				if err != nil {
					wrong = err
					return nil
				}
				line := auditDocument(s.repo.Key().Trust(), &r)
				line.Schema = "cbk.audit-record/1"
				return printJSON(c.App.Writer, line)
			})
			if wrong != nil {
				err = errors.Join(err, fmt.Errorf("the export lacks records: %w; cbk audit verify names all that is wrong", wrong))
			}
			return err
		},
	}
}

func auditVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "verify that no record is missing, altered or out of its place",
		Flags: commonFlags(chainFlag(),
			&cli.StringSliceFlag{Name: "against", Usage: "`HEAD` that a command has printed, KEY:NUMBER:HASH: its record must be there; may be repeated"}),
		Action: func(c *cli.Context) (err error) {
			s, opt, err := openAudit(c)
			if err != nil {
				return err
			}
			defer s.close(&err)
			doc, err := s.verifyAudit(c, opt)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, doc)
			} else {
				err = printAuditVerify(c.App.Writer, doc)
			}
			if err == nil && !doc.OK {
				err = quiet{exitDamage}
			}
			return err
		},
	}
}

// auditVerifyJSON is cbk.audit-verify/1.
type auditVerifyJSON struct {
	Schema  string           `json:"schema"`
	OK      bool             `json:"ok"`
	Records int              `json:"records"`
	Against int              `json:"against"` // heads that were given
	Heads   []auditHeadJSON  `json:"heads"`
	Damage  []auditWrongJSON `json:"damage"`
}

type auditHeadJSON struct {
	Key     string `json:"key"`
	Role    string `json:"role"`
	Revoked bool   `json:"revoked"`
	Records int    `json:"records"`
	Head    string `json:"head"`
}

type auditWrongJSON struct {
	Object string `json:"object"`
	What   string `json:"what"`
}

func (s *session) verifyAudit(c *cli.Context, opt repo.AuditOptions) (*auditVerifyJSON, error) {
	doc := &auditVerifyJSON{Schema: "cbk.audit-verify/1", Against: len(opt.Against), Heads: []auditHeadJSON{}, Damage: []auditWrongJSON{}}
	err := s.repo.Audit(c.Context, opt, func(r repo.AuditRecord, err error) error {
		var damage *repo.DamageError
		if errors.As(err, &damage) {
			doc.Damage = append(doc.Damage, auditWrongJSON{damage.Object, damage.What})
			return nil
		}
		doc.add(s.repo.Key().Trust(), &r)
		return err
	})
	doc.OK = len(doc.Damage) == 0
	return doc, err
}

func (d *auditVerifyJSON) add(t *roles.Trust, r *repo.AuditRecord) {
	key := r.Key.String()
	if n := len(d.Heads); n == 0 || d.Heads[n-1].Key != key {
		p, _ := t.Principal(r.Key) // it has signed
		d.Heads = append(d.Heads, auditHeadJSON{Key: key, Role: string(p.Role), Revoked: r.Revoked})
	}
	h := &d.Heads[len(d.Heads)-1]
	h.Records++
	d.Records++
	h.Head = r.AuditHead.String()
}

func printAuditVerify(w io.Writer, d *auditVerifyJSON) error {
	t := newTable(w, 3, "role", "state", "records", "head")
	t.SetColumnConfigs(columns(3, 3))
	for _, h := range d.Heads {
		state := ""
		if h.Revoked {
			state = "revoked"
		}
		t.AppendRow([]any{h.Role, state, h.Records, h.Head})
	}
	t.Render()
	for _, wrong := range d.Damage {
		fmt.Fprintf(w, "DAMAGED %s: %s\n", wrong.Object, wrong.What)
	}
	if !d.OK {
		return nil
	}
	met := ""
	if d.Against > 0 {
		met = fmt.Sprintf("; %s met", plural(d.Against, "head"))
	}
	_, err := fmt.Fprintf(w, "%s, each signed by its key and behind the one before%s\n", plural(d.Records, "record"), met)
	return err
}
