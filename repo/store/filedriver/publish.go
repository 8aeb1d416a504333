package filedriver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// publisher gives the file temp the name path if path is free. It returns an
// error matching fs.ErrExist if path is taken, and one that cannot() accepts
// if the file system does not offer the way.
type publisher func(root *os.Root, temp, path string) error

// errNoPublish refuses a file system on which create-if-absent cannot be had.
var errNoPublish = errors.New("file system offers neither hard links nor rename without replacing: it cannot hold a repository")

// maxDurable bounds the memory of known directories: 256 pack folders and a
// few per domain fit; past it they are synced anew, which is only slower.
const maxDurable = 8192

// linkFile publishes by link(2), which is atomic and refuses a taken name on
// every POSIX file system and on NFS.
func linkFile(root *os.Root, temp, path string) error { return root.Link(temp, path) }

// renameNoReplace publishes by renameat2(RENAME_NOREPLACE), for file systems
// without hard links such as exFAT or some FUSE mounts.
func renameNoReplace(root *os.Root, temp, path string) error {
	from, err := root.Open(filepath.Dir(temp))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer to.Close()
	err = unix.Renameat2(int(from.Fd()), filepath.Base(temp), int(to.Fd()), filepath.Base(path), unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: temp, New: path, Err: err}
	}
	return nil
}

// cannot reports that the file system does not offer an operation: EPERM is
// what link(2) gives where hard links are missing, EINVAL what renameat2 gives
// for an unknown flag, EXDEV what a mount below the root gives.
func cannot(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.EMLINK, unix.EXDEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// publishFile gives temp its object name and makes that name durable, also
// when another writer turns out to have been first: its crash before the sync
// must not take away what this caller is about to rely on.
func (b *bucket) publishFile(temp, path string, ifNotExist bool) error {
	dir := filepath.Dir(path)
	if err := b.makeDirs(dir); err != nil {
		return belowObject(path, hideNotExist(err))
	}
	publish := b.publishNew
	if !ifNotExist {
		publish = b.root.Rename
	}
	err := publish(temp, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.forget()
		return hideNotExist(err)
	case errors.Is(err, fs.ErrExist) && b.isDir(path):
		return fmt.Errorf("%w: %s is a folder of objects", ErrInvalidKey, path)
	}
	if err == nil || errors.Is(err, fs.ErrExist) {
		if e := b.syncDir(dir); e != nil {
			return hideNotExist(e)
		}
	}
	return belowObject(path, err)
}

// belowObject names the cause of "not a directory".
func belowObject(path string, err error) error {
	if errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("%w: %s would lie below an object", ErrInvalidKey, path)
	}
	return err
}

func (b *bucket) isDir(path string) bool {
	info, err := b.root.Lstat(path)
	return err == nil && info.IsDir()
}

// publishNew tries the publishers in order.
func (b *bucket) publishNew(temp, path string) error {
	var errs []error
	for _, p := range b.publish {
		err := p(b.root, temp, path)
		if err == nil || !cannot(err) {
			return err
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("%w (%v)", errNoPublish, errors.Join(errs...))
}

// makeDirs creates dir and its parents and syncs the parent of each, once per
// bucket: a directory made by another process may not be durable yet.
func (b *bucket) makeDirs(dir string) error {
	b.mu.Lock()
	known := b.durable[dir]
	b.mu.Unlock()
	if known {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := b.makeDirs(parent); err != nil {
		return err
	}
	if err := b.root.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.syncDir(parent); err != nil {
		return err
	}
	b.remember(dir)
	return nil
}

func (b *bucket) remember(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.durable) >= maxDurable {
		clear(b.durable)
		b.durable["."] = true
	}
	b.durable[dir] = true
}

// forget drops the memory of directories after one of them vanished.
func (b *bucket) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.durable)
	b.durable["."] = true
}

func (b *bucket) syncDir(dir string) error {
	return syncClose(b.root.Open(dir))
}

// syncClose flushes a directory to disk and closes it. File systems that
// cannot sync a directory say EINVAL and write entries through.
func syncClose(f *os.File, err error) error {
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
