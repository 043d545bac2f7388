//go:build unix && !linux

package locust

import (
	"os/exec"
	"syscall"
)

// askForDump makes the interpreter write where its threads are.
func askForDump(cmd *exec.Cmd) bool {
	return cmd.Process != nil && cmd.Process.Signal(syscall.SIGUSR2) == nil
}
