// Package logs holds Service: groups, streams and events as CloudWatch Logs keeps
// them, without sockets and without a clock of its own.
//
// Sources: the CloudWatch Logs API reference and the service model in botocore
// 1.43.11, and "CloudWatch Logs quotas", all read 2026-11.
package logs

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// The limits of PutLogEvents (API reference, read 2026-11).
const (
	maxBatch     = 1_048_576 // bytes, with overhead for each event
	overhead     = 26
	maxEvents    = 10_000
	maxEvent     = 1_048_576
	maxSpan      = 24 * time.Hour
	tooOld       = 14 * 24 * time.Hour
	tooNew       = 2 * time.Hour
	maxPage      = 10_000
	maxPageBytes = 1 << 20

	// What is kept at most: ours.
	maxStreams  = 10_000
	maxEventsIn = 500_000 // in one stream, then the oldest go
)

// Service is the stand-in. It is safe for concurrent use.
type Service struct {
	account, region string

	mu     sync.Mutex // guards all below
	groups map[string]*group
	total  int // streams
	events uint64
}

type group struct {
	name      string
	created   time.Time
	retention int // days; 0 is for ever
	streams   map[string]*stream
}

type stream struct {
	name     string
	created  time.Time
	ingested time.Time
	events   []event // by time
}

type event struct {
	at, ingested int64 // milliseconds
	id           string
	message      string
}

// New builds a service of an account and a region.
func New(account, region string) *Service {
	return &Service{account: account, region: region, groups: map[string]*group{}}
}

// Ops are the operations by name.
func (s *Service) Ops() map[string]wire.Op {
	ops := map[string]wire.Op{
		"CreateLogGroup": s.createGroup, "CreateLogStream": s.createStream, "DeleteLogGroup": s.deleteGroup, "DeleteLogStream": s.deleteStream,
		"DescribeLogGroups": s.describeGroups, "DescribeLogStreams": s.describeStreams, "PutRetentionPolicy": s.putRetention,
		"PutLogEvents": s.put, "GetLogEvents": s.get, "FilterLogEvents": s.filter,
	}
	for name, op := range ops {
		ops[name] = func(c *wire.Call) (wire.Out, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return op(c)
		}
	}
	return ops
}

func invalid(format string, args ...any) error {
	return wire.Failf("InvalidParameterException", "", format, args...)
}

var (
	groupName  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	streamName = regexp.MustCompile(`^[^:*]{1,512}$`)
)

func (s *Service) arn(g *group) string {
	return "arn:aws:logs:" + s.region + ":" + s.account + ":log-group:" + g.name
}

// group finds the group of a call, by name or by the end of its ARN.
func (s *Service) group(c *wire.Call) (*group, error) {
	name := c.In.String("logGroupName")
	if id := c.In.String("logGroupIdentifier"); name == "" {
		name = id
		if _, rest, ok := strings.Cut(id, ":log-group:"); ok {
			name = strings.TrimSuffix(rest, ":*")
		}
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, invalid("1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
	}
	if g := s.groups[name]; g != nil {
		return g, nil
	}
	return nil, wire.Failf("ResourceNotFoundException", "", "The specified log group does not exist.")
}

func (s *Service) stream(c *wire.Call) (*stream, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	name := c.In.String("logStreamName")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if st := g.streams[name]; st != nil {
		return st, nil
	}
	return nil, wire.Failf("ResourceNotFoundException", "", "The specified log stream does not exist.")
}

func (s *Service) createGroup(c *wire.Call) (wire.Out, error) {
	name := c.In.String("logGroupName")
	switch {
	case c.In.Err() != nil:
		return nil, c.In.Err()
	case !groupName.MatchString(name):
		return nil, invalid("1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+")
	case s.groups[name] != nil:
		return nil, wire.Failf("ResourceAlreadyExistsException", "", "The specified log group already exists")
	case len(s.groups) >= maxStreams:
		return nil, wire.Failf("LimitExceededException", "", "Resource limit exceeded.")
	}
	s.groups[name] = &group{name: name, created: c.Now, streams: map[string]*stream{}}
	return nil, nil
}

func (s *Service) createStream(c *wire.Call) (wire.Out, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	name := c.In.String("logStreamName")
	switch {
	case !streamName.MatchString(name):
		return nil, invalid("1 validation error detected: Value at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*")
	case g.streams[name] != nil:
		return nil, wire.Failf("ResourceAlreadyExistsException", "", "The specified log stream already exists")
	case s.total >= maxStreams:
		return nil, wire.Failf("LimitExceededException", "", "Resource limit exceeded.")
	}
	s.total++
	g.streams[name] = &stream{name: name, created: c.Now}
	return nil, nil
}

func (s *Service) deleteGroup(c *wire.Call) (wire.Out, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	s.total -= len(g.streams)
	delete(s.groups, g.name)
	return nil, nil
}

func (s *Service) deleteStream(c *wire.Call) (wire.Out, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	st, err := s.stream(c)
	if err != nil {
		return nil, err
	}
	s.total--
	delete(g.streams, st.name)
	return nil, nil
}

func (s *Service) putRetention(c *wire.Call) (wire.Out, error) {
	days := int(c.In.Int("retentionInDays"))
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}, days) {
		return nil, invalid("retentionInDays %d is not one of the values there are", days)
	}
	g.retention = days
	return nil, nil
}

