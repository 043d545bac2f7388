package report

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the Summary as indented JSON. See Format.
func (s *Summary) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(s)
}
