package locust

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// failed tells whether an answer is a failure by the rules of the client that
// the script uses: requests', or FastHttpUser's.
func failed(status int, fast bool) bool {
	if !fast {
		return status >= 400 && status < 600 || status == 0
	}
	switch status {
	case 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 301, 302, 303, 304, 307, 308:
		return false
	}
	return true
}

// statusText is what Locust's statistics say about such an answer.
func statusText(ans *hit.Answer, name string, fast bool) string {
	if fast {
		return "LocustBadStatusCode(code=" + strconv.Itoa(ans.Status) + ")"
	}
	who := "Client"
	if ans.Status >= 500 {
		who = "Server"
	}
	return "HTTPError(" + repr(fmt.Sprintf("%d %s Error: %s for url: %s", ans.Status, who, latin1(ans.Phrase), name)) + ")"
}

// latin1 reads the bytes of a status line as Python does.
func latin1(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			r := make([]rune, len(b))
			for i, c := range b {
				r[i] = rune(c)
			}
			return string(r)
		}
	}
	return string(b)
}

// repr writes a text as Python's repr does.
func repr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b := []byte{quote}
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < ' ' || r >= 0x7f && r <= 0xa0:
			b = fmt.Appendf(b, `\x%02x`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return string(append(b, quote))
}

// failure is a request without an answer, in the words of the Python packages
// that the script believes it uses.
type failure struct {
	text  string // repr of the exception
	errno int    // 0: none
}

// explain says what Locust's statistics would say about an answer that did not
// come, of a request to the URL asked that ended at another: as HttpUser has it,
// or FastHttpUser.
func explain(ans *hit.Answer, asked, at string, limit time.Duration, fast bool) failure {
	host, port, scheme := place3(at)
	pool := fmt.Sprintf("%sConnectionPool(host='%s', port=%s)", scheme, host, port)
	seconds := strconv.FormatFloat(limit.Seconds(), 'f', -1, 64)
	system := func(kind string, no syscall.Errno, words string) failure {
		return failure{fmt.Sprintf("%s(%d, '%s')", kind, int(no), words), int(no)}
	}
	timedOut := failure{text: "RetriesExceeded(" + repr(asked) + ", 0, original=timed out)"}
	closed := failure{text: "HTTPConnectionClosed('connection closed.')"}
	incomplete := failure{text: "HTTPParseError('Incomplete response.')"}
	either := func(usual string, quick failure) failure {
		if fast {
			return quick
		}
		return failure{text: usual}
	}
	words := repr(ans.Err)
	switch ans.Failure {
	case hit.ConnectRefused:
		return system("ConnectionRefusedError", syscall.ECONNREFUSED, "Connection refused")
	case hit.ConnectFailed:
		switch {
		case strings.Contains(ans.Err, "no route to host"):
			return system("OSError", syscall.EHOSTUNREACH, "No route to host")
		case strings.Contains(ans.Err, "unreachable"):
			return system("OSError", syscall.ENETUNREACH, "Network is unreachable")
		}
	case hit.DNSFailed:
		if strings.Contains(ans.Err, "in time") || strings.Contains(ans.Err, "temporar") {
			return failure{"gaierror(-3, 'Temporary failure in name resolution')", -3}
		}
		return failure{"gaierror(-2, 'Name or service not known')", -2}
	case hit.ConnectTimeout:
		return either(fmt.Sprintf("ConnectTimeoutError(<%sConnection(host='%s', port=%s) at 0x....>, 'Connection to %s timed out. (connect timeout=%s)')", scheme, host, port, host, seconds), timedOut)
	case hit.AnswerTimeout:
		return either(fmt.Sprintf(`ReadTimeout(ReadTimeoutError("%s: Read timed out. (read timeout=%s)"))`, pool, seconds), timedOut)
	case hit.ClosedEarly:
		switch {
		case ans.Status != 0 || strings.Contains(ans.Err, "in the body"):
			return either(brokenBody(ans), incomplete)
		case fast:
			return closed
		case strings.Contains(ans.Err, " reset "):
			return system("ConnectionResetError", syscall.ECONNRESET, "Connection reset by peer")
		}
		return failure{text: "RemoteDisconnected('Remote end closed connection without response')"}
	case hit.SendFailed:
		if fast {
			return closed
		}
		return system("BrokenPipeError", syscall.EPIPE, "Broken pipe")
	case hit.TooManyRedirects:
		n := firstNumber(ans.Err)
		return either("TooManyRedirects('Exceeded "+n+" redirects.')", failure{text: "RetriesExceeded(" + repr(asked) + ", 'Redirection limit reached (" + n + ")')"})
	case hit.TLSFailed:
		inner := "SSLError(" + words + ")"
		switch {
		case strings.HasPrefix(ans.Err, "no TLS handshake"):
			return either(fmt.Sprintf(`ReadTimeout(ReadTimeoutError("%s: Read timed out. (read timeout=%s)"))`, pool, seconds), timedOut)
		case strings.Contains(ans.Err, "certificate of"):
			inner = "SSLCertVerificationError(1, " + repr("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "+distrust(ans.Err, host)+" (_ssl.c:1006)") + ")"
		}
		if fast {
			return failure{text: inner}
		}
		return failure{text: "SSLError(" + inner + ")"}
	case hit.ProxyFailed:
		return failure{text: "ProxyError(" + words + ")"}
	case hit.BadAnswer:
		if strings.Contains(ans.Err, "cannot be decoded") {
			inner := "error('Error -3 while decompressing data: incorrect header check')"
			return either("ContentDecodingError(DecodeError('Received response with content-encoding: gzip, but failed to decode it.', "+inner+"))", failure{text: inner})
		}
		if _, quoted, ok := strings.Cut(ans.Err, "a chunk size is malformed: "); ok {
			line, err := strconv.Unquote(strings.TrimSuffix(quoted, "…"))
			if err == nil {
				got := "InvalidChunkLength(got length b" + repr(line+"\r\n") + ", 0 bytes read)"
				return either("ChunkedEncodingError(ProtocolError("+repr("Connection broken: "+got)+", "+got+"))", failure{text: "HTTPParseError('Invalid character in chunk size', 12)"})
			}
		}
		return either("BadStatusLine("+words+")", failure{text: "HTTPParseError('Expected HTTP/, RTSP/ or ICE/', 8)"})
	}
	return failure{text: "ConnectionError(" + words + ")"}
}

