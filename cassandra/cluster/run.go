package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// maxLine bounds a line of a node: a report of 10,000 tables with 100 bytes each.
	maxLine = 1 << 20
	// keptStderr is the end of a command's standard error that an ExitError keeps.
	keptStderr = 4 << 10
)

// Command is a call of cbk on a host.
type Command struct {
	// Args follow the name of cbk. Every user of the host can read them.
	Args []string
	// Stdin is given to the command, content and secrets. The command's input stays
	// open behind it until the command has ended: see [Leash]. Run waits for a Read
	// that has begun.
	Stdin io.Reader
	// EndInput ends the input behind Stdin, for a command that reads all of it.
	EndInput bool
	// Line is called for each line of standard output, one after the other, without
	// its end; the bytes are good during the call. An error ends the command.
	Line func([]byte) error
	// Stderr gets a copy of standard error, as it comes; may be nil. Its own errors
	// do not count.
	Stderr io.Writer
}

// Run runs cbk on a host, as root where the configuration says sudo, and returns
// when it has ended and nothing reads or writes for it any more. Other exit codes
// than 0 are an [ExitError], a connection that broke a [LostError]. Where ctx ends,
// the command is told to and has 30 s.
func (c *Cluster) Run(ctx context.Context, h Host, cmd Command) error {
	words := append([]string{c.cfg.RemoteCbk}, cmd.Args...)
	err := c.run(ctx, h, words, cmd)
	var exit *ExitError
	if errors.As(err, &exit) && (exit.Code == 126 || exit.Code == 127) {
		exit.hint = fmt.Sprintf("; is cbk at %s there? --push-binary copies it", c.cfg.RemoteCbk)
	}
	return err
}

// run runs any command.
func (c *Cluster) run(ctx context.Context, h Host, words []string, cmd Command) error {
	if c.cfg.SSH.Sudo {
		words = append([]string{"sudo", "-n", "--"}, words...)
	}
	line, err := commandLine(words...)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Address, err)
	}
	hops, err := c.routes.route(h.Address)
	if err != nil {
		return err
	}
	err = c.runOn(ctx, h, hops, line, cmd)
	// A connection may have ended unnoticed since it was last used.
	if lost := (*LostError)(nil); errors.As(err, &lost) && lost.unused && ctx.Err() == nil {
		err = c.runOn(ctx, h, hops, line, cmd)
	}
	return err
}

// runOn runs a command by the connection that there is, or a new one.
func (c *Cluster) runOn(ctx context.Context, h Host, hops []hop, line string, cmd Command) error {
	cn, err := c.conn(ctx, hops)
	if err != nil {
		if len(hops) > 1 {
			err = fmt.Errorf("on the way to %s: %w", h.Address, err)
		}
		return err
	}
	p := &process{host: h.Address, conn: cn, cmd: cmd, ended: make(chan struct{})}
	return p.run(ctx, c, line)
}

// process is a command that runs on a host.
type process struct {
	host    string
	conn    *conn
	cmd     Command
	session *ssh.Session
	stdin   *input
	stdout  io.Reader
	stderr  tail

	ended  chan struct{} // when nothing is read or written any more
	exit   error         // as the library tells it
	failed error         // Stdin, Line or a line: why the rest does not count
}

// run starts the command, waits for its end and tells how it was.
func (p *process) run(ctx context.Context, c *Cluster, line string) error {
	if err := p.start(ctx, c, line); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !c.begin(func() { p.serve(cancel) }) {
		p.session.Close()
		return ErrClosed
	}
	cut := p.wait(ctx, c)
	switch {
	case cut:
		return fmt.Errorf("%s: %w; the command has not ended in %s and may still run there", p.host, context.Cause(ctx), c.grace)
	case p.failed != nil:
		return fmt.Errorf("%s: %w", p.host, p.failed)
	case p.exit == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p.host, context.Cause(ctx))
	}
	return p.verdict()
}

