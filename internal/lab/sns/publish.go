package sns

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/lab/stand"
)

const (
	namespace = "http://sns.amazonaws.com/doc/2010-03-31/"

	// maxBody bounds a request: a message of 256 KiB, percent-encoded.
	maxBody = 1 << 20

	// maxText is the total size limit for one SMS Publish, in characters (API
	// reference, Publish, Message).
	maxText = 1600
)

// failure is an answer of the Query protocol that is an error.
type failure struct {
	status        int
	code, message string
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.stand.Begin()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case r.URL.Path == SentPath:
		s.sent(w, r)
	case err != nil || len(body) > maxBody:
		s.fail(w, r, stand.None, failure{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is longer than 1 MiB, or broke off"})
	case r.URL.Path != "/":
		s.fail(w, r, stand.None, failure{http.StatusNotFound, "NotFound", "The SNS stand-in serves POST / and GET " + SentPath})
	case r.Method != http.MethodPost && r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET, POST")
		s.fail(w, r, stand.None, failure{http.StatusMethodNotAllowed, "MethodNotAllowed", "Use POST"})
	default:
		s.query(w, r, body)
	}
}

// query carries out an action. A signature is accepted and not verified.
func (s *Service) query(w http.ResponseWriter, r *http.Request, body []byte) {
	// A GET with the parameters in its query is the protocol's older form.
	text := string(body)
	if r.Method == http.MethodGet {
		text = r.URL.RawQuery
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		s.fail(w, r, stand.None, failure{http.StatusBadRequest, "MalformedQueryString", "The query string contains a syntax error"})
		return
	}
	switch action := form.Get("Action"); action {
	case "Publish":
	case "":
		s.fail(w, r, stand.None, failure{http.StatusBadRequest, "MissingAction", "The request is missing an action or a required parameter"})
		return
	default:
		s.fail(w, r, stand.None, failure{http.StatusBadRequest, "InvalidAction", fmt.Sprintf("The action %s is not one of this stand-in, which has Publish", strconv.Quote(cut(action)))})
		return
	}
	// The limit comes first, as the front door's: a refusal stays cheap.
	if d := s.stand.Take(0, 1); !d.Allowed {
		s.fail(w, r, stand.None, failure{http.StatusBadRequest, "Throttling", "Rate exceeded"})
		return
	}
	defer s.stand.Release(0, 1)
	m, wrong := message(form)
	if wrong != nil {
		s.fail(w, r, stand.None, *wrong)
		return
	}
	fault := s.stand.Disturb(w, r)
	switch fault {
	case stand.Reset, stand.Hang:
		return
	case stand.Error:
		s.fail(w, r, stand.None, failure{http.StatusInternalServerError, "InternalError", "Internal service error"})
		return
	}
	m.MessageId = uuid()
	s.accept(m, s.stand.Now())
	s.answer(w, r, fault, http.StatusOK, "<PublishResponse xmlns=\""+namespace+"\">\n  <PublishResult>\n    <MessageId>"+m.MessageId+
		"</MessageId>\n  </PublishResult>\n  <ResponseMetadata>\n    <RequestId>"+requestID(w)+"</RequestId>\n  </ResponseMetadata>\n</PublishResponse>\n")
}

// message reads and checks the parameters of a Publish. The messages of AWS were
// taken from published error reports; the one for two targets is ours.
func message(form url.Values) (Message, *failure) {
	invalid := func(text string) (Message, *failure) {
		return Message{}, &failure{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: " + text}
	}
	m := Message{PhoneNumber: form.Get("PhoneNumber"), Message: form.Get("Message"), MessageAttributes: map[string]Attribute{}}
	topic := form.Get("TopicArn") + form.Get("TargetArn")
	switch {
	case !form.Has("Message"):
		return Message{}, &failure{http.StatusBadRequest, "ValidationError", "1 validation error detected: Value null at 'message' failed to satisfy constraint: Member must not be null"}
	case topic != "" && m.PhoneNumber != "":
		return invalid("PhoneNumber Reason: only one of TopicArn, TargetArn and PhoneNumber can be given")
	case topic != "":
		return Message{}, &failure{http.StatusNotFound, "NotFound", "Topic does not exist"}
	case m.PhoneNumber == "":
		return invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case !e164(m.PhoneNumber):
		return invalid("PhoneNumber Reason: " + cut(m.PhoneNumber) + " is not valid to publish to")
	case m.Message == "":
		return invalid("Empty message")
	case !utf8.ValidString(m.Message):
		return invalid("Message Reason: not UTF-8")
	case utf8.RuneCountInString(m.Message) > maxText:
		return invalid("Message too long")
	}
	for n := 1; ; n++ {
		entry := "MessageAttributes.entry." + strconv.Itoa(n) + "."
		name := form.Get(entry + "Name")
		if name == "" {
			return m, nil
		}
		a := Attribute{DataType: form.Get(entry + "Value.DataType"), StringValue: form.Get(entry + "Value.StringValue")}
		if a.DataType == "" {
			return Message{}, &failure{http.StatusBadRequest, "ParameterValueInvalid", "The message attribute '" + cut(name) + "' must contain non-empty message attribute type."}
		}
		if name == "AWS.SNS.SMS.SMSType" && a.StringValue != "Promotional" && a.StringValue != "Transactional" {
			return invalid("SMSType Reason: " + cut(a.StringValue) + " is not Promotional or Transactional")
		}
		m.MessageAttributes[name] = a
	}
}

// e164 says whether AWS would publish to a number: up to 15 digits with a country
// code, the plus being optional there.
func e164(number string) bool {
	digits := strings.TrimPrefix(number, "+")
	if len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// parts is how many messages a phone gets: 160 characters of the GSM alphabet or
// 70 others fit into one, 153 or 67 into each of several (3GPP TS 23.038, 23.040).
func parts(text string) int {
	single, each, units := 160, 153, 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsm, r):
			units++
		case strings.ContainsRune(gsmExtension, r):
			units += 2
		default:
			single = 0
		}
	}
	if single == 0 {
		single, each, units = 70, 67, 0
		for _, r := range text {
			units++
			if r > 0xffff {
				units++
			}
		}
	}
	if units <= single {
		return 1
	}
	return (units + each - 1) / each
}