// distrust is what OpenSSL says where Go's TLS refuses a certificate.
func distrust(err, host string) string {
	switch {
	case strings.Contains(err, "not valid today"):
		return "certificate has expired"
	case strings.Contains(err, "unknown authority"):
		return "unable to get local issuer certificate"
	case strings.Contains(err, " is for ") && net.ParseIP(host) != nil:
		return "IP address mismatch, certificate is not valid for '" + host + "'."
	case strings.Contains(err, " is for "):
		return "Hostname mismatch, certificate is not valid for '" + host + "'."
	}
	return err
}

// brokenBody is what requests says about a body that ended too early.
func brokenBody(ans *hit.Answer) string {
	length, err := strconv.Atoi(ans.Fields.Get("Content-Length"))
	if err != nil {
		return "ChunkedEncodingError(ProtocolError('Response ended prematurely'))"
	}
	read := fmt.Sprintf("IncompleteRead(%d bytes read, %d more expected)", len(ans.Body), length-len(ans.Body))
	return "ChunkedEncodingError(ProtocolError('Connection broken: " + read + "', " + read + "))"
}

// place3 returns the host and the port of a URL, and its scheme in capitals.
func place3(raw string) (host, port, scheme string) {
	scheme = "HTTP"
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", scheme
	}
	host, port = u.Hostname(), u.Port()
	if u.Scheme == "https" {
		scheme = "HTTPS"
	}
	if port == "" {
		port = map[string]string{"HTTP": "80", "HTTPS": "443"}[scheme]
	}
	return host, port, scheme
}

func firstNumber(s string) string {
	i := strings.IndexAny(s, "0123456789")
	if i < 0 {
		return "30"
	}
	n := i
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[i:n]
}

// Error is why a script could not be started, loaded or kept running.
type Error struct {
	Text      string // one sentence
	Hint      string // what to do; may be empty
	File      string
	Line      int
	Traceback string
	Exit      int // the code that Locust leaves with; 0: not said
}

// Error says it with its place.
func (e *Error) Error() string {
	if e.File == "" {
		return e.Text
	}
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// IsScript reports whether err is about the script, and not about where it runs.
func IsScript(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Traceback != "" || e.File != "")
}

// plainText takes the name of the exception off a text that a script gave itself:
// CatchResponseError('too slow') is too slow.
func plainText(s string) string {
	inner, ok := strings.CutPrefix(s, "CatchResponseError(")
	if !ok || !strings.HasSuffix(inner, ")") || len(inner) < 3 {
		return s
	}
	return strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`, `\n`, " ").Replace(inner[1 : len(inner)-2])
}
