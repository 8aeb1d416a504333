package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/node"
)

const (
	// clockSlack is what the clocks of node, store and Cassandra may differ: a
	// store tells its time to the second, and one slow request takes one more.
	clockSlack = 5 * time.Second
	// renewWithin is how long before a certificate's end doctor begins to say so.
	renewWithin = 30 * 24 * time.Hour
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "check that this node can be backed up and the repository be used",
		Flags: commonFlags(),
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			log, err := logger(c)
			if err != nil {
				return err
			}
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			d := &doctor{c: c, cfg: cfg, log: log, now: time.Now, doc: doctorJSON{Schema: "cbk.doctor/1", OK: true}}
			d.node(c.Context)
			d.stateDir()
			d.repository(c.Context)
			if err := context.Cause(c.Context); err != nil {
				return err
			}
			return d.report()
		},
	}
}

// doctor goes on after a check that failed: the others tell more.
type doctor struct {
	c   *cli.Context
	cfg *config
	log *slog.Logger
	now func() time.Time
	doc doctorJSON
}

// doctorJSON is cbk.doctor/1.
type doctorJSON struct {
	Schema string      `json:"schema"`
	OK     bool        `json:"ok"`
	Checks []checkedAt `json:"checks"`
}

// checkedAt is one line: a check, whether it went well, what was found and, where it did not, what to do.
type checkedAt struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Next  string `json:"next"`
}

func (d *doctor) ok(check, format string, args ...any) {
	d.doc.Checks = append(d.doc.Checks, checkedAt{Check: check, OK: true, Found: fmt.Sprintf(format, args...)})
}

func (d *doctor) failed(check, next string, err error) {
	d.doc.OK = false
	d.doc.Checks = append(d.doc.Checks, checkedAt{Check: check, Found: flat(err), Next: next})
}

// check notes a failure, with what the table of failures has to say of it, or what was found.
func (d *doctor) check(check string, err error, format string, args ...any) bool {
	if err != nil {
		next := failureOf(err).next
		if as[*node.CommandError](err) {
			next = "" // the error says which key to check
		}
		d.failed(check, next, err)
		return false
	}
	d.ok(check, format, args...)
	return true
}

func (d *doctor) report() error {
	var err error
	if d.c.Bool("json") {
		err = printJSON(d.c.App.Writer, d.doc)
	} else {
		err = printDoctor(d.c.App.Writer, &d.doc)
	}
	if err == nil && !d.doc.OK {
		err = quiet{exitFailed}
	}
	return err
}

func printDoctor(w io.Writer, doc *doctorJSON) error {
	for _, f := range doc.Checks {
		word, next := "ok", ""
		if !f.OK {
			word = "failed"
		}
		if f.Next != "" {
			next = "; " + f.Next
		}
		if _, err := fmt.Fprintf(w, "%-6s  %s: %s%s\n", word, f.Check, f.Found, next); err != nil {
			return err
		}
	}
	return nil
}

// certificates shows a chain; one that ended, or has not begun, fails.
func (d *doctor) certificates(check string, chain []*x509.Certificate) {
	for _, cert := range chain {
		left := cert.NotAfter.Sub(d.now())
		line := fmt.Sprintf("%s, signed by %s, until %s", cert.Subject, cert.Issuer, clock(cert.NotAfter))
		switch {
		case left < 0:
			d.failed(check, "renew it", fmt.Errorf("%s: ended", line))
		case cert.NotBefore.After(d.now()):
			d.failed(check, "wait, or set this machine's clock", fmt.Errorf("%s: begins only at %s", line, clock(cert.NotBefore)))
		case left < renewWithin:
			d.ok(check, "%s: WARNING, %s left; renew it", line, plural(int(left.Hours()/24), "day"))
		default:
			d.ok(check, "%s, %s left", line, plural(int(left.Hours()/24), "day"))
		}
	}
}

// sameTime compares a clock with ours, which showed before and after around the question.
func (d *doctor) sameTime(check, whose string, theirs, before, after time.Time) {
	off := theirs.Sub(before.Add(after.Sub(before) / 2)).Round(time.Second / 10)
	if off.Abs() > clockSlack {
		d.failed(check, "set the clocks by NTP on both sides", fmt.Errorf("%s is %v away from this machine's clock", whose, off))
		return
	}
	d.ok(check, "%s is less than %v away from this machine's clock", whose, clockSlack)
}

// flat is an error in one line.
func flat(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}

// errNotAsked stands in for what could not be asked, because of a failure that is told already.
var errNotAsked = errors.New("not checked: it needs what failed above")
