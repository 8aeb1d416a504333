package cassandratest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// firstJMX lies below the ports that Linux hands out by itself (32768 on).
	firstJMX = 17000
	// maxSlots is one loopback address each: 127.0.1.1 to 127.0.1.250. The first
	// /24 is left to whoever runs a cluster by hand.
	maxSlots = 250

	storagePort = 7000
	cqlPort     = 9042
)

// slot is the right to one address and one JMX port.
type slot struct {
	address string
	jmx     int
	lock    string // path of the lock's file
	release func()
}

// takeSlots takes n slots of those nobody holds and nobody listens on. The
// second check meets nodes whose owner died a moment ago and strangers.
func takeSlots(n int) ([]slot, error) {
	dir := filepath.Join(os.TempDir(), "cbk-cassandratest")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var taken []slot
	for i := 1; i <= maxSlots && len(taken) < n; i++ {
		s, ok, err := takeSlot(dir, i)
		if err != nil {
			releaseSlots(taken)
			return nil, err
		}
		if ok {
			taken = append(taken, s)
		}
	}
	if len(taken) < n {
		releaseSlots(taken)
		return nil, fmt.Errorf("only %d of %d loopback addresses are free; see the locks in %s", len(taken), n, dir)
	}
	return taken, nil
}

func takeSlot(dir string, i int) (s slot, ok bool, err error) {
	s = slot{
		address: fmt.Sprintf("127.0.1.%d", i),
		jmx:     firstJMX + i,
		lock:    filepath.Join(dir, strconv.Itoa(i)),
	}
	s.release, err = lockFile(s.lock, false)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("lock a loopback address: %w", err)
	}
	if !s.free() {
		s.release()
		return s, false, nil
	}
	return s, true, nil
}

// free tells whether nobody listens where a node of this slot would.
func (s slot) free() bool {
	return canListen(s.address, storagePort) && canListen(s.address, cqlPort) && canListen("127.0.0.1", s.jmx)
}

func canListen(host string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func releaseSlots(slots []slot) {
	for _, s := range slots {
		s.release()
	}
}
