//go:build unix

package locust

import (
	"context"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// line is a channel that is about to be opened.
type line struct {
	ours, theirs *os.File
}

// openLine gives a command one end of a pair of sockets, as descriptor 3.
func openLine(cmd *exec.Cmd) (*line, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		// Large bursts in one write. The system's own size is used when it refuses.
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1<<20)
	}
	l := &line{ours: os.NewFile(uintptr(fds[0]), "channel"), theirs: os.NewFile(uintptr(fds[1]), "channel")}
	cmd.ExtraFiles = []*os.File{l.theirs}
	cmd.Env = append(cmd.Env, "WEIR_CHANNEL=fd:3")
	return l, nil
}

func (l *line) connect(context.Context, *child) (net.Conn, error) {
	_ = l.theirs.Close() // the interpreter has its own
	defer l.ours.Close()
	return net.FileConn(l.ours)
}

func (l *line) abandon() {
	_ = l.ours.Close()
	_ = l.theirs.Close()
}

// killGroup kills the interpreter and all that it started.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil && cmd.Process.Pid > 1 {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody left to kill is what is wanted
	}
}
