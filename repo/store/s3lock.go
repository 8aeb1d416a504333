package store

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// protection asks for versioning and for the bucket's own lock, but where the
// URL names one: S3 takes no locked object into a bucket without versions.
func (s *s3Store) protection(ctx context.Context) (p Protection, err error) {
	if s.lockFor > 0 {
		return Protection{Versions: true, Mode: strings.ToLower(string(s.lockMode)), For: s.lockFor}, nil
	}
	kept, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	if err != nil {
		return p, err
	}
	p.Versions = kept.Status == types.BucketVersioningStatusEnabled
	p.Suspended = kept.Status == types.BucketVersioningStatusSuspended
	set, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket})
	if err != nil {
		return p, unlessUnlocked(err)
	}
	if c := set.ObjectLockConfiguration; c != nil && c.Rule != nil && c.Rule.DefaultRetention != nil {
		d := c.Rule.DefaultRetention
		days := aws.ToInt32(d.Days) + 365*aws.ToInt32(d.Years)
		p.Mode, p.For, p.ByBucket = strings.ToLower(string(d.Mode)), time.Duration(days)*24*time.Hour, true
	}
	return p, nil
}

// unlessUnlocked drops the error by which S3 says that a bucket or an object
// has no lock, or that it knows of none.
func unlessUnlocked(err error) error {
	r, ok := responseOf(err)
	switch {
	case !ok:
		return err
	case r.code == "ObjectLockConfigurationNotFoundError", r.code == "NoSuchObjectLockConfiguration",
		r.status == http.StatusNotImplemented,
		// so S3 says it of any object of a bucket that has no locks
		r.code == "InvalidRequest" && strings.Contains(err.Error(), "Object Lock"):
		return nil
	}
	return err
}

// lockOf asks for the lock of a version, "" being the newest.
func (s *s3Store) lockOf(ctx context.Context, key, version string) (l Lock, err error) {
	got, err := s.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.bucket, Key: &key, VersionId: optional(version)})
	if err != nil {
		return l, unlessUnlocked(err)
	}
	if r := got.Retention; r != nil {
		l = Lock{strings.ToLower(string(r.Mode)), aws.ToTime(r.RetainUntilDate)}
	}
	return l, nil
}

// setLock locks a version.
func (s *s3Store) setLock(ctx context.Context, key, version string, l Lock) error {
	_, err := s.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &s.bucket, Key: &key, VersionId: optional(version),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionMode(strings.ToUpper(l.Mode)), RetainUntilDate: aws.Time(l.Until.UTC())}})
	return err
}

// optional is nil for nothing.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
