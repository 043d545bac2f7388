// Package hitlog writes every request of a run to a file: a Log takes hits from
// many goroutines, without ever making one wait, and writes a line of JSON each.
package hitlog

import (
	"bufio"
	"errors"
	"os"
	"sync/atomic"

	"github.com/weir-dev/weir/internal/hit"
)

// buffer is how many hits may wait for the disk: some seconds of a fast run.
const buffer = 1 << 16

// Log is one file. Create makes one; nil does nothing.
type Log struct {
	hits    chan hit.Hit
	dropped atomic.Int64
	closed  atomic.Bool
	quit    chan struct{} // the end; hits is never closed, because a late user must not panic
	done    chan struct{}
	written int64
	err     error
}

// Create begins to write to path, replacing what is there.
func Create(path string) (*Log, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return start(f), nil
}

// file is what is written to.
type file interface {
	Write([]byte) (int, error)
	Close() error
}

func start(f file) *Log {
	l := &Log{hits: make(chan hit.Hit, buffer), quit: make(chan struct{}), done: make(chan struct{})}
	go l.write(f)
	return l
}

// Add takes a hit, and numbers it when it is written. When the disk is too slow the
// hit is dropped and counted.
func (l *Log) Add(h *hit.Hit) {
	select {
	case l.hits <- *h:
	default:
		l.dropped.Add(1)
	}
}

func (l *Log) write(f file) {
	defer close(l.done)
	w := bufio.NewWriterSize(f, 1<<18)
	var line []byte
	one := func(h *hit.Hit) {
		if l.err != nil {
			l.dropped.Add(1)
			return
		}
		h.Seq = l.written
		line = append(h.AppendJSON(line[:0]), '\n')
		if _, l.err = w.Write(line); l.err == nil {
			l.written++
		} else {
			l.dropped.Add(1)
		}
	}
	for open := true; open; {
		select {
		case h := <-l.hits:
			one(&h)
		case <-l.quit:
			open = false
		}
	}
	for len(l.hits) > 0 { // nobody else takes them
		h := <-l.hits
		one(&h)
	}
	if l.err == nil {
		l.err = w.Flush()
	}
	l.err = errors.Join(l.err, f.Close())
}

// Close writes what waits and ends the file. What is added after it is lost. It returns
// how many hits were written and how many were not, which is never silent.
func (l *Log) Close() (written, dropped int64, err error) {
	if l == nil || !l.closed.CompareAndSwap(false, true) {
		return 0, 0, nil
	}
	close(l.quit)
	<-l.done
	return l.written, l.dropped.Load(), l.err
}
