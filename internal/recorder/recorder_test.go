package recorder

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRecorder(t *testing.T) {
	cases := []struct {
		name   string
		answer func(http.ResponseWriter)
		status int
		bytes  int64
	}{
		{"nothing", func(http.ResponseWriter) {}, 200, 0},
		{"a body alone", func(w http.ResponseWriter) { io.WriteString(w, "abc") }, 200, 3},
		{"a status", func(w http.ResponseWriter) { w.WriteHeader(429); io.WriteString(w, "x"); io.WriteString(w, "y") }, 429, 2},
		{"a hint before it", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(204) }, 204, 0},
		{"twice", func(w http.ResponseWriter) { w.WriteHeader(404); w.WriteHeader(200) }, 404, 0},
		{"a switch", func(w http.ResponseWriter) { w.WriteHeader(101) }, 101, 0},
	}
	for _, c := range cases {
		r := &Recorder{ResponseWriter: httptest.NewRecorder()}
		c.answer(r)
		r.End()
		if r.Status != c.status || r.Bytes != c.bytes {
			t.Errorf("%s: %d and %d bytes, want %d and %d", c.name, r.Status, r.Bytes, c.status, c.bytes)
		}
	}
	below := httptest.NewRecorder()
	if http.NewResponseController(&Recorder{ResponseWriter: below}).Flush(); !below.Flushed {
		t.Error("Flush did not reach the writer below")
	}
}
