package sms

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	defaultPageSize = 20
	maxPageSize     = 100
)

// listed answers with one page, as PageNumberPagination does.
func listed[T any](x *exchange, rows func(limit, offset int64) ([]T, error), count func() (int64, error), render func(*T) []byte) (int, []byte, *refusal) {
	total, err := count()
	if err != nil {
		return 0, nil, broken()
	}
	q := parseQuery(x.r.URL.RawQuery)
	size := int64(defaultPageSize)
	if text, ok := pyAtoi(q.last("page_size")); ok {
		if n := clamp(text); n > 0 {
			size = min(n, maxPageSize)
		}
	}
	pages := max(1, (total+size-1)/size)
	page := int64(1)
	switch text := q.last("page"); text {
	case "":
	case "last":
		page = pages
	default:
		page = math.MinInt64
		if n, ok := pyAtoi(text); ok {
			page = clamp(n)
		}
	}
	if page < 1 || page > pages {
		return 0, nil, detail(http.StatusNotFound, "Invalid page.")
	}
	found, err := rows(size, (page-1)*size)
	if err != nil {
		return 0, nil, broken()
	}
	list := []byte{'['}
	for i := range found {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, render(&found[i])...)
	}
	list = append(list, ']')
	next, previous := "", ""
	here := scheme(x.r) + "://" + x.r.Host + escapePath(x.r.URL.Path)
	if page < pages {
		next = here + "?" + q.with(page+1)
	}
	switch {
	case page == 2:
		if previous = here; len(q) > 0 {
			if rest := q.with(0); rest != "" {
				previous += "?" + rest
			}
		}
	case page > 2:
		previous = here + "?" + q.with(page-1)
	}
	return http.StatusOK, newObject().number("count", total).orNull("next", next).orNull("previous", previous).raw("results", list).done(), nil
}

// query is a query string in Python's reading: names to values, in their order.
type query map[string][]string

// parseQuery is urllib.parse.parse_qs with blank values kept: unlike Go's, it
// never fails, and ; separates nothing.
func parseQuery(raw string) query {
	q := query{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unquote(name)
		q[name] = append(q[name], unquote(value))
	}
	return q
}

func (q query) last(name string) string {
	if v := q[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// with is the query with another page, sorted by name; page 0 leaves it out.
func (q query) with(page int64) string {
	names := make([]string, 0, len(q)+1)
	for name := range q {
		if name != "page" {
			names = append(names, name)
		}
	}
	if page > 0 {
		names = append(names, "page")
	}
	slices.Sort(names)
	var b strings.Builder
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		// QueryEscape leaves the same characters alone as quote_plus.
		b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value))
	}
	for _, name := range names {
		if name == "page" {
			add(name, strconv.FormatInt(page, 10))
			continue
		}
		for _, v := range q[name] {
			add(name, v)
		}
	}
	return b.String()
}

// unquote is urllib.parse.unquote_plus: a broken escape stays as it is, and bytes
// that are not UTF-8 are replaced.
func unquote(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	if strings.IndexByte(s, '%') >= 0 {
		out := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					out = append(out, byte(n))
					i += 2
					continue
				}
			}
			out = append(out, s[i])
		}
		s = string(out)
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "�")
}
