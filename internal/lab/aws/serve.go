package aws

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
	"github.com/weir-dev/weir/internal/lab/cognito"
	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
)

// The paths that are not AWS's, beside the one that LocalStack has for text messages.
const (
	clockPath      = "/_aws/clock"
	faultsPath     = "/_aws/faults"
	pendingPath    = "/_aws/sns/pending"
	deliveriesPath = "/_aws/sns/deliveries"
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Tick()
	if s.pool != nil && (r.URL.Path == cognito.TokenPath || strings.Contains(r.URL.Path, "/.well-known/")) {
		s.pool.ServeHTTP(w, r)
		return
	}
	s.stand.Begin()
	// AWS's clients take the time of day from here.
	w.Header().Set("Date", s.Now().Format(http.TimeFormat))
	if strings.HasPrefix(r.URL.Path, "/_aws/") {
		s.aside(w, r)
		return
	}
	c, err := wire.Read(r)
	c.Base = s.base(r)
	if err != nil {
		s.reply(w, r, c, stand.None, nil, err)
		return
	}
	op := s.ops[c.Service][c.Op]
	if op == nil {
		s.reply(w, r, c, stand.None, nil, unknown(c))
		return
	}
	s.call(w, r, c, op)
}

func unknown(c *wire.Call) error {
	if c.Protocol == wire.Query {
		return wire.Failf("InvalidAction", "", "The action %.100s is not valid for this web service", c.Op)
	}
	return wire.Fail(http.StatusBadRequest, "UnknownOperationException", "UnknownOperation", "this stand-in has no such operation")
}

func (s *Server) base(r *http.Request) string {
	if s.cfg.Base != "" {
		return s.cfg.Base
	}
	return "http://" + r.Host
}

// call carries out an operation, or what the script has instead.
func (s *Server) call(w http.ResponseWriter, r *http.Request, c *wire.Call, op wire.Op) {
	place := s.places[c.Op]
	if d := s.stand.Take(place, 1); !d.Allowed {
		s.reply(w, r, c, stand.None, nil, throttled(c))
		return
	}
	defer s.stand.Release(place, 1)
	fault := stand.None
	step, scripted := s.step(c.Op)
	if !scripted {
		fault = s.stand.Disturb(w, r)
	}
	switch {
	case fault == stand.Reset || fault == stand.Hang:
		return
	case step == Throttle:
		s.reply(w, r, c, fault, nil, throttled(c))
		return
	case step == Error || fault == stand.Error:
		s.reply(w, r, c, fault, nil, broken(c))
		return
	case step == Deny:
		s.reply(w, r, c, fault, nil, denied(c))
		return
	case step == Hang:
		<-r.Context().Done()
		s.stand.Abort()
	case step == Reset:
		s.stand.Cut(w)
		return
	}
	if c.Service == wire.SNS && c.Op == "Publish" && c.In.Has("PhoneNumber") {
		s.text(w, r, c)
		return
	}
	c.Now = s.Now()
	out, err := op(c)
	if step == Lost {
		s.stand.Cut(w)
		return
	}
	s.reply(w, r, c, fault, out, err)
}

// step is what happens to a call, by the script or by the rates.
func (s *Server) step(op string) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if step, ok := s.script.next(op); ok {
		return step, true
	}
	if s.cfg.ThrottleRate == 0 && s.cfg.LostRate == 0 {
		return OK, false
	}
	switch u := s.rates.Float64(); {
	case u < s.cfg.ThrottleRate:
		return Throttle, true
	case u < s.cfg.ThrottleRate+s.cfg.LostRate:
		return Lost, true
	}
	return OK, false
}

// SetScript replaces what is left of the script.
func (s *Server) SetScript(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script.clone()
}

// throttled is each service's own refusal, all of them with status 400.
func throttled(c *wire.Call) error {
	switch c.Service {
	case wire.Logs:
		return wire.Failf("ThrottlingException", "", "Rate exceeded")
	case wire.SQS:
		return wire.Failf("RequestThrottled", "", "Rate exceeded")
	}
	return wire.Failf("Throttling", "", "Rate exceeded")
}

