package roles

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"        // awskms://
	_ "gocloud.dev/secrets/azurekeyvault" // azurekeyvault://
	_ "gocloud.dev/secrets/gcpkms"        // gcpkms://
	_ "gocloud.dev/secrets/hashivault"    // hashivault://
	"gocloud.dev/secrets/localsecrets"    // base64key://
)

// maxURL bounds the URL of a KMS key, in bytes.
const maxURL = 2 << 10

// publicURL is what a slot says of its URL: a base64key:// URL holds the key itself.
func publicURL(url string) string {
	if scheme := localsecrets.Scheme + "://"; strings.HasPrefix(url, scheme) {
		return scheme
	}
	return url
}

func kmsEncrypt(ctx context.Context, url string, plain []byte) ([]byte, error) {
	if len(url) > maxURL {
		return nil, fmt.Errorf("KMS URL of %d bytes is over the limit of %d", len(url), maxURL)
	}
	if url == localsecrets.Scheme+"://" {
		return nil, errors.New("KMS URL holds no key")
	}
	keeper, err := secrets.OpenKeeper(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open KMS: %w", err)
	}
	cipher, err := keeper.Encrypt(ctx, plain)
	if err != nil {
		err = fmt.Errorf("encrypt with KMS: %w", err)
	}
	return cipher, errors.Join(err, keeper.Close())
}

func kmsDecrypt(ctx context.Context, url string, cipher []byte) ([]byte, error) {
	keeper, err := secrets.OpenKeeper(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open KMS: %w", err)
	}
	plain, err := keeper.Decrypt(ctx, cipher)
	if err != nil {
		err = fmt.Errorf("decrypt with KMS: %w", err)
	}
	return plain, errors.Join(err, keeper.Close())
}
