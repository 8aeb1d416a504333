package cassandratest

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestALockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFile(path, false); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("second holder: %v", err)
	}
	unlock()
	unlock, err = lockFile(path, true)
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	unlock()
}

func TestSlotsAreDistinct(t *testing.T) {
	seen := make(map[string]bool)
	for range 3 {
		slots, err := takeSlots(2)
		if err != nil {
			t.Fatal(err)
		}
		defer releaseSlots(slots)
		for _, s := range slots {
			if seen[s.address] || seen[strconv.Itoa(s.jmx)] {
				t.Errorf("slot %+v is given twice", s)
			}
			seen[s.address], seen[strconv.Itoa(s.jmx)] = true, true
		}
	}
}

func TestASlotWithAListenerIsPassedOver(t *testing.T) {
	slots, err := takeSlots(1)
	if err != nil {
		t.Fatal(err)
	}
	s := slots[0]
	defer s.release()
	for _, address := range []string{
		net.JoinHostPort(s.address, strconv.Itoa(cqlPort)),
		net.JoinHostPort(s.address, strconv.Itoa(storagePort)),
		net.JoinHostPort("127.0.0.1", strconv.Itoa(s.jmx)),
	} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if s.free() {
			t.Errorf("the slot counts as free while %s is taken", address)
		}
		l.Close()
	}
	if !s.free() {
		t.Error("the slot does not count as free")
	}
}

func TestThereAreNotMoreSlotsThanAddresses(t *testing.T) {
	if slots, err := takeSlots(maxSlots + 1); err == nil {
		releaseSlots(slots)
		t.Errorf("%d slots", len(slots))
	}
	// All that were taken on the way are given back.
	slots, err := takeSlots(1)
	if err != nil {
		t.Fatal(err)
	}
	releaseSlots(slots)
}
