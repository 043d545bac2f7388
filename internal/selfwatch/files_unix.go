//go:build unix && !linux

package selfwatch

import (
	"os"
	"syscall"
)

// Files tells how many file descriptors this process has open and how many it
// may have, 0 where that cannot be known. The Go runtime has raised the soft
// limit to the hard one when the program started, so limit is what there is.
func Files() (open, limit int) {
	if f, err := os.Open("/dev/fd"); err == nil {
		if names, err := f.Readdirnames(-1); err == nil {
			open = len(names) - 1 // without the one that lists them
		}
		_ = f.Close()
	}
	return open, fileLimit(syscall.RLIMIT_NOFILE)
}