// denied is what IAM answers for each service ("Troubleshoot access denied error
// messages", IAM user guide, read 2026-11), as far as the words go that are the same.
func denied(c *wire.Call) error {
	who, action := "User: arn:aws:iam::"+DefaultAccount+":user/weir-lab", map[string]string{wire.CloudWatch: "cloudwatch", wire.Logs: "logs", wire.SNS: "sns", wire.SQS: "sqs", wire.STS: "sts"}[c.Service]+":"+c.Op
	text := who + " is not authorized to perform: " + action + " because no identity-based policy allows the " + action + " action"
	switch c.Service {
	case wire.SNS:
		return wire.Fail(http.StatusForbidden, "AuthorizationErrorException", "AuthorizationError", text)
	case wire.Logs:
		return wire.Failf("AccessDeniedException", "", "%s", text)
	}
	return wire.Fail(http.StatusForbidden, "AccessDenied", "AccessDenied", text)
}

// broken is each service's own internal error.
func broken(c *wire.Call) error {
	const status = http.StatusInternalServerError
	switch c.Service {
	case wire.CloudWatch:
		return wire.Fail(status, "InternalServiceFault", "InternalServiceError", "Internal service error")
	case wire.Logs:
		return wire.Fail(status, "ServiceUnavailableException", "ServiceUnavailableException", "The service cannot complete the request.")
	case wire.SQS:
		return wire.Fail(status, "InternalError", "InternalError", "We encountered an internal error. Please try again.")
	}
	return wire.Fail(status, "InternalErrorException", "InternalError", "Internal service error")
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request, c *wire.Call, fault stand.Fault, out wire.Out, err error) {
	status, body := c.Answer(w.Header(), out, err)
	s.stand.Answer(w, r, fault, status, body)
}

// text hands a message for a phone to the stand-in that has text messages, and
// counts its answer here as well.
func (s *Server) text(w http.ResponseWriter, r *http.Request, c *wire.Call) {
	again := r.Clone(r.Context())
	again.Method, again.URL.Path, again.URL.RawQuery = http.MethodPost, "/", ""
	again.Body = io.NopCloser(strings.NewReader(c.Form.Encode()))
	s.sms.ServeHTTP(&counted{ResponseWriter: w, count: s.stand.Count}, again)
}

// counted counts the answers that pass through it.
type counted struct {
	http.ResponseWriter
	count func(int)
}

func (c *counted) WriteHeader(status int) {
	c.count(status)
	c.ResponseWriter.WriteHeader(status)
}

// aside serves the paths that are not AWS's.
func (s *Server) aside(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v any) {
		body, _ := json.Marshal(v) // texts and numbers
		w.Header().Set("Content-Type", "application/json")
		s.stand.Answer(w, r, stand.None, status, append(body, '\n'))
	}
	wrong := func(text string) { answer(http.StatusBadRequest, map[string]string{"error": text}) }
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.URL.Path == sns.SentPath:
		s.sms.ServeHTTP(&counted{ResponseWriter: w, count: s.stand.Count}, r)
	case r.URL.Path == clockPath && (get || r.Method == http.MethodPost):
		if text := r.URL.Query().Get("advance"); text != "" && !get {
			d, err := time.ParseDuration(text)
			if err != nil || d < 0 || d > 6*time.Hour {
				wrong("advance: want a duration up to 6h, such as 5m")
				return
			}
			s.Leap(d)
		}
		answer(http.StatusOK, map[string]any{"now": s.Now(), "speed": s.clock.speed})
	case r.URL.Path == faultsPath && r.Method == http.MethodPut:
		text, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		script := Script{}
		if err == nil && strings.TrimSpace(string(text)) != "" {
			script, err = ParseScript(string(text))
		}
		for op := range script {
			if op != anyOp && !s.knows(op) {
				wrong("there is no operation " + op)
				return
			}
		}
		if err != nil {
			wrong(err.Error())
			return
		}
		s.SetScript(script)
		answer(http.StatusOK, map[string]int{"operations": len(script)})
	case r.URL.Path == pendingPath && get:
		answer(http.StatusOK, s.topics.Pending())
	case r.URL.Path == deliveriesPath && get:
		answer(http.StatusOK, s.topics.Deliveries())
	default:
		answer(http.StatusNotFound, map[string]string{"error": "there are GET and POST " + clockPath + ", PUT " + faultsPath + ", GET " + pendingPath + " and GET " + deliveriesPath})
	}
}
