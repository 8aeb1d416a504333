package store

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"google.golang.org/api/option"
)

// gcsStore is what the GCS adapter knows beside its gocloud bucket.
type gcsStore struct {
	bucket       *blob.Bucket
	storageClass string
}

// openGCS opens gs://bucket/path with the parameters named in Open.
func openGCS(ctx context.Context, u *url.URL, o Options) (Store, error) {
	name, prefix, err := place(u)
	if err != nil {
		return nil, err
	}
	p := newParams(u)
	s := &gcsStore{storageClass: p.text("storage_class")}
	transport := newTransport(p.transport())
	endpoint, anonymous := p.endpoint("endpoint"), p.flag("anonymous", false)
	if err := p.done(); err != nil {
		return nil, err
	}
	client, err := gcsClient(ctx, transport, anonymous)
	if err != nil {
		return nil, err
	}
	opts := &gcsblob.Options{ClientOptions: []option.ClientOption{storage.WithJSONReads()}}
	if endpoint != nil {
		opts.ClientOptions = append(opts.ClientOptions, option.WithEndpoint(endpoint.JoinPath("storage/v1/").String()))
	}
	if s.bucket, err = gcsblob.OpenBucket(ctx, client, name, opts); err != nil {
		return nil, err
	}
	var raw *storage.Client
	if !s.bucket.As(&raw) {
		return nil, errors.New("gocloud gives no access to the storage client")
	}
	raw.SetRetry(storage.WithPolicy(storage.RetryNever)) // Retry repeats, counts and logs
	b := newBucketStore(s.bucket, o)
	b.prefix, b.put, b.copy, b.release = prefix, s.put, s.copy, transport.CloseIdleConnections
	return b, nil
}

// gcsClient finds credentials by the default chain of Google.
func gcsClient(ctx context.Context, transport http.RoundTripper, anonymous bool) (*gcp.HTTPClient, error) {
	if anonymous {
		return gcp.NewAnonymousHTTPClient(transport), nil
	}
	creds, err := gcp.DefaultCredentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: no credentials: %v", ErrDenied, err)
	}
	return gcp.NewHTTPClient(transport, gcp.CredentialsTokenSource(creds))
}

// castagnoli is the polynomial of the checksum that GCS compares on upload.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// put streams the object in one request: without a chunk size the client holds
// no copy of it.
func (s *gcsStore) put(ctx context.Context, key string, data []byte, body io.ReadSeeker) error {
	return writeObject(ctx, s.bucket, key, body, int64(len(data)), &blob.WriterOptions{
		BeforeWrite: func(as func(any) bool) error {
			var w *storage.Writer
			if !as(&w) {
				return errors.New("gocloud gives no access to the storage writer")
			}
			w.ChunkSize = 0
			w.CRC32C, w.SendCRC32C = crc32.Checksum(data, castagnoli), true
			w.StorageClass = s.storageClass
			return nil
		},
	})
}

// copy lets the server copy to a free name.
func (s *gcsStore) copy(ctx context.Context, dst, src string) error {
	return copyInside(ctx, s.bucket, dst, src, func(as func(any) bool) error {
		var handles *gcsblob.CopyObjectHandles
		if !as(&handles) {
			return errors.New("gocloud gives no access to the copy")
		}
		handles.Dst = handles.Dst.If(storage.Conditions{DoesNotExist: true})
		var c *storage.Copier
		if as(&c) {
			c.StorageClass = s.storageClass
		}
		return nil
	})
}
