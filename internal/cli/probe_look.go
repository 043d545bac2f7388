package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/hit"
)

// answerShape is what an answer looks like.
type answerShape struct {
	status int
	kind   string // media type
	keys   string // of a JSON object, sorted
	wrong  string // a field of it that says that something failed, with its value; "" for none
}

func (s answerShape) String() string {
	out := fmt.Sprintf("status %d", s.status)
	if s.kind != "" {
		out += ", " + s.kind
	}
	if s.keys != "" {
		out += " with " + s.keys
	}
	if s.wrong != "" {
		out += ", where " + s.wrong
	}
	return out
}

// tellsError tells whether a JSON object has a field of an error that the first had not,
// or one that says that something failed where the first's said that all was well.
func tellsError(s, first answerShape) bool {
	if s.wrong != "" && first.wrong == "" {
		return true
	}
	for k := range strings.SplitSeq(s.keys, " ") {
		if errorFields[strings.ToLower(k)] && !slices.Contains(strings.Fields(first.keys), k) {
			return true
		}
	}
	return false
}

// complains says how an answer with a status of success tells that something is wrong,
// "" where it does not: a field of an error that has a value, or a short text that
// speaks of a limit.
func complains(a *hit.Answer) string {
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 || len(body) > 2000 {
		return ""
	}
	if body[0] == '{' {
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) == nil {
			for _, k := range slices.Sorted(maps.Keys(fields)) {
				if !errorFields[strings.ToLower(k)] {
					continue
				}
				switch string(fields[k]) {
				case "null", "false", "0", `""`, "[]", "{}":
				default:
					return fmt.Sprintf("a field %q", k)
				}
			}
			if what, number := failing(fields); what != "" && !number { // some number success otherwise
				return "a field that tells of a failure: " + what
			}
		}
	}
	if text := limitText(body); text != "" {
		return fmt.Sprintf("a text that says %q", text)
	}
	return ""
}

// limitText returns what a body says of a limit, "" where it says nothing of the kind.
func limitText(body []byte) string {
	low := bytes.ToLower(body)
	for _, text := range []string{"too many requests", "rate limit exceeded", "ratelimit exceeded", "rate limited", "quota exceeded", "limit reached", "try again later", "slow down"} {
		if bytes.Contains(low, []byte(text)) {
			return text
		}
	}
	return ""
}

// saySo is the flag that takes answers like a for refusals, where others with the same
// status look like first. It shows nothing of the body but words that are known, numbers
// that tell of failure, and names of fields.
func saySo(a *hit.Answer, first answerShape) string {
	text, s := limitText(a.Body), shapeOf(a)
	if text == "" && s.wrong != "" {
		name, value, _ := strings.Cut(s.wrong, " is ")
		text = string(regexp.MustCompile(`"` + regexp.QuoteMeta(name) + `"\s*:\s*` + regexp.QuoteMeta(value)).Find(a.Body))
	}
	for k := range strings.FieldsSeq(s.keys) {
		if had := slices.Contains(strings.Fields(first.keys), k); text == "" && !had && (first.keys != "" || errorFields[strings.ToLower(k)]) {
			text = `"` + k + `"`
		}
	}
	if text == "" || strings.ContainsAny(text, "'") {
		return fmt.Sprintf("--throttled '%d:TEXT' with a text of that answer", a.Status)
	}
	return fmt.Sprintf("--throttled '%d:%s'", a.Status, text)
}

// failing returns a field of a JSON object that says that something failed, with its
// value, and whether that is a number, whose meaning is the service's own; "" for none.
func failing(fields map[string]json.RawMessage) (what string, number bool) {
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		name, value := strings.ToLower(k), string(fields[k])
		switch {
		case len(k) > 40 || len(value) > 40 || strings.Contains(k, " is "):
		case verdictFields[name] && value == "false":
			return k + " is false", false
		case stateFields[name] && failedStates[strings.ToLower(value)]:
			return k + " is " + value, false
		case codeFields[name]:
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err == nil && n != 0 && n != 1 && n/100 != 2 {
				what, number = k+" is "+value, true // a plain word would say more
			}
		}
	}
	return what, number
}

// Names of fields of a JSON object that say how it went, and what they hold then.
var (
	verdictFields = map[string]bool{"ok": true, "success": true, "succeeded": true, "successful": true}
	stateFields   = map[string]bool{"status": true, "state": true, "result": true, "outcome": true}
	failedStates  = map[string]bool{`"error"`: true, `"fail"`: true, `"failed"`: true, `"failure"`: true, `"throttled"`: true, `"rate_limited"`: true, `"ratelimited"`: true, `"limited"`: true, `"denied"`: true, `"rejected"`: true, `"busy"`: true}
	codeFields    = map[string]bool{"code": true, "errcode": true, "err_code": true, "errno": true, "error_code": true, "ret": true, "retcode": true, "ret_code": true, "status": true, "status_code": true, "statuscode": true}
)

// errorFields are names of fields of a JSON object that tell of an error.
var errorFields = map[string]bool{"error": true, "errors": true, "error_code": true, "errorcode": true, "error_description": true, "fault": true, "exception": true, "err": true}

// isError tells whether a JSON object has become one that tells of an error.
func isError(s, first answerShape) bool {
	if tellsError(s, first) {
		return true
	}
	if s.keys == "" || first.keys == "" {
		return s.keys != first.keys // an object, and now none; or the other way round
	}
	for k := range strings.SplitSeq(s.keys, " ") {
		if slices.Contains(strings.Fields(first.keys), k) {
			return false
		}
	}
	return true // not one field is the same
}

func shapeOf(a *hit.Answer) answerShape {
	s := answerShape{status: a.Status}
	if v, ok := a.Fields.Find("content-type"); ok {
		kind, _, _ := strings.Cut(string(v), ";")
		s.kind = strings.ToLower(strings.TrimSpace(kind))
	}
	body := bytes.TrimSpace(a.Body)
	if len(body) > 0 && body[0] == '{' && len(body) < probeBody {
		var keys map[string]json.RawMessage
		if json.Unmarshal(body, &keys) == nil {
			var names []string
			for k := range keys {
				if len(k) <= 40 && len(names) < 12 {
					names = append(names, k)
				}
			}
			slices.Sort(names)
			s.keys = strings.Join(names, " ")
			s.wrong, _ = failing(keys)
		}
	}
	return s
}

// leadsTo is where a redirect leads, without what may be a secret; "" for other answers.
func leadsTo(a *hit.Answer) string {
	if to, ok := a.Fields.Find("location"); ok && a.Status/100 == 3 {
		return maskURL(string(to))
	}
	return ""
}

// probeBody is how much of an answer's body is looked at.
const probeBody = 64 << 10

// isCaptcha tells an answer that wants to see a person.
func isCaptcha(a *hit.Answer) bool {
	if a.Fields.Has("Cf-Mitigated") {
		return true
	}
	low := bytes.ToLower(a.Body)
	for _, word := range []string{"captcha", "cf-chl", "cf_chl", "are you a human", "are you a robot", "unusual traffic"} {
		if bytes.Contains(low, []byte(word)) {
			return true
		}
	}
	return false
}
