package weir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/weir-dev/weir/internal/feed"
)

// Order is the order in which users get the rows of a Feed.
type Order string

// The orders of a Feed.
const (
	Sequential Order = Order(feed.Sequential) // one after another, from the beginning again after the last
	Random     Order = Order(feed.Random)     // any, by the random numbers of the user, which --seed fixes
	Unique     Order = Order(feed.Unique)     // one after another, each once
)

// FeedOptions say how a Feed deals out its rows. The zero value is Sequential.
type FeedOptions struct {
	Order     Order
	StopUsers bool // with Unique: who asks after the last row stops, instead of having an error each time
	Comma     rune // between the columns of a CSV file; 0 = ','
}

// Feed is rows of data that all users share and take one after another: accounts
// to log in with, numbers to send to. ReadCSV, ReadJSON and NewFeed make one. It
// is safe for concurrent use, by every user of any number of classes; it counts on
// over several runs of one program. Rows are shared: they must not be changed.
type Feed[T any] struct {
	rows []T
	turn *feed.Feed
}

// NewFeed makes a feed of rows. The error tells which option is wrong, or that
// there are no rows.
func NewFeed[T any](rows []T, o FeedOptions) (*Feed[T], error) {
	return newFeed("the feed", rows, o)
}

func newFeed[T any](name string, rows []T, o FeedOptions) (*Feed[T], error) {
	atEnd := feed.Error
	if o.StopUsers {
		if o.Order != Unique {
			return nil, errors.New("FeedOptions.StopUsers belongs to the order Unique: the others have no end")
		}
		atEnd = feed.Stop
	}
	switch o.Order {
	case "", Sequential, Random, Unique:
	default:
		return nil, fmt.Errorf("FeedOptions.Order is %q: want weir.Sequential, weir.Random or weir.Unique", string(o.Order))
	}
	turn, err := feed.New(name, len(rows), feed.Order(o.Order), atEnd)
	if err != nil {
		return nil, err
	}
	return &Feed[T]{rows: rows, turn: turn}, nil
}

// Row is a row of a CSV file, by the names of its columns.
type Row map[string]string

// ReadCSV makes a feed of a CSV file whose first line has the names of the
// columns. The error has the file and the line.
func ReadCSV(path string, o FeedOptions) (*Feed[Row], error) {
	comma := o.Comma
	if comma == 0 {
		comma = ','
	}
	if _, err := feed.Delimiter(string(comma)); err != nil {
		return nil, fmt.Errorf("FeedOptions.Comma is %q: want another character", comma)
	}
	data, err := readFeed(path)
	if err != nil {
		return nil, err
	}
	columns, records, err := feed.CSV(path, data, comma)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(records))
	for _, rec := range records {
		row := make(Row, len(columns))
		for i, k := range columns {
			row[k] = rec[i]
		}
		rows = append(rows, row)
	}
	return newFeed(path, rows, o)
}

// ReadJSON makes a feed of a file with a JSON list, or with one JSON value a
// line, as json.Unmarshal reads them into T. The error has the file, and the line
// where that is known.
func ReadJSON[T any](path string, o FeedOptions) (*Feed[T], error) {
	data, err := readFeed(path)
	if err != nil {
		return nil, err
	}
	var rows []T
	whole := json.Unmarshal(data, &rows)
	if whole == nil {
		return newFeed(path, rows, o)
	}
	if json.Valid(data) {
		text := bytes.TrimSpace(data)
		if text[0] == '[' {
			return nil, fmt.Errorf("%s has other JSON than was asked for: %w", path, whole)
		}
		if bytes.ContainsRune(text, '\n') {
			return nil, fmt.Errorf("%s holds one JSON value, want a list", path)
		}
	}
	rows = nil
	err = feed.Lines(path, data, func(line []byte) error {
		var row T
		err := json.Unmarshal(line, &row)
		switch {
		case err == nil:
			rows = append(rows, row)
			return nil
		case json.Valid(line):
			return fmt.Errorf("has other JSON than was asked for: %w", err)
		case len(rows) == 0:
			err = whole // of the text as a list, which it may have been meant to be
		}
		return fmt.Errorf("is not JSON: %w", err)
	})
	if err != nil {
		return nil, err
	}
	return newFeed(path, rows, o)
}

// maxFeed is the largest file that is read as a feed.
const maxFeed = 64 << 20

func readFeed(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s: paths are from the folder the program runs in", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case info.Size() > maxFeed:
		return nil, fmt.Errorf("%s has %d MB: a feed may have %d", path, info.Size()>>20, maxFeed>>20)
	}
	return os.ReadFile(path)
}

// Len is the number of rows.
func (f *Feed[T]) Len() int { return len(f.rows) }

// Rows returns all rows, which must not be changed.
func (f *Feed[T]) Rows() []T { return f.rows }

// Next returns the user's next row. The error is for the task to return: it is
// ErrStop when the feed is used up and StopUsers is set, and otherwise says that
// the feed is used up.
func (f *Feed[T]) Next(u *User) (T, error) {
	i, err := f.turn.Next(u.Rand())
	var usedUp *feed.UsedUp
	var none T
	switch {
	case errors.Is(err, feed.ErrStop):
		return none, ErrStop
	case errors.As(err, &usedUp):
		return none, fmt.Errorf("%w; add rows, use weir.Sequential, or set StopUsers", err)
	case err != nil:
		return none, err
	}
	return f.rows[i], nil
}
