package wake

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerfd is a timer that is read like a file, through the runtime's poller:
// the kernel's high-resolution timer wakes the poller, and no thread is bound.
type timerfd struct {
	fd   int
	file *os.File
	buf  [8]byte
}

func newAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), "timerfd") // it polls, because fd does not block
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		_ = file.Close()
		return nil
	}
	return &timerfd{fd: fd, file: file}
}

func (a *timerfd) sleep(d time.Duration) bool {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))} // 0 would never fire
	if err := unix.TimerfdSettime(a.fd, 0, &spec, nil); err != nil {
		return false
	}
	_, err := a.file.Read(a.buf[:])
	return err == nil
}

func (a *timerfd) interrupt() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }

func (a *timerfd) close() { _ = a.file.Close() }
