package locust

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// line is a channel that is about to be opened.
type line struct {
	listener net.Listener
	token    string
}

// openLine lets a command connect to a port of this machine, with a secret.
func openLine(cmd *exec.Cmd) (*line, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	cmd.Env = append(cmd.Env, fmt.Sprintf("WEIR_CHANNEL=tcp:%s:%s", l.Addr(), token))
	return &line{listener: l, token: token}, nil
}

// connect waits for the interpreter, whoever else may knock.
func (l *line) connect(ctx context.Context, c *child) (net.Conn, error) {
	defer l.listener.Close()
	stop := context.AfterFunc(ctx, func() { _ = l.listener.Close() })
	defer stop()
	go func() {
		select {
		case <-c.exited:
			_ = l.listener.Close()
		case <-ctx.Done():
		}
	}()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return nil, fmt.Errorf("the interpreter did not connect: %w", err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		said, err := bufio.NewReaderSize(&oneByte{conn}, 16).ReadString('\n')
		if err == nil && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(said)), []byte(l.token)) == 1 {
			_ = conn.SetReadDeadline(time.Time{})
			return conn, nil
		}
		_ = conn.Close()
	}
}

// oneByte reads a byte at a time, so that nothing behind the token is swallowed.
type oneByte struct{ net.Conn }

func (o *oneByte) Read(p []byte) (int, error) { return o.Conn.Read(p[:1]) }

func (l *line) abandon() { _ = l.listener.Close() }

// setGroup keeps an interrupt of the console from the interpreter.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killGroup kills the interpreter; what it started ends with its pipes.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = cmd.Process.Kill() // nobody left to kill is what is wanted
	}
}

// askForDump is not possible here.
func askForDump(*exec.Cmd) bool { return false }
