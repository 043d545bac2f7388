package script

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"go.starlark.net/starlark"
)

// feed is rows of data that users take one after another: the value of
// feed.csv(…), feed.json(…) and feed.rows(…).
type feed struct {
	name  string
	order string // sequential, random or unique
	atEnd string // error or stop
	rows  []starlark.Value
	taken atomic.Int64
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
	n := int64(len(f.rows))
	if f.order == "random" {
		return f.rows[u.rand().Int64N(n)], nil
	}
	i := f.taken.Add(1) - 1
	if f.order == "sequential" {
		return f.rows[i%n], nil
	}
	if i < n {
		return f.rows[i], nil
	}
	if f.atEnd == "stop" {
		return nil, &signal{kind: stopUser}
	}
	return nil, fmt.Errorf(`%s is used up: it has %d rows, and each is unique; add rows, use order = "sequential", or at_end = "stop"`, f.name, n)
}

// readFeed is feed.csv, feed.json and feed.rows.
func readFeed(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "feed."+b.Name()+"(…)")
	if err != nil {
		return nil, err
	}
	f := &feed{order: "sequential", atEnd: "error"}
	delimiter := ","
	var source starlark.Value
	if b.Name() == "csv" {
		err = starlark.UnpackArgs("feed.csv", args, kwargs, "path", &source, "order?", &f.order, "at_end?", &f.atEnd, "delimiter?", &delimiter)
	} else {
		err = starlark.UnpackArgs("feed."+b.Name(), args, kwargs, "source", &source, "order?", &f.order, "at_end?", &f.atEnd)
	}
	if err != nil {
		return nil, err
	}
	if orders := []string{"sequential", "random", "unique"}; !contains(orders, f.order) {
		return nil, fmt.Errorf("order = %q: want sequential, random or unique%s", f.order, suggest(f.order, orders))
	}
	if f.atEnd != "error" && f.atEnd != "stop" {
		return nil, fmt.Errorf("at_end = %q: want error or stop", f.atEnd)
	}
	if f.atEnd == "stop" && f.order != "unique" {
		return nil, fmt.Errorf(`at_end belongs to order = "unique": %s has no end`, f.order)
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
	if len(f.rows) == 0 {
		return nil, fmt.Errorf("%s has no rows", f.name)
	}
	for _, r := range f.rows {
		r.Freeze() // users share them
	}
	return f, nil
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// csvRows reads a file whose first line has the names of the columns.
func csvRows(name string, data []byte, delimiter string) ([]starlark.Value, error) {
	d := []rune(delimiter)
	if len(d) != 1 || strings.ContainsAny(delimiter, "\"\r\n") {
		return nil, fmt.Errorf("delimiter = %q: want one character", delimiter)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.Comma = d[0]
	head, err := r.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	keys := make([]starlark.Value, len(head))
	seen := map[string]bool{}
	for i, h := range head {
		h = strings.TrimSpace(h)
		if h == "" || seen[h] {
			return nil, fmt.Errorf("%s: column %d of the first line has no name of its own", name, i+1)
		}
		seen[h] = true
		keys[i] = starlark.String(h)
	}
	var rows []starlark.Value
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %v", name, err)
		}
		row := starlark.NewDict(len(keys))
		for i, k := range keys {
			if err := row.SetKey(k, starlark.String(rec[i])); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
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
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		v, err := decodeJSON(t, starlark.String(line))
		if err != nil {
			if n == 1 {
				err = whole
			}
			return nil, fmt.Errorf("%s:%d is not JSON: %v", name, n, err)
		}
		rows = append(rows, v)
	}
	return rows, nil
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
