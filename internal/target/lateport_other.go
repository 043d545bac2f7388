//go:build !linux

package target

import "syscall"

// lateport has no equivalent here.
func lateport(_, _ string, _ syscall.RawConn) error { return nil }
