//go:build unix

package target

import "syscall"

// The system's words for "nothing listens there" and "no local port is free".
const (
	errRefused = syscall.ECONNREFUSED
	errNoPort  = syscall.EADDRNOTAVAIL
)
