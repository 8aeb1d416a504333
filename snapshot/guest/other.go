//go:build !linux

package guest

import (
	"errors"
	"fmt"
	"os"
)

// resident says that it does not know: then nothing is given back.
func resident(*os.File, int64, int64, int64) []byte { return nil }

func evict(*os.File, int64, int64) {}

// LowerPriority is not to be had on this system: the error matches errors.ErrUnsupported.
func LowerPriority(int) error { return fmt.Errorf("lower priority: %w", errors.ErrUnsupported) }

// Statfs is not to be had on this system: the error matches errors.ErrUnsupported.
func Statfs(string) (free, total int64, err error) {
	return 0, 0, fmt.Errorf("free space: %w", errors.ErrUnsupported)
}
