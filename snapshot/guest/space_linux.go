package guest

import "golang.org/x/sys/unix"

// Statfs returns the bytes that an unprivileged process may still write to the file system of dir, and all it has.
func Statfs(dir string) (free, total int64, err error) {
	var s unix.Statfs_t
	for {
		// A network file system may be interrupted in its answer.
		if err = unix.Statfs(dir, &s); err != unix.EINTR {
			break
		}
	}
	return int64(s.Bavail) * s.Frsize, int64(s.Blocks) * s.Frsize, err
}
