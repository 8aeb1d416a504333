package repo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// trustLog is the trust log with the bytes of its statements. The newest one seen is kept on this machine, so that a store
// that shows an older one is caught, and so that a command fetches only what was added.
type trustLog struct {
	*roles.Trust
	identity *identity
	stateDir string // of this machine; "" = none

	mu         sync.Mutex
	statements [][]byte
}

// maxLocalLog bounds the file: far more than any log of real use, far less than memory.
const maxLocalLog = 32 << 20

// atOnce is the number of small objects that are fetched side by side.
const atOnce = 16

// openTrust reads what is kept of a trust log. A file that cannot be used counts as none: it is only a pin.
func openTrust(c *identity, stateDir string) *trustLog {
	l := &trustLog{Trust: roles.NewTrust(c.id, c.owner), identity: c, stateDir: stateDir}
	if stateDir == "" {
		return l
	}
	f, err := os.Open(l.file())
	if err != nil {
		return l
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLocalLog))
	if err != nil {
		return l
	}
	for len(b) >= 4 {
		n := int64(binary.BigEndian.Uint32(b))
		if n > int64(len(b)-4) || l.append(b[4:4+n]) != nil {
			break
		}
		b = b[4+n:]
	}
	return l
}

func (l *trustLog) file() string {
	return filepath.Join(l.stateDir, "trust", l.identity.Repository+".log")
}

// all returns the statements, the first one first.
func (l *trustLog) all() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.statements)
}

func (l *trustLog) append(statement []byte) error {
	if err := l.Append(statement); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statements = append(l.statements, statement)
	return nil
}

// refresh reads the statements that the store has and the log lacks. The error matches roles.ErrRolledBack if the store
// has fewer than were seen before.
func (l *trustLog) refresh(ctx context.Context, st store.Store) error {
	newest := uint64(0)
	err := st.List(ctx, trustPrefix, func(i store.Info) error {
		if Classify(i.Name) == KindTrust {
			n, _ := strconv.ParseUint(path.Base(i.Name), 10, 63)
			newest = max(newest, n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list trust log: %w", err)
	}
	have, _ := l.Head()
	switch {
	case newest > roles.MaxStatements:
		return &DamageError{Object: roles.TrustName(newest), What: "no trust log is so long"}
	case newest == 0:
		return &DamageError{Object: trustPrefix, What: missing}
	case newest < have:
		return fmt.Errorf("%d statements where %d were seen before: %w", newest, have, roles.ErrRolledBack)
	case newest == have:
		return nil
	}
	for from := have + 1; from <= newest; from += atOnce {
		if err := l.fetch(ctx, st, from, min(from+atOnce-1, newest)); err != nil {
			return err
		}
	}
	return l.keep()
}

// fetch reads the statements from one number to another, both included, and appends them.
func (l *trustLog) fetch(ctx context.Context, st store.Store, from, to uint64) error {
	got := make([][]byte, to-from+1)
	g, ctx := errgroup.WithContext(ctx)
	for i := range got {
		g.Go(func() (err error) {
			name := roles.TrustName(from + uint64(i))
			got[i], err = st.Get(ctx, name, roles.MaxStatement)
			return asDamage(name, err)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, s := range got {
		if err := l.append(s); err != nil {
			return fromRoles(err)
		}
	}
	return nil
}

// keep writes the log to its file, unless another process has put down a longer one meanwhile.
func (l *trustLog) keep() error {
	if l.stateDir == "" || openTrust(l.identity, l.stateDir).Covers(l.Head()) == nil {
		return nil
	}
	var b []byte
	for _, s := range l.all() {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return replaceFile(l.file(), b)
}

// replaceFile writes a file of this machine as a whole or not at all.
func replaceFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-")
	if err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("local state: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// fromRoles gives damage that package roles found the type that all damage has here, unless it is only what else was met
// while a key did not fit.
func fromRoles(err error) error {
	var bad *roles.DamagedObjectError
	if errors.As(err, &bad) && !KeyMismatch(err) {
		return &DamageError{Object: bad.Name, What: bad.What}
	}
	return err
}
