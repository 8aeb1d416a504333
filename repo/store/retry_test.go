package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestEveryOperationIsRepeatedUntilItSucceeds(t *testing.T) {
	for name, op := range everyOperation {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{errs: []error{errFlaky, errFlaky}}
			if err := op(t.Context(), Retry(s, RetryOptions{}, nil)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if min := 3; s.calls < min {
				t.Errorf("%s: %d calls", name, s.calls)
			}
		})
	}
}

func TestPermanentErrorsAreNotRepeated(t *testing.T) {
	for _, err := range []error{
		ErrNotFound, ErrNoStore, ErrExists, ErrTooLarge, ErrReadOnly, ErrDenied, ErrInvalid, ErrFull, ErrUnsupported,
		errShort, syscall.ENOSPC, syscall.EACCES, syscall.EROFS,
		x509.UnknownAuthorityError{}, x509.HostnameError{Certificate: &x509.Certificate{}}, x509.CertificateInvalidError{},
	} {
		s := &scripted{errs: []error{wrap("get", "x", fmt.Errorf("provider: %w", err)), errFlaky}}
		_, got := Retry(s, RetryOptions{}, nil).Get(t.Context(), "x", 1)
		if !errors.Is(got, err) || s.calls != 1 {
			t.Errorf("%v: %d calls, error %v", err, s.calls, got)
		}
	}
}

func TestErrorsThatMayPassAreTransient(t *testing.T) {
	for _, err := range []error{
		ErrStalled, io.ErrUnexpectedEOF, io.EOF, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EIO, syscall.ESTALE,
		context.DeadlineExceeded, errors.New("server is on fire"),
	} {
		wrapped := wrap("get", "x", err)
		if !transient(wrapped) {
			t.Errorf("%v is taken for permanent", err)
		}
		if errors.Is(wrapped, io.ErrUnexpectedEOF) {
			t.Errorf("%v passes for a short object", err)
		}
	}
}

func TestRepetitionEndsWithItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		for range 1000 {
			s.errs = append(s.errs, errFlaky)
		}
		start := time.Now()
		err := Retry(s, RetryOptions{Budget: time.Minute, First: time.Second, Max: 4 * time.Second}, nil).Delete(t.Context(), "x")
		if !errors.Is(err, errFlaky) || !strings.Contains(err.Error(), fmt.Sprintf("(tries: %d, in ", s.calls)) {
			t.Errorf("error %v after %d calls", err, s.calls)
		}
		// pauses are at most 6 s and at least 2 s once grown
		if spent := time.Since(start); spent > time.Minute || spent < 54*time.Second || s.calls < 10 || s.calls > 35 {
			t.Errorf("%d calls in %s", s.calls, spent)
		}
	})
}

func TestANegativeBudgetMeansOneTry(t *testing.T) {
	s := &scripted{errs: []error{errFlaky}}
	if err := Retry(s, RetryOptions{Budget: -1}, nil).Delete(t.Context(), "x"); err == nil || s.calls != 1 {
		t.Errorf("error %v after %d calls", err, s.calls)
	}
}

func TestAnEndedContextEndsTheRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{errs: []error{errFlaky, errFlaky, errFlaky, errFlaky, errFlaky}}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("operator said stop"))
		defer cancel()
		err := Retry(s, RetryOptions{First: time.Hour, Max: time.Hour, Budget: 24 * time.Hour}, nil).Delete(ctx, "x")
		if err == nil || err.Error() != "operator said stop" || s.calls != 1 {
			t.Errorf("error %v after %d calls", err, s.calls)
		}
	})
}

func TestEachPageOfAListingHasItsOwnBudgetAndNothingIsListedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{errs: []error{errFlaky, errFlaky, nil, errFlaky, errFlaky, nil, errFlaky, errFlaky}}
		r := Retry(s, RetryOptions{Budget: 4 * time.Second, First: time.Second, Max: time.Second}, nil)
		var got strings.Builder
		err := r.List(t.Context(), "", func(i Info) error { got.WriteString(i.Name); return nil })
		if err != nil || got.String() != "abc" {
			t.Errorf("listed %q, %v", got.String(), err)
		}
	})
}

func TestACallbacksErrorIsNotRepeated(t *testing.T) {
	s := &scripted{}
	calls := 0
	err := Retry(s, RetryOptions{}, nil).List(t.Context(), "", func(Info) error { calls++; return errFlaky })
	if err != errFlaky || calls != 1 || s.calls != 1 {
		t.Errorf("%v, %d callbacks, %d pages", err, calls, s.calls)
	}
}

func TestRepetitionsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := &scripted{errs: []error{errFlaky}}
		if err := Retry(s, RetryOptions{}, slog.New(slog.NewTextHandler(&out, nil))).Delete(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "connection reset by peer"); n != 1 {
			t.Errorf("log: %s", &out)
		}
	})
}
