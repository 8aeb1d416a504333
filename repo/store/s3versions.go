package store

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// versions implements versioned by one ListObjectVersions. Keys come escaped,
// because strangers in the bucket may have names that XML cannot hold.
func (s *s3Store) versions(ctx context.Context, prefix string, after marker, limit int) (p versionPage, err error) {
	out, err := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &prefix, MaxKeys: aws.Int32(int32(limit)),
		KeyMarker: optional(after.Key), VersionIdMarker: optional(after.Version), EncodingType: types.EncodingTypeUrl})
	if err != nil {
		return p, err
	}
	for _, v := range out.Versions {
		key, err := url.QueryUnescape(aws.ToString(v.Key))
		if err != nil {
			return p, err
		}
		p.beyond = p.beyond || key != prefix
		p.versions = append(p.versions, version{key, aws.ToString(v.VersionId), aws.ToInt64(v.Size), aws.ToTime(v.LastModified)})
	}
	for _, m := range out.DeleteMarkers {
		key, err := url.QueryUnescape(aws.ToString(m.Key))
		if err != nil {
			return p, err
		}
		p.beyond = p.beyond || key != prefix
	}
	if !aws.ToBool(out.IsTruncated) {
		return p, nil
	}
	p.next = &marker{Version: aws.ToString(out.NextVersionIdMarker)}
	p.next.Key, err = url.QueryUnescape(aws.ToString(out.NextKeyMarker))
	return p, err
}