const (
	gsm = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// sent shows or forgets what was published.
func (s *Service) sent(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodDelete:
		s.Forget()
		s.stand.Count(http.StatusNoContent)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, DELETE")
		s.fail(w, r, stand.None, failure{http.StatusMethodNotAllowed, "MethodNotAllowed", "Use GET, or DELETE to forget"})
		return
	}
	only := r.URL.Query().Get("phoneNumber")
	answer := struct {
		Messages map[string][]Message `json:"sms_messages"`
		Region   string               `json:"region"`
	}{map[string][]Message{}, region}
	for _, m := range s.Sent() {
		if only == "" || only == m.PhoneNumber {
			answer.Messages[m.PhoneNumber] = append(answer.Messages[m.PhoneNumber], m)
		}
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		s.fail(w, r, stand.None, failure{http.StatusInternalServerError, "InternalError", "cannot be shown"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.stand.Answer(w, r, stand.None, http.StatusOK, body.Bytes())
}

func (s *Service) fail(w http.ResponseWriter, r *http.Request, fault stand.Fault, f failure) {
	kind := "Sender"
	if f.status >= 500 {
		kind = "Receiver"
	}
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(f.message)) // a bytes.Buffer takes everything
	s.answer(w, r, fault, f.status, "<ErrorResponse xmlns=\""+namespace+"\">\n  <Error>\n    <Type>"+kind+"</Type>\n    <Code>"+f.code+
		"</Code>\n    <Message>"+text.String()+"</Message>\n  </Error>\n  <RequestId>"+requestID(w)+"</RequestId>\n</ErrorResponse>\n")
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, fault stand.Fault, status int, body string) {
	w.Header().Set("Content-Type", "text/xml")
	s.stand.Answer(w, r, fault, status, []byte(body))
}

// requestID makes the identifier of a request and puts it into the header too.
func requestID(w http.ResponseWriter) string {
	id := uuid()
	w.Header().Set("x-amzn-RequestId", id)
	return id
}

// uuid is a random one (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// cut bounds what an error repeats of a request.
func cut(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
