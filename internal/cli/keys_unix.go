//go:build linux || darwin || freebsd || netbsd || openbsd

package cli

import (
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keys is a terminal that gives each key as it is pressed, without showing it.
//
// Subtle: it is not raw. Signals stay on, so that Ctrl-C, Ctrl-\ and Ctrl-Z do
// what they do for any program, and output is processed as before. While the
// process is stopped, or in the background, the terminal is as it was.
type keys struct {
	fd   int
	quit chan struct{}
	done chan struct{} // closed by read
	stop chan os.Signal

	mu     sync.Mutex
	before *unix.Termios // what to restore; nil while nothing was changed
	closed bool
}

// keyPoll is how often read looks whether it is to end.
const keyPoll = 100 * time.Millisecond

// openKeys changes the terminal, or returns nil when it cannot.
func openKeys(in *os.File) *keys {
	k := &keys{fd: int(in.Fd()), quit: make(chan struct{}), done: make(chan struct{}), stop: make(chan os.Signal, 4)}
	if _, err := unix.IoctlGetTermios(k.fd, getTermios); err != nil {
		return nil
	}
	k.change()
	signal.Notify(k.stop, unix.SIGTSTP, unix.SIGCONT)
	go k.follow()
	return k
}

// foreground reports whether the terminal is this process's to read and change:
// a background job that tries is stopped by the system.
func (k *keys) foreground() bool {
	group, err := unix.IoctlGetInt(k.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// change turns off the waiting for a line and the echo.
func (k *keys) change() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.before != nil || !k.foreground() {
		return
	}
	t, err := unix.IoctlGetTermios(k.fd, getTermios)
	if err != nil {
		return
	}
	before := *t
	t.Lflag &^= unix.ICANON | unix.ECHO
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(k.fd, setTermios, t) == nil {
		k.before = &before
	}
}

// restore puts the terminal back.
func (k *keys) restore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.before != nil && k.foreground() {
		_ = unix.IoctlSetTermios(k.fd, setTermios, k.before) // there is nobody left to tell
	}
	k.before = nil
}

// follow gives the terminal back before the process stops (Ctrl-Z), and takes it
// again when it goes on in the foreground.
func (k *keys) follow() {
	for {
		select {
		case <-k.quit:
			return
		case s := <-k.stop:
			if s == unix.SIGTSTP {
				k.restore()
				_ = unix.Kill(unix.Getpid(), unix.SIGSTOP) // cannot fail
			} else {
				k.change()
			}
		}
	}
}

// read calls press for each key, until close.
func (k *keys) read(press func(key byte)) {
	defer close(k.done)
	var b [64]byte
	for {
		select {
		case <-k.quit:
			return
		default:
		}
		k.change() // it may have come to the foreground without having been stopped
		fds := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(keyPoll/time.Millisecond))
		if err != nil && err != unix.EINTR || n > 0 && fds[0].Revents&unix.POLLIN == 0 {
			return // the terminal is gone
		}
		if n <= 0 {
			continue
		}
		if !k.foreground() {
			time.Sleep(keyPoll)
			continue
		}
		n, err = unix.Read(k.fd, b[:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		for _, key := range b[:n] {
			press(key)
		}
	}
}

// close restores the terminal and returns when nobody reads from it any more.
func (k *keys) close() {
	signal.Stop(k.stop)
	close(k.quit)
	k.restore()
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	<-k.done
}
