package logs

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// between are the events of a stream from start up to but without end, in
// milliseconds; 0 is no bound.
func (st *stream) between(start, end int64) []event {
	lo := sort.Search(len(st.events), func(k int) bool { return st.events[k].at >= start })
	hi := len(st.events)
	if end > 0 {
		hi = sort.Search(len(st.events), func(k int) bool { return st.events[k].at >= end })
	}
	return st.events[min(lo, hi):hi]
}

func (s *Service) get(c *wire.Call) (wire.Out, error) {
	st, err := s.stream(c)
	if err != nil {
		return nil, err
	}
	start, end, limit, head := c.In.Int("startTime"), c.In.Int("endTime"), c.In.Int("limit"), c.In.Bool("startFromHead")
	text := c.In.String("nextToken")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if limit < 0 || limit > maxPage {
		return nil, invalid("limit must be between 1 and %d", maxPage)
	}
	if limit == 0 {
		limit = maxPage
	}
	events := st.between(start, end)
	// A token is a direction and the place where to go on; the same one comes back at the end.
	lo, hi := 0, len(events)
	forward := head
	if text != "" {
		at := 0
		kind, number, _ := strings.Cut(text, "/")
		if at, err = strconv.Atoi(number); err != nil || at < 0 || kind != "f" && kind != "b" {
			return nil, invalid("The specified nextToken is invalid.")
		}
		if forward = kind == "f"; forward {
			lo = min(at, hi)
		} else {
			hi = min(at, hi)
		}
	}
	size := 0
	if forward {
		n := 0
		for lo+n < hi && n < int(limit) && size < maxPageBytes {
			size += len(events[lo+n].message) + overhead
			n++
		}
		hi = lo + n
	} else {
		n := 0
		for hi-n > lo && n < int(limit) && size < maxPageBytes {
			size += len(events[hi-n-1].message) + overhead
			n++
		}
		lo = hi - n
	}
	out := []wire.Out{}
	for _, e := range events[lo:hi] {
		out = append(out, wire.Out{"timestamp": e.at, "message": e.message, "ingestionTime": e.ingested})
	}
	return wire.Out{"events": out, "nextForwardToken": fmt.Sprintf("f/%056d", hi), "nextBackwardToken": fmt.Sprintf("b/%056d", lo)}, nil
}

func (s *Service) filter(c *wire.Call) (wire.Out, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	names, prefix, pattern := c.In.Strings("logStreamNames"), c.In.String("logStreamNamePrefix"), c.In.String("filterPattern")
	start, end, limit := c.In.Int("startTime"), c.In.Int("endTime"), c.In.Int("limit")
	skip, err := from(c)
	if err == nil {
		err = c.In.Err()
	}
	switch {
	case err != nil:
		return nil, err
	case limit < 0 || limit > maxPage:
		return nil, invalid("limit must be between 1 and %d", maxPage)
	case len(names) > 0 && prefix != "":
		return nil, invalid("logStreamNames and logStreamNamePrefix cannot both be given")
	case limit == 0:
		limit = maxPage
	}
	matches, err := parsePattern(pattern)
	if err != nil {
		return nil, err
	}
	type found struct {
		stream string
		event
	}
	var all []found
	for name, st := range g.streams {
		if !strings.HasPrefix(name, prefix) || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		for _, e := range st.between(start, end) {
			if matches(e.message) {
				all = append(all, found{name, e})
			}
		}
	}
	sort.SliceStable(all, func(i, k int) bool { return all[i].id < all[k].id })
	skip = min(skip, len(all))
	list, size, n := []wire.Out{}, 0, skip
	for n < len(all) && len(list) < int(limit) && size < maxPageBytes {
		e := all[n]
		size += len(e.message) + overhead
		n++
		list = append(list, wire.Out{"logStreamName": e.stream, "timestamp": e.at, "message": e.message, "ingestionTime": e.ingested, "eventId": e.id})
	}
	out := wire.Out{"events": list, "searchedLogStreams": []wire.Out{}}
	if n < len(all) {
		out["nextToken"] = next(n)
	}
	return out, nil
}

// parsePattern reads a filter pattern: words and quoted phrases that must all be in a
// message, and with a minus those that must not ("Filter pattern syntax"). JSON and
// regular expressions are refused.
func parsePattern(text string) (func(string) bool, error) {
	var with, without []string
	rest := strings.TrimSpace(text)
	if rest != "" && strings.ContainsRune("{[%", rune(rest[0])) {
		return nil, wire.Fail(http.StatusBadRequest, "InvalidParameterException", "InvalidParameterException", "this stand-in has filter patterns of words and quoted phrases only")
	}
	for rest != "" {
		list := &with
		if rest[0] == '-' {
			list, rest = &without, rest[1:]
		}
		var term string
		if strings.HasPrefix(rest, `"`) {
			var ok bool
			if term, rest, ok = strings.Cut(rest[1:], `"`); !ok {
				return nil, invalid("Invalid filter pattern: a closing quote is missing")
			}
		} else {
			term, rest, _ = strings.Cut(rest, " ")
		}
		*list = append(*list, term)
		rest = strings.TrimSpace(rest)
	}
	return func(message string) bool {
		for _, t := range with {
			if !strings.Contains(message, t) {
				return false
			}
		}
		for _, t := range without {
			if strings.Contains(message, t) {
				return false
			}
		}
		return true
	}, nil
}
