package store

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"google.golang.org/api/googleapi"
)

func awsError(status int, code string) error {
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err:      &smithy.GenericAPIError{Code: code},
	}
}

func googleError(status int, reason, message string) error {
	return &googleapi.Error{Code: status, Message: message, Errors: []googleapi.ErrorItem{{Reason: reason}}}
}

func azureError(status int, code string) error {
	return &azcore.ResponseError{StatusCode: status, ErrorCode: code}
}

func TestAnswersOfProvidersAreJudgedByCodeThenStatus(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want error // nil: transient
	}{
		{"S3: no key", awsError(404, "NoSuchKey"), ErrNotFound},
		{"S3: bare 404 of a HEAD", awsError(404, ""), ErrNotFound},
		{"S3: no bucket", awsError(404, "NoSuchBucket"), ErrNoStore},
		{"S3: name taken", awsError(412, "PreconditionFailed"), ErrExists},
		{"S3: two writers at once", awsError(409, "ConditionalRequestConflict"), nil},
		{"S3: slow down", awsError(503, "SlowDown"), nil},
		{"S3: internal error", awsError(500, "InternalError"), nil},
		{"S3: body too slow", awsError(400, "RequestTimeout"), nil},
		{"S3: damaged on the way", awsError(400, "XAmzContentSHA256Mismatch"), nil},
		{"S3: damaged on the way, by checksum", awsError(400, "BadDigest"), nil},
		{"S3: bad request", awsError(400, "InvalidRequest"), ErrInvalid},
		{"S3: wrong region", awsError(301, "PermanentRedirect"), ErrInvalid},
		{"S3: access denied", awsError(403, "AccessDenied"), ErrDenied},
		{"S3: expired token", awsError(400, "ExpiredToken"), ErrDenied},
		{"S3: conditional writes missing", awsError(501, "NotImplemented"), ErrUnsupported},
		{"S3: disk full", awsError(507, "XMinioStorageFull"), ErrFull},
		{"GCS: no object", googleError(404, "notFound", "No such object: b/x"), ErrNotFound},
		{"GCS: no object, by the client", storage.ErrObjectNotExist, ErrNotFound},
		{"GCS: no bucket", googleError(404, "notFound", "The specified bucket does not exist."), ErrNoStore},
		{"GCS: no bucket, by the client", storage.ErrBucketNotExist, ErrNoStore},
		{"GCS: name taken", googleError(412, "conditionNotMet", ""), ErrExists},
		{"GCS: rate limit as 403", googleError(403, "rateLimitExceeded", ""), nil},
		{"GCS: too many requests", googleError(429, "rateLimitExceeded", ""), nil},
		{"GCS: forbidden", googleError(403, "forbidden", ""), ErrDenied},
		{"GCS: no credentials", googleError(401, "required", ""), ErrDenied},
		{"GCS: damaged on the way", googleError(400, "invalid", `Provided CRC32C "x" doesn't match calculated CRC32C "y".`), nil},
		{"Azure: no blob", azureError(404, "BlobNotFound"), ErrNotFound},
		{"Azure: no container", azureError(404, "ContainerNotFound"), ErrNoStore},
		{"Azure: name taken", azureError(409, "BlobAlreadyExists"), ErrExists},
		{"Azure: condition", azureError(412, "ConditionNotMet"), ErrExists},
		{"Azure: damaged on the way", azureError(400, "Md5Mismatch"), nil},
		{"Azure: busy", azureError(503, "ServerBusy"), nil},
		{"Azure: login failed", &azidentity.AuthenticationFailedError{}, ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wrapped := fmt.Errorf("send request: %w", tc.err)
			if got := kindOf(wrapped); !errors.Is(got, tc.want) {
				t.Errorf("kind %v, want %v", got, tc.want)
			}
			if got := transient(wrapped); got != (tc.want == nil) {
				t.Errorf("transient: %v", got)
			}
		})
	}
}

func TestBadRangesAreRecognised(t *testing.T) {
	for _, err := range []error{awsError(416, "InvalidRange"), googleError(416, "requestedRangeNotSatisfiable", ""), azureError(416, "InvalidRange")} {
		if !badRange(fmt.Errorf("read: %w", err)) {
			t.Errorf("%v", err)
		}
	}
	if badRange(awsError(404, "NoSuchKey")) || badRange(errors.New("x")) {
		t.Error("another error passes for a bad range")
	}
}
