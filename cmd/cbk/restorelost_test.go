package main

import (
	"errors"
	"testing"

	"cbk/restore"
	"cbk/snapshot"
)

func TestOnlyWhatIsMarkedIsAcceptedAsLost(t *testing.T) {
	tables := []snapshot.LostTable{{Keyspace: "ks", Table: "t", Components: []string{"nb-1-big-Data.db"}}}
	e := &snapshot.Entry{Losses: []snapshot.Loss{{LostNode: snapshot.LostNode{Tables: tables}}}}
	marked := restore.Refused{Keyspace: "ks", Table: "t", Component: "nb-1-big-Data.db"}
	other := restore.Refused{Keyspace: "ks", Table: "t", Component: "nb-2-big-Data.db"}
	for what, c := range map[string]struct {
		err  error
		exit int
	}{
		"all of it is marked":    {&restore.DamagedError{Refused: []restore.Refused{marked}}, exitIncomplete},
		"some is news":           {&restore.DamagedError{Refused: []restore.Refused{marked, other}}, exitDamage},
		"another error":          {errors.New("no route to host"), exitFailed},
		"everything was written": {nil, exitOK},
	} {
		if err := accepted(e, c.err); exitCode(err) != c.exit {
			t.Errorf("%s: exit %d, %v", what, exitCode(err), err)
		}
	}
	if err := accepted(&snapshot.Entry{}, &restore.DamagedError{Refused: []restore.Refused{marked}}); exitCode(err) != exitDamage {
		t.Errorf("nothing is marked: %v", err)
	}
}
