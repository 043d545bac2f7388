package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-dev/weir/internal/locust/book"
)

// locustFiles are the four CSV files of --csv. The methods do nothing on nil.
type locustFiles struct {
	book                                 *book.Book
	stats, history, failures, exceptions *os.File
	statsBuf, failuresBuf, exceptionsBuf []byte // what was written last
	err                                  error
}

// createLocustFiles makes the files, and the folders that their prefix names.
func createLocustFiles(prefix string, b *book.Book, full bool) (*locustFiles, error) {
	if full {
		b.FullHistory()
	}
	if dir := filepath.Dir(prefix); dir != "." {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, cannotRun("choose another place for --csv", "--csv: cannot make the folder %s: %v", dir, bare(err))
		}
	}
	f := &locustFiles{book: b}
	for _, x := range []struct {
		to     **os.File
		suffix string
	}{{&f.stats, "_stats.csv"}, {&f.history, "_stats_history.csv"}, {&f.failures, "_failures.csv"}, {&f.exceptions, "_exceptions.csv"}} {
		file, err := os.Create(prefix + x.suffix)
		if err != nil {
			f.close()
			return nil, cannotRun("choose another place for --csv", "--csv: cannot write %s%s: %v", prefix, x.suffix, bare(err))
		}
		*x.to = file
	}
	f.err = b.HistoryHead(f.history)
	return f, nil
}

// write brings the files up to date: all but the history are written anew.
func (f *locustFiles) write(now time.Time) {
	if f == nil || f.err != nil {
		return
	}
	f.err = errors.Join(
		f.book.WriteHistory(f.history, now),
		replace(f.stats, &f.statsBuf, f.book.WriteRequests),
		replace(f.failures, &f.failuresBuf, f.book.WriteFailures),
		replace(f.exceptions, &f.exceptionsBuf, f.book.WriteExceptions),
	)
}

// replace writes what a file holds in place, when it has changed: who reads it
// meanwhile keeps the file open.
func replace(file *os.File, last *[]byte, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if bytes.Equal(b.Bytes(), *last) {
		return nil
	}
	if _, err := file.WriteAt(b.Bytes(), 0); err != nil {
		return err
	}
	*last = b.Bytes()
	return file.Truncate(int64(b.Len()))
}

// finish writes the state at the end, which Locust's own files lack, and closes
// the files.
func (f *locustFiles) finish(now time.Time) error {
	if f == nil {
		return nil
	}
	f.write(now)
	f.close()
	if f.err != nil {
		return cannotRun("choose another place for --csv", "--csv: %v", f.err)
	}
	return nil
}

func (f *locustFiles) close() {
	if f == nil {
		return
	}
	for _, file := range []*os.File{f.stats, f.history, f.failures, f.exceptions} {
		if file != nil {
			f.err = errors.Join(f.err, file.Close())
		}
	}
}
