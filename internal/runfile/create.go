package runfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"
)

// Option changes how Create works.
type Option func(*options)

type options struct{ overwrite bool }

// Overwrite lets Create replace a run file that is there, unless another
// program is writing it. Nothing but a run file is ever replaced.
func Overwrite() Option { return func(o *options) { o.overwrite = true } }

// Create makes the file and writes Meta into it. An empty file is filled; a run
// file is replaced only with Overwrite (else ErrExists), and never while another
// program writes it (ErrInUse); any other file is never touched (ErrNotRunFile).
func Create(path string, m Meta, opts ...Option) (*Writer, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	w, err := create(path, m, o)
	if err != nil {
		return nil, fmt.Errorf("create run file %s: %w", path, explain(err))
	}
	return w, nil
}

func create(path string, m Meta, o options) (*Writer, error) {
	if err := makeRoom(path, o.overwrite); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, creation(path, err)
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	w := &Writer{path: path, names: map[nameKey]int64{}, errors: map[errorKey]int64{}, watches: map[watchKey]int64{}}
	if err := w.start(m); err != nil {
		err = errors.Join(err, w.release())
		if c := code(err); c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED {
			return nil, err // somebody else began to fill it in this very moment: it is theirs
		}
		return nil, errors.Join(err, os.Remove(path))
	}
	return w, nil
}

// creation says why a file could not be made.
func creation(path string, err error) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s; make it first", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no right to write in %s", dir)
	}
	return reason(err)
}

// makeRoom sees to it that there is no file, or an empty one.
func makeRoom(path string, overwrite bool) error {
	if path == "" {
		return errors.New("the name is empty")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return removeAll(path+"-wal", path+"-shm", path+"-journal") // of a run file that was deleted
	case err != nil:
		return reason(err)
	case info.IsDir():
		return errors.New("it is a directory; give the name of a file in it")
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is not a regular file: %w", ErrNotRunFile)
	case info.Size() == 0:
		return removeAll(path+"-wal", path+"-shm", path+"-journal")
	}
	if err := replaceable(path); err != nil {
		return err
	}
	if !overwrite {
		return fmt.Errorf("%w; give another name, or allow it to be replaced", ErrExists)
	}
	return removeAll(path, path+"-wal", path+"-shm", path+"-journal")
}

// replaceable tells whether a file is a run file that nobody is writing.
func replaceable(path string) (err error) {
	db, err := database(path, "mode=rw&_pragma=trusted_schema(0)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var id int
	err = conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id)
	if err != nil && code(err) != sqlite3.SQLITE_NOTADB {
		return err
	}
	if err != nil || id != applicationID {
		return fmt.Errorf("%w, so it is not replaced", ErrNotRunFile)
	}
	// Subtle: leaving WAL mode needs the database to itself, so this fails while
	// a writer has it open, even between two of its transactions. Deleting the
	// file under a writer would let that writer delete the log of the new file.
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	var mode string
	err = conn.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode)
	if err == nil && mode == "wal" {
		return ErrInUse
	}
	return err
}

func removeAll(paths ...string) error {
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
