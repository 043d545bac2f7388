package feed

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// CSV reads a file whose first line has the names of the columns. Every row has
// as many values as there are columns. The error has the name and the line.
func CSV(name string, data []byte, delimiter rune) (columns []string, rows [][]string, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.Comma = delimiter
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	seen := map[string]bool{}
	for i, h := range head {
		h = strings.TrimSpace(h)
		if h == "" || seen[h] {
			return nil, nil, fmt.Errorf("%s: column %d of the first line has no name of its own", name, i+1)
		}
		seen[h] = true
		columns = append(columns, h)
	}
	if rows, err = r.ReadAll(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return columns, rows, nil
}

// Lines calls use with each line of JSON text that is not empty, and its number
// from 1, until it returns an error. What use returns gets
// the name and the line in front: "x.json:3 is not JSON".
func Lines(name string, data []byte, use func(line []byte) error) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := use(line); err != nil {
			return fmt.Errorf("%s:%d %w", name, n, err)
		}
	}
	return nil
}
