package locust

import (
	"os/exec"
	"syscall"
)

// setGroup gives the interpreter a process group of its own, so that an interrupt
// of the terminal is Weir's to handle, and ends it with Weir.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
