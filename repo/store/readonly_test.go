package store

import (
	"errors"
	"testing"
)

func TestReadOnlyRefusesChangesAndPassesReads(t *testing.T) {
	changes := map[string]bool{"create": true, "delete": true, "copy": true}
	for name, op := range everyOperation {
		s := &scripted{}
		err := op(t.Context(), ReadOnly(s))
		if changes[name] && (!errors.Is(err, ErrReadOnly) || s.calls != 0) {
			t.Errorf("%s: %v, %d calls", name, err, s.calls)
		}
		if !changes[name] && (err != nil || s.calls == 0) {
			t.Errorf("%s: %v, %d calls", name, err, s.calls)
		}
	}
}
