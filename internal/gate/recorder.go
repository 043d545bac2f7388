package gate

import "net/http"

// recorder notes what is answered. It is the http.ResponseWriter of every
// request; what it does not do itself, such as hijacking, the one below does.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the final answer has begun
	bytes  int64
}

// WriteHeader notes the status of the final answer, or of a switch of protocols.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes of the body.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
