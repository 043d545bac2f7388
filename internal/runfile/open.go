package runfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that callers may want to tell apart.
var (
	// ErrNotRunFile: the file exists and is something else.
	ErrNotRunFile = errors.New("not a Weir run file")
	// ErrNewer: the file was written by a version of Weir with a newer schema.
	ErrNewer = errors.New("written by a newer Weir")
	// ErrExists: Create found a run file and was not allowed to replace it.
	ErrExists = errors.New("a run file is there already")
	// ErrInUse: another program is writing the file.
	ErrInUse = errors.New("another program is writing it")
	// ErrDamaged: the file is a run file and cannot be read to its end.
	ErrDamaged = errors.New("the file is damaged: cut short, or written over")
)

// Open opens a run file for reading and reads what it says about the run. It
// works while the file is being written; Meta and End are as of now, Ticks reads
// what is there when it is ranged over. A file that was copied without the
// "-wal" file beside it is read as far as it goes. The file is never changed.
func Open(path string) (*Run, error) {
	if err := readable(path); err != nil {
		return nil, fmt.Errorf("open run file %s: %w", path, err)
	}
	r, err := openAs(path, path, "mode=ro")
	if err == nil || !blocked(err) {
		return r, err
	}
	// Subtle: a database in WAL mode cannot be opened in a directory where its
	// index file cannot be made. Without a log the file itself is complete and
	// will not change; with one, a copy elsewhere can be recovered.
	if size, serr := os.Stat(path + "-wal"); serr != nil || size.Size() == 0 {
		return openAs(path, path, "mode=ro&immutable=1")
	}
	return openCopy(path)
}

// readable gives the plain reasons for which a file cannot be opened.
func readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case err != nil:
		return reason(err)
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is not a regular file: %w", ErrNotRunFile)
	case info.Size() == 0:
		return fmt.Errorf("it is empty: %w", ErrNotRunFile)
	}
	return nil
}

// reason strips what repeats the path.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// blocked says that SQLite could not open the file for want of rights to the
// directory or to the files beside it.
func blocked(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM:
		return true
	}
	return false
}

func openCopy(path string) (*Run, error) {
	dir, err := os.MkdirTemp("", "weir-read-")
	if err != nil {
		return nil, fmt.Errorf("open run file %s: its directory cannot be written, and no copy can be made: %w", path, err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	to := filepath.Join(dir, "run")
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(to+suffix, path+suffix); err != nil {
			return nil, errors.Join(fmt.Errorf("open run file %s: its directory cannot be written, and no copy can be made: %w", path, err), remove())
		}
	}
	r, err := openAs(path, to, "mode=rw")
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	r.cleanup = remove
	return r, nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	return errors.Join(err, in.Close())
}

// openAs opens the database at file, which is path or a copy of it.
func openAs(path, file, options string) (*Run, error) {
	db, err := database(file, options+"&_pragma=query_only(1)&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)")
	if err != nil {
		return nil, fmt.Errorf("open run file %s: %w", path, err)
	}
	r := &Run{Path: path, db: db}
	ctx := context.Background()
	err = identify(ctx, db)
	if err == nil {
		err = r.load(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open run file %s: %w", path, unreadable(err)), db.Close())
	}
	return r, nil
}

// unreadable explains an error of reading. Our own queries are right, so when
// SQLite finds something wrong with one, the description of the tables is not
// what it was.
func unreadable(err error) error {
	if code(err) == sqlite3.SQLITE_ERROR {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return explain(err)
}

// database opens a file by its path, whatever characters that has. The file
// must not be opened and closed in any other way meanwhile: closing it would drop
// the locks that SQLite holds on it for this process.
func database(file, options string) (*sql.DB, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: options + "&_pragma=busy_timeout(5000)"}
	return sql.Open("sqlite", u.String())
}

// identify tells whether a database is a run file that can be read.
func identify(ctx context.Context, db *sql.DB) error {
	var id, version int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		return ErrNotRunFile
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w (its schema is %d, this one reads up to %d); read it with that version", ErrNewer, version, schemaVersion)
	}
	for _, t := range tables {
		var n int
		// A view instead of a table could be made to take for ever.
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", t).Scan(&n); err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w (table %s is missing)", ErrDamaged, t)
		}
	}
	return nil
}

// code returns the primary result code of an SQLite error, 0 for others.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain puts what SQLite says into plain words where that helps.
func explain(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (nor any SQLite file)", ErrNotRunFile)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full (%w)", err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("the file or its directory cannot be written (%w)", err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("the file cannot be opened; check its rights and those of its directory (%w)", err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk reports an error (%w)", err)
	}
	return err
}
