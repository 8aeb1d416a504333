package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"cbk/repo/store/filedriver"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
)

// Options say how a store is opened. The zero value opens an existing store
// for reading and writing with the default limits.
type Options struct {
	// ReadOnly refuses Create, Delete and Copy with ErrReadOnly; opening
	// changes nothing.
	ReadOnly bool
	// FirstVersion reads the first version of every object that a versioned S3
	// bucket still keeps, whatever was deleted or written over it since, and
	// refuses changes like ReadOnly, but for SetLock. It asks the bucket for
	// its versions; without any, and on other stores, Open fails with
	// ErrNoVersions.
	FirstVersion bool
	// Make creates the directory of a file store. Without it a missing
	// directory is an error matching ErrNoStore. Buckets are never created.
	Make bool
	// Log hears of repetitions; nil is silence.
	Log *slog.Logger
	// Retry bounds repetitions.
	Retry RetryOptions
	// Stall ends a request on which no byte moved for so long; 0 means 60 s.
	// System calls on a hanging network mount cannot be ended.
	Stall time.Duration
	// PageSize is how many objects one request of a listing asks for; 0 means
	// 1000, which is the most that S3 and GCS give.
	PageSize int
	// InFlight bounds the operations running at once; 0 means 32.
	InFlight int
	// Upload and Download bound bytes per second; 0 is no limit.
	Upload, Download int64
	// Wrap, if set, is put around the bare store, beneath Retry: the seam for
	// fault injection.
	Wrap func(Store) Store
}

// defaultInFlight keeps a fast link full at 64 MiB objects and a slow store
// from being overrun by 180 nodes.
const defaultInFlight = 32

func (o Options) stall() time.Duration { return cmp.Or(o.Stall, defaultStall) }

func (o Options) pageSize() int { return cmp.Or(o.PageSize, 1000) }

// Open opens the store at a URL or, without a scheme, at a path:
//
//	/p, p, file:///p         a directory
//	mem://                   memory, empty, gone with the process (tests)
//	s3://bucket/path         Amazon S3 and servers that speak its protocol
//	gs://bucket/path         Google Cloud Storage
//	azblob://container/path  Azure Blob Storage
//
// Parameters of the cloud stores, in the query:
//
//	endpoint       root URL of the server, where it is not the provider's own
//	ca             file of PEM certificates to trust beside the system's
//	tls_verify     false: accept any certificate
//	storage_class  class of new objects, in the provider's words
//	region, profile, path_style   S3; path_style is true with an endpoint
//	lock_mode, lock_days          S3: governance or compliance, retention in days
//	anonymous                     GCS: without credentials
//	account                       Azure: name of the storage account
//
// Credentials come from the default chain of each provider, never from the
// URL. Opening makes no request to a cloud store, but with FirstVersion.
func Open(ctx context.Context, rawURL string, o Options) (Store, error) {
	s, err := openBare(ctx, rawURL, o)
	if err == nil && o.FirstVersion {
		s, err = byFirstVersion(s, o)
	}
	if err != nil {
		return nil, &Error{Op: "open store", Name: redact(rawURL), Kind: kindOf(err), Err: err}
	}
	limited, err := Rate(Limit(s, cmp.Or(o.InFlight, defaultInFlight)), o.Upload, o.Download)
	if err != nil {
		return nil, &Error{Op: "open store", Name: redact(rawURL), Kind: kindOf(err), Err: errors.Join(err, s.Close())}
	}
	if s = limited; o.Wrap != nil {
		s = o.Wrap(s)
	}
	s = Retry(s, o.Retry, o.Log)
	if o.FirstVersion {
		if err := mustKeep(ctx, s); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if o.ReadOnly {
		s = ReadOnly(s)
	}
	return s, nil
}

// redact hides the user part of a URL, should someone put a password there,
// and all of what is no URL.
func redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		scheme, _, _ := strings.Cut(rawURL, "://")
		return scheme + "://…"
	}
	if u.User != nil {
		return u.Redacted()
	}
	return rawURL
}

func openBare(ctx context.Context, rawURL string, o Options) (Store, error) {
	if !strings.Contains(rawURL, "://") {
		return openDir(rawURL, o)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w URL", ErrInvalid) // url.Parse would repeat it, secrets included
	}
	if u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%w URL: it may hold neither user nor fragment", ErrInvalid)
	}
	switch u.Scheme {
	case "file":
		return openFileURL(u, o)
	case "mem":
		return openMem(u, o)
	case "s3":
		return openS3(ctx, u, o)
	case "gs":
		return openGCS(ctx, u, o)
	case "azblob":
		return openAzure(ctx, u, o)
	default:
		return nil, fmt.Errorf("%w URL: unknown scheme %q", ErrInvalid, u.Scheme)
	}
}

func openFileURL(u *url.URL, o Options) (Store, error) {
	if u.Host != "" || u.RawQuery != "" || u.Path == "" {
		return nil, fmt.Errorf("%w URL: want file:///path", ErrInvalid)
	}
	return openDir(u.Path, o)
}

// openDir opens a directory of objects. The path is made absolute, so that a
// later change of the working directory moves nothing.
func openDir(path string, o Options) (Store, error) {
	if path == "" {
		return nil, fmt.Errorf("%w path: empty", ErrInvalid)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	driver, err := filedriver.Open(abs, filedriver.Options{ReadOnly: o.ReadOnly, Make: o.Make})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %v", ErrNoStore, err)
	}
	if err != nil {
		return nil, err
	}
	return newBucketStore(blob.NewBucket(driver), o), nil
}

func openMem(u *url.URL, o Options) (Store, error) {
	if u.Host != "" || u.Path != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%w URL: want mem://", ErrInvalid)
	}
	return newBucketStore(memblob.OpenBucket(&memblob.Options{NoMD5: true}), o), nil
}
