//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package cli

import "os"

// keys is not available on this system.
type keys struct{}

func openKeys(*os.File) *keys { return nil }

func (*keys) read(func(byte)) {}
func (*keys) close()          {}
