package script

import (
	"bytes"
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	feeds "github.com/weir-dev/weir/internal/feed"
)

// feed is rows of data that users take one after another: the value of
// feed.csv(…), feed.json(…) and feed.rows(…).
type feed struct {
	name string
	rows []starlark.Value
	next *feeds.Feed // whose turn it is
}

func (f *feed) String() string        { return fmt.Sprintf("<feed of %d rows from %s>", len(f.rows), f.name) }
func (f *feed) Type() string          { return "feed" }
func (f *feed) Freeze()               {}
func (f *feed) Truth() starlark.Bool  { return true }
func (f *feed) Hash() (uint32, error) { return 0, errors.New("unhashable type: feed") }
func (f *feed) Len() int              { return len(f.rows) }

func (f *feed) AttrNames() []string { return []string{"next", "rows"} }

func (f *feed) Attr(name string) (starlark.Value, error) {
	switch name {
	case "next":
		return starlark.NewBuiltin("next", nextRow).BindReceiver(f), nil
	case "rows":
		return starlark.Tuple(f.rows), nil
	}
	return nil, nil
}

// nextRow is feed.next().
func nextRow(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs("next", args, kwargs); err != nil {
		return nil, err
	}
	u, err := running(t, "feed.next()")
	if err != nil {
		return nil, err
	}
	f := b.Receiver().(*feed)
	i, err := f.next.Next(u.rand())
	var usedUp *feeds.UsedUp
	switch {
	case errors.Is(err, feeds.ErrStop):
		return nil, &signal{kind: stopUser}
	case errors.As(err, &usedUp):
		return nil, fmt.Errorf(`%w; add rows, use order = "sequential", or at_end = "stop"`, err)
	case err != nil:
		return nil, err
	}
	return f.rows[i], nil
}

// readFeed is feed.csv, feed.json and feed.rows.
func readFeed(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "feed."+b.Name()+"(…)")
	if err != nil {
		return nil, err
	}
	f := &feed{}
	order, atEnd, delimiter := "sequential", "error", ","
	var source starlark.Value
	if b.Name() == "csv" {
		err = starlark.UnpackArgs("feed.csv", args, kwargs, "path", &source, "order?", &order, "at_end?", &atEnd, "delimiter?", &delimiter)
	} else {
		err = starlark.UnpackArgs("feed."+b.Name(), args, kwargs, "source", &source, "order?", &order, "at_end?", &atEnd)
	}
	if err != nil {
		return nil, err
	}
	if err := feeds.Check(feeds.Order(order), atEnd); err != nil {
		if atEnd == "error" { // so it is the order
			err = fmt.Errorf("%w%s", err, suggest(order, []string{"sequential", "random", "unique"}))
		}
		return nil, err
	}
	if b.Name() == "rows" {
		f.name = "the feed"
		list, ok := source.(starlark.Iterable)
		if !ok {
			return nil, fmt.Errorf("feed.rows wants a list, not a %s", source.Type())
		}
		for v := range starlark.Elements(list) {
			f.rows = append(f.rows, v)
		}
	} else {
		path, ok := starlark.AsString(source)
		if !ok {
			return nil, fmt.Errorf("feed.%s wants the name of a file, not a %s", b.Name(), source.Type())
		}
		if f.name, err = l.resolve(t, path); err != nil {
			return nil, err
		}
		data, err := l.read(f.name, maxData)
		if err != nil {
			return nil, err
		}
		if b.Name() == "csv" {
			f.rows, err = csvRows(f.name, data, delimiter)
		} else {
			f.rows, err = jsonRows(t, f.name, data)
		}
		if err != nil {
			return nil, err
		}
	}
	if f.next, err = feeds.New(f.name, len(f.rows), feeds.Order(order), atEnd); err != nil {
		return nil, err
	}
	for _, r := range f.rows {
		r.Freeze() // users share them
	}
	return f, nil
}

// csvRows reads a file whose first line has the names of the columns.
func csvRows(name string, data []byte, delimiter string) ([]starlark.Value, error) {
	comma, err := feeds.Delimiter(delimiter)
	if err != nil {
		return nil, err
	}
	columns, records, err := feeds.CSV(name, data, comma)
	if err != nil {
		return nil, err
	}
	var rows []starlark.Value
	for _, rec := range records {
		row := starlark.NewDict(len(columns))
		for i, k := range columns {
			if err := row.SetKey(starlark.String(k), starlark.String(rec[i])); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// jsonRows reads a JSON list, or one JSON value per line.
func jsonRows(t *starlark.Thread, name string, data []byte) ([]starlark.Value, error) {
	v, err := decodeJSON(t, starlark.String(data))
	if list, ok := v.(*starlark.List); err == nil && ok {
		var rows []starlark.Value
		for e := range list.Elements() {
			rows = append(rows, e)
		}
		return rows, nil
	}
	if err == nil {
		if bytes.ContainsRune(bytes.TrimSpace(data), '\n') || v.Type() != "dict" {
			return nil, fmt.Errorf("%s holds a %s, want a list", name, v.Type())
		}
		return []starlark.Value{v}, nil
	}
	whole := err
	var rows []starlark.Value
	err = feeds.Lines(name, data, func(line []byte) error {
		v, err := decodeJSON(t, starlark.String(line))
		if err != nil && len(rows) == 0 {
			err = whole // of the text as one value, which it may have been meant to be
		}
		if err != nil {
			return fmt.Errorf("is not JSON: %w", err)
		}
		rows = append(rows, v)
		return nil
	})
	return rows, err
}

// readFile is read_file("name"): the contents as a text.
func readFile(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "read_file(…)")
	if err != nil {
		return nil, err
	}
	var path string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "path", &path); err != nil {
		return nil, err
	}
	name, err := l.resolve(t, path)
	if err != nil {
		return nil, err
	}
	data, err := l.read(name, maxData)
	return starlark.String(data), err
}
