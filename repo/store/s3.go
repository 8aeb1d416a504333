package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"gocloud.dev/blob/s3blob"
)

// s3Store is what the S3 adapter knows beside its gocloud bucket, whose writer
// would send an object in parts, without a checksum of the whole, and copy it
// in memory.
type s3Store struct {
	client       *s3.Client
	bucket       string
	storageClass types.StorageClass
	lockMode     types.ObjectLockMode
	lockFor      time.Duration // 0: no lock
}

// openS3 opens s3://bucket/path with the parameters named in Open.
func openS3(ctx context.Context, u *url.URL, o Options) (Store, error) {
	bucket, prefix, err := place(u)
	if err != nil {
		return nil, err
	}
	p := newParams(u)
	setUp := p.transport()
	s := &s3Store{bucket: bucket, storageClass: types.StorageClass(p.text("storage_class"))}
	s.lockMode = types.ObjectLockMode(strings.ToUpper(p.oneOf("lock_mode", "governance", "compliance")))
	s.lockFor = time.Duration(p.number("lock_days", 36500)) * 24 * time.Hour
	if (s.lockMode == "") != (s.lockFor == 0) {
		p.fail("lock_mode", "given together with lock_days")
	}
	region, profile, endpoint := p.text("region"), p.text("profile"), p.endpoint("endpoint")
	pathStyle := p.flag("path_style", endpoint != nil)
	if err := p.done(); err != nil {
		return nil, err
	}
	cfg, err := s3Config(ctx, region, profile, endpoint != nil, setUp)
	if err != nil {
		return nil, err
	}
	s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = pathStyle
		if endpoint != nil {
			o.BaseEndpoint = aws.String(endpoint.String())
		}
	})
	return s.store(ctx, prefix, o)
}

// s3Config finds region and credentials by the default chain of AWS and asks
// for the credentials once, so that missing ones are an error of Open. The SDK
// does not repeat requests: Retry does, and counts and logs them.
func s3Config(ctx context.Context, region, profile string, compatible bool, setUp func(*http.Transport)) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(region),
		config.WithSharedConfigProfile(profile),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(setUp)),
		config.WithLogger(logging.Nop{}), // a library does not write to standard error
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		// Every byte of a repository is authenticated above; a second hash of
		// each object read would only cost time.
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	)
	if err != nil {
		return cfg, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if cfg.Region == "" && compatible {
		cfg.Region = "us-east-1" // what servers other than AWS sign for by default
	}
	if cfg.Region == "" {
		return cfg, fmt.Errorf("%w URL: no region: give ?region= or AWS_REGION", ErrInvalid)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, fmt.Errorf("%w: no credentials: %v", ErrDenied, err)
	}
	return cfg, nil
}

func (s *s3Store) store(ctx context.Context, prefix string, o Options) (Store, error) {
	bucket, err := s3blob.OpenBucket(ctx, s.client, s.bucket, nil)
	if err != nil {
		return nil, err
	}
	b := newBucketStore(bucket, o)
	b.prefix, b.put, b.copy, b.remove, b.locks = prefix, s.put, s.copy, s.remove, s
	return b, nil
}

// put sends one PutObject: If-None-Match makes it create-if-absent, and the
// server compares the SHA-256 before the object exists. The same hash signs
// the request, so that the body is read once.
func (s *s3Store) put(ctx context.Context, key string, data []byte, body io.ReadSeeker) error {
	sum := sha256.Sum256(data)
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: body,
		ContentLength:  aws.Int64(int64(len(data))),
		ContentType:    aws.String(contentType),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		IfNoneMatch:    aws.String("*"),
		StorageClass:   s.storageClass,
	}
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = s.lock()
	_, err := s.client.PutObject(ctx, in, signedAs(hex.EncodeToString(sum[:])))
	return err
}

// lock is the retention of an object written at this moment.
func (s *s3Store) lock() (types.ObjectLockMode, *time.Time) {
	if s.lockFor == 0 {
		return "", nil
	}
	until := time.Now().Add(s.lockFor).UTC().Truncate(time.Second)
	return s.lockMode, &until
}

// signedAs gives the signer the payload's hash, which it would else compute.
func signedAs(hash string) func(*s3.Options) {
	set := middleware.FinalizeMiddlewareFunc("cbkPayloadHash", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		return next.HandleFinalize(v4.SetPayloadHash(ctx, hash), in)
	})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Finalize.Add(set, middleware.Before)
	})
}

// copy lets the server copy to a free name.
func (s *s3Store) copy(ctx context.Context, dst, src string) error {
	in := &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: &dst, CopySource: aws.String(copySource(s.bucket, src)),
		IfNoneMatch:  aws.String("*"),
		StorageClass: s.storageClass,
	}
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = s.lock()
	_, err := s.client.CopyObject(ctx, in)
	return err
}

// copySource escapes a source for its header, where a plus would be a space.
func copySource(bucket, key string) string {
	return bucket + "/" + strings.NewReplacer("+", "%2B", "=", "%3D", "@", "%40").Replace(key)
}

// remove deletes without the HEAD that gocloud sends before: S3 does not tell
// an absent object from a deleted one, and neither does Delete.
func (s *s3Store) remove(ctx context.Context, key string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	return err
}
