package prometheus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxAnswer is how much of an answer is read: some 10,000 series.
	maxAnswer = 4 << 20
	// maxLabels is how long the labels of a series may be in words.
	maxLabels = 100
)

// sample is one series of an answer.
type sample struct {
	labels string // "instance=a:9100, mode=idle", without the metric's name
	value  float64
}

// ask asks one question, by POST as the API prefers, or by GET when something in
// between allows nothing else.
func (s *Source) ask(ctx context.Context, expr string) ([]sample, error) {
	form := url.Values{"query": {expr}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, s.words(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, kind, body, err := s.send(req)
	if err == nil && (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) {
		u := *s.base
		u.RawQuery = form.Encode()
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil); err == nil {
			status, kind, body, err = s.send(req)
		}
	}
	if err != nil {
		return nil, s.words(err)
	}
	list, err := parseAnswer(status, kind, body)
	if err != nil {
		return nil, s.words(err)
	}
	return list, nil
}

func (s *Source) send(req *http.Request) (status int, kind string, body []byte, err error) {
	req.Header.Set("Accept", "application/json")
	switch {
	case s.token != "":
		req.Header.Set("Authorization", "Bearer "+s.token)
	case s.basic:
		req.SetBasicAuth(s.user, s.password)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d MB: ask for fewer series", maxAnswer>>20)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), body, err
}

// reply is the envelope of the API: prometheus.io/docs/prometheus/latest/querying/api, 2026-11-21.
type reply struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// parseAnswer reads an answer. Values that are no numbers (NaN, or infinite) are
// missing. Series come in the order of their labels.
func parseAnswer(status int, kind string, body []byte) ([]sample, error) {
	var r reply
	if err := json.Unmarshal(body, &r); err != nil || r.Status == "" {
		if status/100 != 2 {
			return nil, fmt.Errorf("the answer is status %d %s", status, http.StatusText(status))
		}
		if media, _, _ := mime.ParseMediaType(kind); media != "" && media != "application/json" {
			return nil, fmt.Errorf("the answer is %s, not JSON: is this a Prometheus server?", clean(media, 60))
		}
		return nil, errors.New("the answer is not one of Prometheus: is the URL the server's own?")
	}
	if r.Status != "success" {
		return nil, fmt.Errorf("%s (%s)", clean(r.Error, 300), clean(r.ErrorType, 40))
	}
	switch r.Data.ResultType {
	case "scalar":
		var p point
		if err := json.Unmarshal(r.Data.Result, &p); err != nil {
			return nil, fmt.Errorf("a scalar that cannot be read: %w", err)
		}
		return keep(nil, "", p), nil
	case "vector":
		var rows []struct {
			Metric    map[string]string `json:"metric"`
			Value     *point            `json:"value"`
			Histogram json.RawMessage   `json:"histogram"`
		}
		if err := json.Unmarshal(r.Data.Result, &rows); err != nil {
			return nil, fmt.Errorf("a vector that cannot be read: %s", clean(err.Error(), 200))
		}
		var out []sample
		for _, row := range rows {
			if row.Value == nil {
				if row.Histogram != nil {
					return nil, errors.New("it gives native histograms: take histogram_quantile or histogram_avg of them")
				}
				return nil, errors.New("a vector with a series without a value")
			}
			out = keep(out, words(row.Metric), *row.Value)
		}
		slices.SortFunc(out, func(a, b sample) int { return cmp.Or(cmp.Compare(a.labels, b.labels), cmp.Compare(a.value, b.value)) })
		// Labels that were cut may be alike; then they cannot be told apart.
		return slices.CompactFunc(out, func(a, b sample) bool { return a.labels == b.labels }), nil
	case "matrix":
		return nil, errors.New("it gives a range of values: ask for an instant vector, without [ ] around the whole")
	}
	return nil, fmt.Errorf("it gives a %s: ask for an instant vector or a scalar", clean(r.Data.ResultType, 40))
}

// point is [seconds, "value"].
type point struct{ value float64 }

func (p *point) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return errors.New("a value is not a pair of time and number")
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return errors.New("a value is not a text with a number in it")
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errors.New("a value is not a number")
	}
	p.value = v
	return nil
}

func keep(list []sample, labels string, p point) []sample {
	if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
		return list
	}
	return append(list, sample{labels: labels, value: p.value})
}

// words makes a name of labels.
func words(metric map[string]string) string {
	var pairs []string
	for name, value := range metric {
		if name != "__name__" {
			pairs = append(pairs, name+"="+value)
		}
	}
	slices.Sort(pairs)
	return clean(strings.Join(pairs, ", "), maxLabels)
}

// words makes one line without secrets of an error.
func (s *Source) words(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the URL
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "it did not answer in time"
	}
	for _, secret := range []string{s.token, s.password} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return errors.New(clean(text, 300))
}

// clean makes one line of a text from outside, and cuts it.
func clean(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
