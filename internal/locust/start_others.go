//go:build unix && !linux

package locust

import (
	"os/exec"
	"syscall"
)

// setGroup gives the interpreter a process group of its own, so that an interrupt
// of the terminal is Weir's to handle. It ends with Weir because its channel does.
func setGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