// start opens a session and has the command run. A server that does not answer
// blocks until its connection is given up; the caller may leave before.
func (p *process) start(ctx context.Context, c *Cluster, line string) error {
	started := make(chan error, 1)
	if !c.begin(func() { started <- p.open(line) }) {
		return ErrClosed
	}
	select {
	case err := <-started:
		return err
	case <-ctx.Done():
	}
	c.begin(func() {
		if <-started == nil {
			p.session.Close()
		}
	})
	return fmt.Errorf("%s: %w", p.host, context.Cause(ctx))
}

func (p *process) open(line string) (err error) {
	if p.session, err = p.conn.client.NewSession(); err != nil {
		err = p.unopened(err)
		if lost := (*LostError)(nil); errors.As(err, &lost) {
			lost.unused = true
			p.conn.end(lost.Err)
			<-p.conn.done
		}
		return err
	}
	defer func() {
		if err != nil {
			p.session.Close()
		}
	}()
	in, err := p.session.StdinPipe()
	if err != nil {
		return err
	}
	p.stdin = &input{w: in}
	if p.stdout, err = p.session.StdoutPipe(); err != nil {
		return err
	}
	p.stderr.also = p.cmd.Stderr
	p.session.Stderr = &p.stderr
	if err = p.session.Start(line); err != nil {
		return p.unopened(err)
	}
	return nil
}

// unopened tells a server that has too many sessions from one that is gone.
func (p *process) unopened(err error) error {
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		return &DialError{Host: p.host, Addr: p.conn.client.RemoteAddr().String(), Err: err}
	}
	return p.lost(err)
}

// serve moves what goes in and comes out, until the command has ended.
func (p *process) serve(cancel context.CancelCauseFunc) {
	defer close(p.ended)
	fed := make(chan error, 1)
	go func() {
		err := p.feed()
		if err != nil {
			cancel(err)
		}
		fed <- err
	}()
	if p.failed = p.lines(); p.failed != nil {
		cancel(p.failed)
		io.Copy(io.Discard, p.stdout) // so that the command is not held up
	}
	p.exit = p.session.Wait()
	p.session.Close()
	if err := <-fed; p.failed == nil {
		p.failed = err
	}
}

// feed gives the command its input. That it takes no more is not our failure: how
// it ends tells more.
func (p *process) feed() error {
	if p.cmd.Stdin != nil {
		in := &reader{r: p.cmd.Stdin}
		io.Copy(p.stdin, in)
		if in.err != nil {
			return fmt.Errorf("read its standard input: %w", in.err)
		}
	}
	if p.cmd.EndInput {
		p.stdin.Close()
	}
	return nil
}

// lines hands on what the command says.
func (p *process) lines() error {
	s := bufio.NewScanner(p.stdout)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		if p.cmd.Line == nil {
			continue
		}
		if err := p.cmd.Line(s.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line of more than %d bytes on standard output", maxLine)
	}
	return nil // other errors are the connection's, which the session tells too
}

// wait returns when the command has ended, and ends it where ctx does; cut tells
// that it did not in time, so that nobody knows.
func (p *process) wait(ctx context.Context, c *Cluster) (cut bool) {
	select {
	case <-p.ended:
		return false
	case <-ctx.Done():
	}
	c.begin(func() { // may block where the server does not answer
		p.session.Signal(ssh.SIGTERM)
		p.stdin.Close()
	})
	if p.endsIn(c.grace) {
		return false
	}
	c.begin(func() {
		p.session.Signal(ssh.SIGKILL)
		p.session.Close()
	})
	if !p.endsIn(c.grace) {
		p.conn.end(fmt.Errorf("a session did not close in %s", c.grace))
		<-p.ended
	}
	return true
}

func (p *process) endsIn(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// verdict is how a command ended that did not end well.
func (p *process) verdict() error {
	var exit *ssh.ExitError
	if !errors.As(p.exit, &exit) {
		return p.lost(p.exit)
	}
	return &ExitError{Host: p.host, Code: exit.ExitStatus(), Signal: exit.Signal(), Stderr: p.stderr.String()}
}

// lost tells how the connection ended, of which the session knows little.
func (p *process) lost(err error) error {
	var missing *ssh.ExitMissingError
	if cause := p.conn.cause(); cause != nil {
		err = cause
	} else if errors.As(err, &missing) {
		err = errors.New("the server did not say how the command ended")
	}
	return &LostError{Host: p.host, Err: err}
}
