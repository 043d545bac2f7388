//go:build !unix

package target

import "syscall"

// Winsock's numbers for "nothing listens there" and "no local port is free":
// WSAECONNREFUSED and WSAEADDRNOTAVAIL. https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
const (
	errRefused = syscall.Errno(10061)
	errNoPort  = syscall.Errno(10049)
)