// next and from are nextToken of the describing calls and of FilterLogEvents.
func next(n int) string { return base64.RawURLEncoding.EncodeToString([]byte("at/" + strconv.Itoa(n))) }

func from(c *wire.Call) (int, error) {
	text := c.In.String("nextToken")
	if text == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	n, at := 0, err
	if at == nil {
		_, at = fmt.Sscanf(string(b), "at/%d", &n)
	}
	if at != nil || n < 0 {
		return 0, invalid("The specified nextToken is invalid.")
	}
	return n, nil
}

func (s *Service) describeGroups(c *wire.Call) (wire.Out, error) {
	prefix := c.In.String("logGroupNamePrefix")
	var names []string
	for name := range s.groups {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return page(c, "logGroups", names, func(name string) wire.Out {
		g := s.groups[name]
		stored := 0
		for _, st := range g.streams {
			for _, e := range st.events {
				stored += len(e.message) + overhead
			}
		}
		out := wire.Out{
			"logGroupName": name, "creationTime": g.created.UnixMilli(), "arn": s.arn(g) + ":*", "logGroupArn": s.arn(g),
			"storedBytes": stored, "metricFilterCount": 0, "logGroupClass": "STANDARD",
		}
		if g.retention > 0 {
			out["retentionInDays"] = g.retention
		}
		return out
	})
}

func (s *Service) describeStreams(c *wire.Call) (wire.Out, error) {
	g, err := s.group(c)
	if err != nil {
		return nil, err
	}
	prefix := c.In.String("logStreamNamePrefix")
	var names []string
	for name := range g.streams {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return page(c, "logStreams", names, func(name string) wire.Out {
		st := g.streams[name]
		out := wire.Out{
			"logStreamName": name, "creationTime": st.created.UnixMilli(), "arn": s.arn(g) + ":log-stream:" + name, "storedBytes": 0,
			"uploadSequenceToken": "not-used",
		}
		if n := len(st.events); n > 0 {
			out["firstEventTimestamp"], out["lastEventTimestamp"] = st.events[0].at, st.events[n-1].at
			out["lastIngestionTime"] = st.ingested.UnixMilli()
		}
		return out
	})
}

// page answers a describing call: 50 a page unless fewer are asked for.
func page(c *wire.Call, name string, names []string, describe func(string) wire.Out) (wire.Out, error) {
	size := 50
	if c.In.Has("limit") {
		size = int(c.In.Int("limit"))
	}
	at, err := from(c)
	if err == nil {
		err = c.In.Err()
	}
	switch {
	case err != nil:
		return nil, err
	case size < 1 || size > 50:
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50", size)
	}
	sort.Strings(names)
	at = min(at, len(names))
	end := min(at+size, len(names))
	list := []wire.Out{}
	for _, n := range names[at:end] {
		list = append(list, describe(n))
	}
	out := wire.Out{name: list}
	if end < len(names) {
		out["nextToken"] = next(end)
	}
	return out, nil
}
