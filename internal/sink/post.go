package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
)

// Poster delivers parcels whose body is what is posted to a URL.
type Poster struct {
	URL     string
	Headers http.Header                                                      // of every call; they may be secret
	Sign    func(ctx context.Context, r *http.Request, payload []byte) error // nil: unsigned
	Accept  func(status int, body []byte) string                             // what a service that took the parcel left out of it; nil: nothing ever
	Advise  func(status int, body string) string                             // what to do about an answer that is no success, "" nothing; nil: nothing ever
	Client  Doer
}

// Path returns raw with a path when it has none: what a service is told to have by
// its own documentation.
func Path(raw, path string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" {
		return raw
	}
	u.Path = path
	return u.String()
}

// CheckURL returns what is wrong with a URL to post to. Its text may be secret, so
// the error does not repeat it.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("not of the form https://host:port/path")
	}
	if u.User != nil {
		return errors.New("there is a user in the URL, and the run file would keep it: give the header in the environment")
	}
	return nil
}

// CheckPost returns what is wrong with a URL to post to and with how often that is done.
func CheckPost(rawURL string, flush time.Duration) error {
	if err := CheckURL(rawURL); err != nil {
		return fmt.Errorf("the URL: %w", err)
	}
	if flush < time.Second || flush > 5*time.Minute || flush%time.Second != 0 {
		return fmt.Errorf("the flush interval is %v: it is whole seconds, from 1s to 5m", flush)
	}
	return nil
}

// NewPoster makes a Poster of protobuf in an encoding, with the headers that are in
// the environment variable headerEnv, "" for none.
func NewPoster(rawURL, headerEnv, encoding string) (*Poster, error) {
	p := &Poster{URL: rawURL, Headers: http.Header{}, Client: NewClient()}
	if headerEnv != "" {
		h, err := ParseHeaders(os.Getenv(headerEnv))
		if err != nil {
			return nil, fmt.Errorf("the environment variable %s: %w", headerEnv, err)
		}
		p.Headers = h
	}
	p.Headers.Set("Content-Type", "application/x-protobuf")
	p.Headers.Set("Content-Encoding", encoding)
	return p, nil
}

// ParseHeaders reads "Name: value" pairs, separated by line breaks, out of the
// environment.
func ParseHeaders(text string) (http.Header, error) {
	h := http.Header{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, errors.New("a line of it is not of the form Name: value")
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, nil
}

// NewClient makes the Doer of a Poster. Redirects are not followed: a parcel goes
// where it was told to.
func NewClient() Doer {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.IdleConnTimeout = IdleWithin
	return Measure(&http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
}

// Deliver makes one call.
func (p *Poster) Deliver(ctx context.Context, parcel *runfile.Parcel) Reply {
	var w Wire
	r, err := http.NewRequestWithContext(w.Trace(ctx), http.MethodPost, p.URL, bytes.NewReader(parcel.Body))
	if err != nil {
		return Reply{Settlement: runfile.Settlement{Fate: runfile.Refused, Reason: Words(err)}}
	}
	for name, values := range p.Headers {
		r.Header[name] = values
	}
	if p.Sign != nil {
		if err := p.Sign(ctx, r, parcel.Body); err != nil {
			return NoRights(err.Error())
		}
	}
	resp, err := p.Client.Do(r)
	if err != nil {
		return w.NoAnswer(err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	if resp.StatusCode/100 != 2 {
		text := string(body)
		if p.Advise != nil {
			if advice := p.Advise(resp.StatusCode, text); advice != "" {
				text = Line(text, 100) + " (" + advice + ")"
			}
		}
		return Status(resp.StatusCode, resp.Header.Get("Retry-After"), text)
	}
	if err != nil {
		body = nil // the status is the answer
	}
	var reply Reply
	reply.Fate, reply.Wire = runfile.Delivered, max(w.Bytes(), 0)
	if p.Accept != nil {
		if text := p.Accept(resp.StatusCode, body); text != "" {
			reply.Reason = fmt.Sprintf("it answered %d: %s", resp.StatusCode, Line(text, 200))
		}
	}
	return reply
}
