//go:build !unix

package selfwatch

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }

// Files tells how many file descriptors this process has open and how many it
// may have: neither is known here.
func Files() (open, limit int) { return 0, 0 }
