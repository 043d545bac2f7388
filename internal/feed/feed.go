// Package feed deals out rows of data to users: a Feed is the order in which
// they get them, and what happens when there are none left.
//
// It is what data feeds in Starlark and in Go have in common. What a row is, and
// which file it comes from, is the caller's business.
package feed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// Order is the order in which users get rows.
type Order string

// The orders. The empty Order is Sequential.
const (
	Sequential Order = "sequential" // one after another, from the beginning again after the last
	Random     Order = "random"     // any, by the user's own random numbers
	Unique     Order = "unique"     // one after another, each once
)

// What happens after the last row of a unique feed. The empty text is Error.
const (
	Error = "error" // whoever asks has an error, which is listed
	Stop  = "stop"  // whoever asks stops
)

// ErrStop is returned by a feed that is used up, with Stop.
var ErrStop = errors.New("the feed is used up")

// Feed deals out the numbers of rows. New makes one. It is safe for concurrent use.
type Feed struct {
	name  string
	rows  int64
	order Order
	atEnd string
	taken atomic.Int64
}

// New makes a feed of that many rows; name is what errors call it. The error
// tells which argument is wrong.
func New(name string, rows int, order Order, atEnd string) (*Feed, error) {
	if err := Check(order, atEnd); err != nil {
		return nil, err
	}
	if rows <= 0 {
		return nil, fmt.Errorf("%s has no rows", name)
	}
	if order == "" {
		order = Sequential
	}
	return &Feed{name: name, rows: int64(rows), order: order, atEnd: atEnd}, nil
}

// Check tells whether order and atEnd are known, and belong together.
func Check(order Order, atEnd string) error {
	switch order {
	case "", Sequential, Random, Unique:
	default:
		return fmt.Errorf("order = %q: want sequential, random or unique", string(order))
	}
	switch {
	case atEnd != "" && atEnd != Error && atEnd != Stop:
		return fmt.Errorf("at_end = %q: want error or stop", atEnd)
	case atEnd == Stop && order != Unique:
		if order == "" {
			order = Sequential
		}
		return fmt.Errorf(`at_end belongs to order = "unique": %s has no end`, order)
	}
	return nil
}

// Len is the number of rows.
func (f *Feed) Len() int { return int(f.rows) }

// Next returns the number of the next row, from 0. Only Random asks r. The error
// is ErrStop or a *UsedUp.
func (f *Feed) Next(r *rand.Rand) (int, error) {
	if f.order == Random {
		return int(r.Int64N(f.rows)), nil
	}
	i := f.taken.Add(1) - 1
	switch {
	case f.order == Sequential:
		return int(i % f.rows), nil
	case i < f.rows:
		return int(i), nil
	case f.atEnd == Stop:
		return 0, ErrStop
	}
	return 0, &UsedUp{f.name, f.Len()}
}

// UsedUp is the error of a unique feed that has no row left.
type UsedUp struct {
	Name string
	Rows int
}

// Error says what is used up. What to do about it is for the caller to add.
func (e *UsedUp) Error() string {
	return fmt.Sprintf("%s is used up: it has %d rows, and each is unique", e.Name, e.Rows)
}

// Delimiter reads the character between the columns of a CSV file; "" is a comma.
func Delimiter(s string) (rune, error) {
	if s == "" {
		return ',', nil
	}
	d := []rune(s)
	if len(d) != 1 || strings.ContainsAny(s, "\"\r\n") || d[0] == '\uFFFD' {
		return 0, fmt.Errorf("delimiter = %q: want one character", s)
	}
	return d[0], nil
}
