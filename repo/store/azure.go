package store

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azblobblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
)

// azureStore is what the Azure adapter knows beside its gocloud bucket, whose
// writer copies each object into blocks.
type azureStore struct {
	client *container.Client
	bucket *blob.Bucket
	tier   *azblobblob.AccessTier
}

// openAzure opens azblob://container/path with the parameters named in Open.
func openAzure(ctx context.Context, u *url.URL, o Options) (Store, error) {
	name, prefix, err := place(u)
	if err != nil {
		return nil, err
	}
	p := newParams(u)
	s := &azureStore{}
	if class := p.oneOf("storage_class", "Hot", "Cool", "Cold"); class != "" {
		s.tier = to.Ptr(azblobblob.AccessTier(class))
	}
	transport := newTransport(p.transport())
	account, endpoint := p.text("account"), p.endpoint("endpoint")
	if err := p.done(); err != nil {
		return nil, err
	}
	if s.client, err = azureClient(account, endpoint, name, &http.Client{Transport: transport}); err != nil {
		return nil, err
	}
	if s.bucket, err = azureblob.OpenBucket(ctx, s.client, nil); err != nil {
		return nil, err
	}
	b := newBucketStore(s.bucket, o)
	b.prefix, b.put, b.copy, b.release = prefix, s.put, s.copy, transport.CloseIdleConnections
	return b, nil
}

// azureClient takes the credentials that the environment gives, in the order
// of Azure's own tools: connection string, account key, SAS token, then the
// default chain (workload and managed identity, az login).
func azureClient(account string, endpoint *url.URL, name string, client *http.Client) (*container.Client, error) {
	base := azcore.ClientOptions{
		Transport: client,
		Retry:     policy.RetryOptions{MaxRetries: -1}, // Retry repeats, counts and logs
	}
	opts := &container.ClientOptions{ClientOptions: base}
	if s := os.Getenv("AZURE_STORAGE_CONNECTION_STRING"); s != "" {
		return denied(container.NewClientFromConnectionString(s, name, opts))
	}
	if account == "" {
		account = os.Getenv("AZURE_STORAGE_ACCOUNT")
	}
	if account == "" {
		return nil, fmt.Errorf("%w URL: no account: give ?account= or AZURE_STORAGE_ACCOUNT", ErrInvalid)
	}
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "https", Host: account + ".blob.core.windows.net"}
	}
	at := endpoint.JoinPath(name)
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		cred, err := azblob.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, fmt.Errorf("%w: account key is not base64", ErrDenied)
		}
		return denied(container.NewClientWithSharedKeyCredential(at.String(), cred, opts))
	}
	if token := os.Getenv("AZURE_STORAGE_SAS_TOKEN"); token != "" {
		at.RawQuery = token
		return denied(container.NewClientWithNoCredential(at.String(), opts))
	}
	cred, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: base})
	if err != nil {
		return denied[*container.Client](nil, err)
	}
	return denied(container.NewClient(at.String(), cred, opts))
}

// denied hides the words of an error that may repeat a secret.
func denied[T any](client T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("%w: credentials of the environment are not usable", ErrDenied)
	}
	return client, err
}

// put sends one Put Blob; the server compares the MD5 before the blob exists.
func (s *azureStore) put(ctx context.Context, key string, data []byte, body io.ReadSeeker) error {
	sum := md5.Sum(data)
	_, err := s.client.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(body), &blockblob.UploadOptions{
		AccessConditions:        ifAbsent(),
		HTTPHeaders:             &azblobblob.HTTPHeaders{BlobContentType: to.Ptr(contentType)},
		Tier:                    s.tier,
		TransactionalValidation: azblobblob.TransferValidationTypeMD5(sum[:]),
	})
	return err
}

func ifAbsent() *azblobblob.AccessConditions {
	return &azblobblob.AccessConditions{
		ModifiedAccessConditions: &azblobblob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
	}
}

// copy lets the server copy to a free name.
func (s *azureStore) copy(ctx context.Context, dst, src string) error {
	return copyInside(ctx, s.bucket, dst, src, func(as func(any) bool) error {
		var opts *azblobblob.StartCopyFromURLOptions
		if !as(&opts) {
			return errors.New("gocloud gives no access to the copy")
		}
		opts.AccessConditions, opts.Tier = ifAbsent(), s.tier
		return nil
	})
}
