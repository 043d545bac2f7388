// Package recorder notes what a handler answers: a Recorder is an
// http.ResponseWriter that passes everything on and remembers status and bytes.
package recorder

import "net/http"

// Recorder is the http.ResponseWriter of one request. Make it with the writer
// below; what it does not do itself, such as hijacking, that one does, by way of
// http.ResponseController. It is not safe for concurrent use.
type Recorder struct {
	http.ResponseWriter
	Status int   // of the final answer, or of a switch of protocols; 0 until it has begun
	Bytes  int64 // of the body
}

// WriteHeader notes the status and passes it on.
func (r *Recorder) WriteHeader(status int) {
	if r.Status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes and passes them on.
func (r *Recorder) Write(b []byte) (int, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.Bytes += int64(n)
	return n, err
}

// Flush lets handlers that ask for an http.Flusher have one.
func (r *Recorder) Flush() { _ = r.FlushError() }

// FlushError is what http.ResponseController calls, which wants the error.
func (r *Recorder) FlushError() error { return http.NewResponseController(r.ResponseWriter).Flush() }

// Unwrap lets http.ResponseController reach the writer below.
func (r *Recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// End notes that the handler has returned: without a word it has answered 200.
func (r *Recorder) End() {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
}
