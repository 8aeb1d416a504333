package store

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/smithy-go"
	"google.golang.org/api/googleapi"
)

// response is the HTTP answer behind an error: its status and the provider's
// own word for it.
type response struct {
	status int
	code   string
}

// responseOf finds the answer in an error of any of the three clients; false
// where none came.
func responseOf(err error) (response, bool) {
	var (
		r      response
		aws    interface{ HTTPStatusCode() int }
		api    smithy.APIError
		google *googleapi.Error
		azure  *azcore.ResponseError
	)
	switch {
	case errors.As(err, &google):
		r = response{google.Code, google.Message}
		if len(google.Errors) > 0 && google.Errors[0].Reason != "notFound" {
			r.code = google.Errors[0].Reason
		}
	case errors.As(err, &azure):
		r = response{azure.StatusCode, azure.ErrorCode}
	case errors.As(err, &aws):
		r.status = aws.HTTPStatusCode()
		if errors.As(err, &api) {
			r.code = api.ErrorCode()
		}
	}
	return r, r.status != 0
}

// codes that say more than their status, by kind. A nil kind is transient.
var codes = []struct {
	kind  error
	codes []string
}{
	{ErrNoStore, []string{"NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist."}},
	{ErrExists, []string{"PreconditionFailed", "BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet", "conditionNotMet"}},
	{ErrFull, []string{"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"}},
	{ErrDenied, []string{"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}},
	// damaged or cut on the way, or two writers at one name at once
	{nil, []string{"RequestTimeout", "BadDigest", "Md5Mismatch", "IncompleteBody", "XAmzContentSHA256Mismatch",
		"XAmzContentChecksumMismatch", "ConditionalRequestConflict", "OperationAborted", "rateLimitExceeded", "userRateLimitExceeded"}},
}

// kindOfResponse judges the answer of a cloud store; false where err has none.
func kindOfResponse(err error) (error, bool) {
	switch {
	case errors.Is(err, storage.ErrBucketNotExist):
		return ErrNoStore, true
	case errors.Is(err, storage.ErrObjectNotExist):
		return ErrNotFound, true
	}
	var login *azidentity.AuthenticationFailedError
	if errors.As(err, &login) {
		return ErrDenied, true
	}
	r, ok := responseOf(err)
	if !ok {
		return nil, false
	}
	for _, c := range codes {
		if slices.Contains(c.codes, strings.TrimSpace(r.code)) {
			return c.kind, true
		}
	}
	if r.status == http.StatusBadRequest && mismatch(err) {
		return nil, true
	}
	return kindOfStatus(r.status), true
}

// mismatch recognises by its words the refusal of damaged bytes by GCS, which
// has no code of its own, and by Azurite, whose code is another than Azure's.
func mismatch(err error) bool {
	return strings.Contains(err.Error(), "doesn't match")
}

// kindOfStatus judges a status whose code says nothing more. 409, 416, 429 and
// the 5xx have no kind: they may pass, or their caller knows better.
func kindOfStatus(status int) error {
	switch status {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrDenied
	case http.StatusPreconditionFailed:
		return ErrExists
	case http.StatusInsufficientStorage:
		return ErrFull
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return ErrUnsupported
	case http.StatusBadRequest, http.StatusMovedPermanently, http.StatusPermanentRedirect, http.StatusTemporaryRedirect,
		http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		return ErrInvalid
	}
	return nil
}

// badRange reports that a range began at or after the end of an object.
func badRange(err error) bool {
	r, ok := responseOf(err)
	return ok && r.status == http.StatusRequestedRangeNotSatisfiable
}

// azureWords is an error of Azure in one short line; its own text is a page
// with the whole answer.
type azureWords struct{ *azcore.ResponseError }

// Error implements error.
func (e azureWords) Error() string {
	return fmt.Sprintf("HTTP %d %s", e.StatusCode, e.ErrorCode)
}

// Unwrap implements the convention of package errors.
func (e azureWords) Unwrap() error { return e.ResponseError }
