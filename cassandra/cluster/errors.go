package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// DialError tells that no connection came about. It may pass: the host may be
// starting, or its sshd have too much to do.
type DialError struct {
	Host string // as asked for
	Addr string // host:port that it stands for
	Err  error
}

// Error names the host and, where it has another, its address.
func (e *DialError) Error() string {
	if strings.HasPrefix(e.Addr, e.Host+":") {
		return fmt.Sprintf("%s: connect: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("%s (%s): connect: %v", e.Host, e.Addr, e.Err)
}

// Unwrap gives what the network said.
func (e *DialError) Unwrap() error { return e.Err }

// LostError tells that a connection broke while something ran over it. What ran
// there may have come to its end or not.
type LostError struct {
	Host string
	Err  error

	unused bool // nothing had been begun
}

// Error says how it was lost.
func (e *LostError) Error() string { return fmt.Sprintf("%s: connection lost: %v", e.Host, e.Err) }

// Unwrap gives how it was lost.
func (e *LostError) Unwrap() error { return e.Err }

// ExitError tells that a command ended with another exit code than 0.
type ExitError struct {
	Host   string
	Code   int    // 128 + its number where a signal ended it
	Signal string // its name, as TERM, "" where none did
	Stderr string // the last 4 KiB of its standard error

	hint string
}

// Error is one line: how it ended, the last that it said, the next step if known.
func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: exit code %d", e.Host, e.Code)
	if e.Signal != "" {
		s = fmt.Sprintf("%s: ended by SIG%s", e.Host, e.Signal)
	}
	if said := lastLine(e.Stderr); said != "" {
		s += ": " + said
	}
	return s + e.hint
}

// AuthError tells that a server let us not in.
type AuthError struct {
	Host    string
	User    string
	Offered []string // keys, by file or by the agent's comment
	Notes   []string // what was not offered, and what could be done
	Err     error
}

// Error says what was offered.
func (e *AuthError) Error() string {
	s := fmt.Sprintf("%s: user %s is not let in", e.Host, e.User)
	if len(e.Offered) == 0 {
		s += ": no key to offer"
	} else {
		s += " with " + strings.Join(e.Offered, ", ")
	}
	for _, note := range e.Notes {
		s += "; " + note
	}
	return s + ": " + e.Err.Error()
}

// Unwrap gives what the SSH library said.
func (e *AuthError) Unwrap() error { return e.Err }

// HostKeyError tells that a server has not proven to be the one that is meant.
type HostKeyError struct {
	Host        string
	Name        string // in known_hosts
	Fingerprint string // kind and SHA-256 of the key shown, "" where none was
	Changed     bool   // known_hosts knows the server otherwise; false: not at all
	Known       string // FILE:LINE of what is known, else the file it would be in
	Err         error
}

// Error names the fingerprint and the next step.
func (e *HostKeyError) Error() string {
	if !e.Changed {
		return fmt.Sprintf("%s: unknown host key %s: compare it with the server's (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub); "+
			"if it is the same, --accept-new adds it to %s", e.Host, e.Fingerprint, e.Known)
	}
	s := fmt.Sprintf("%s: the host key is not the known one: %v", e.Host, e.Err)
	if e.Fingerprint != "" {
		s += ": shown " + e.Fingerprint
	}
	return s + fmt.Sprintf("; if the server was set up anew, ssh-keygen -R %s, else somebody is in between; known: %s", e.Name, e.Known)
}

// Unwrap gives what known_hosts or the SSH library said.
func (e *HostKeyError) Unwrap() error { return e.Err }

// MayPass tells whether an error may be gone at another try: no connection, a lost
// one, or one of these exit codes.
func MayPass(err error, codes ...int) bool {
	var dial *DialError
	var lost *LostError
	var exit *ExitError
	if errors.As(err, &exit) {
		return slices.Contains(codes, exit.Code)
	}
	return errors.As(err, &dial) || errors.As(err, &lost)
}

// maxSaid is how much of what a node said stands in a message, in characters.
const maxSaid = 300

// lastLine returns the last line that says something, fit for a terminal: a node
// may send anything.
func lastLine(s string) string {
	last := ""
	for line := range strings.Lines(s) {
		if line = printable(line); line != "" {
			last = line
		}
	}
	return last
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > maxSaid {
		return string(r[:maxSaid]) + "..."
	}
	return string(r)
}
