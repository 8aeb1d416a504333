package cassandratest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// cacheDir is the folder where all stays that is fetched or made once for a
// machine: $CBK_CACHE, else the folder cbk of the user's cache directory.
func cacheDir() (string, error) {
	root := os.Getenv("CBK_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory: %w; set CBK_CACHE", err)
		}
		root = filepath.Join(user, "cbk")
	}
	dir := filepath.Join(root, "cassandra")
	return dir, os.MkdirAll(dir, 0o755)
}

// cached returns a directory of the cache and has it filled where it is missing.
// It appears by rename, so it is whole where it exists. Processes may ask at the
// same time: one fills, the others wait.
func cached(name string, fill func(dir string) error) (dir string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(dir+".lock", true)
	if err != nil {
		return "", fmt.Errorf("lock the cache: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".part-")
	if err != nil {
		return "", err
	}
	if err := fill(tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	return dir, os.Rename(tmp, dir)
}

// lockFile takes the lock on a file, which is created where it is missing. It
// waits for the lock or, told not to, fails with EWOULDBLOCK.
func lockFile(path string, wait bool) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
