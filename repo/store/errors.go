package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"gocloud.dev/gcerrors"
)

// kindOf maps what a driver or provider said to an error of this package, nil
// where none fits. The order matters: a full disk and a missing bucket would
// else pass as something weaker.
func kindOf(err error) error {
	var judged *Error
	if errors.As(err, &judged) {
		return judged.Kind
	}
	for _, kind := range []error{ErrNotFound, ErrNoStore, ErrExists, ErrTooLarge, ErrReadOnly, ErrDenied, ErrInvalid, ErrFull, ErrUnsupported, ErrNoVersions, ErrStalled} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if kind := kindOfErrno(err); kind != nil {
		return kind
	}
	if kind, ok := kindOfResponse(err); ok {
		return kind
	}
	return kindOfCode(gcerrors.Code(err))
}

// kindOfErrno judges errors of the local file system. Those that may pass, EIO
// of a network mount among them, have no kind and are retried.
func kindOfErrno(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return nil
	}
	switch errno {
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		return ErrFull
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return ErrDenied
	case syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL:
		return ErrInvalid
	}
	return nil
}

// kindOfCode judges what gocloud made of an error.
func kindOfCode(code gcerrors.ErrorCode) error {
	switch code {
	case gcerrors.NotFound:
		return ErrNotFound
	case gcerrors.AlreadyExists, gcerrors.FailedPrecondition:
		return ErrExists
	case gcerrors.PermissionDenied:
		return ErrDenied
	case gcerrors.InvalidArgument:
		return ErrInvalid
	case gcerrors.Unimplemented:
		return ErrUnsupported
	}
	return nil
}

// transient reports whether repeating the operation may help. What is not
// known to be permanent is transient: networks fail in more ways than a list
// can hold, and the retry budget bounds the cost of a wrong guess.
func transient(err error) bool {
	if kind := kindOf(err); kind != nil && kind != ErrStalled {
		return false
	}
	return !errors.Is(err, errShort) && !untrusted(err)
}

// untrusted reports a server whose certificate does not verify.
func untrusted(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// errShort is an object that is shorter than asked, which no repetition cures.
var errShort = fmt.Errorf("object is too short: %w", io.ErrUnexpectedEOF)

// cut is the error of a stream that ended before the length its server had
// announced: the network's fault and worth another try. It must not pass for
// errShort, which readers take for damage.
func cut(err error) error {
	if errors.Is(err, errShort) || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("connection closed too early (%v)", err)
}

// wrap names operation and object, once.
func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	err = cut(err)
	kind := kindOf(err)
	if kind == err {
		err = nil
	}
	return &Error{Op: op, Name: name, Kind: kind, Err: bare(err)}
}

// bare takes off gocloud's "blob (key …) (code=Unknown):", which says nothing
// that Error does not, and shortens what Azure says.
func bare(err error) error {
	for err != nil && strings.HasPrefix(err.Error(), "blob (") {
		many, ok := err.(interface{ Unwrap() []error })
		if !ok || len(many.Unwrap()) == 0 || many.Unwrap()[0] == nil {
			break
		}
		err = many.Unwrap()[0]
	}
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return azureWords{azure}
	}
	return err
}

// ended returns the reason for the end of ctx, nil while it lasts.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
