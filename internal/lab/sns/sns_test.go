package sns

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/limit"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func newService(t testing.TB, cfg Config) *Service {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func do(s *Service, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

// said is either of the protocol's answers.
type said struct {
	XMLName   xml.Name
	MessageID string `xml:"PublishResult>MessageId"`
	Request   string `xml:"ResponseMetadata>RequestId"`
	Failed    string `xml:"RequestId"`
	Type      string `xml:"Error>Type"`
	Code      string `xml:"Error>Code"`
	Message   string `xml:"Error>Message"`
}

func read(t testing.TB, w *httptest.ResponseRecorder) said {
	t.Helper()
	var a said
	if err := xml.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if id := w.Header().Get("x-amzn-RequestId"); len(id) != 36 || id != a.Request+a.Failed || w.Header().Get("Content-Type") != "text/xml" || a.XMLName.Space != namespace {
		t.Errorf("headers %v, answer %+v", w.Header(), a)
	}
	return a
}

// TestBotocore answers the request that boto3 sends, as it was recorded; that boto3
// understands the answer was tried by hand with the same version.
func TestBotocore(t *testing.T) {
	raw, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var rec struct {
		Method, URL, Body string
		Headers           map[string]string
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		t.Fatal(err)
	}
	s := newService(t, Config{})
	r := httptest.NewRequest(rec.Method, rec.URL, strings.NewReader(rec.Body))
	for k, v := range rec.Headers {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	a := read(t, w)
	if w.Code != 200 || len(a.MessageID) != 36 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	sent := s.Sent()
	if len(sent) != 1 || sent[0].MessageId != a.MessageID || sent[0].PhoneNumber != "+819012345678" || sent[0].Message != "ご登録ありがとうございます。" ||
		sent[0].MessageAttributes["AWS.SNS.SMS.SMSType"] != (Attribute{"String", "Transactional"}) {
		t.Errorf("sent %+v", sent)
	}
}

func TestAnswers(t *testing.T) {
	const ok = "Action=Publish&PhoneNumber=%2B819012345678&Message=hello"
	attribute := func(name, kind, value string) string {
		return ok + "&MessageAttributes.entry.1.Name=" + name + "&MessageAttributes.entry.1.Value.DataType=" + kind + "&MessageAttributes.entry.1.Value.StringValue=" + value
	}
	cases := []struct {
		name, method, target, body string
		status                     int
		code, message              string
	}{
		{"right", "POST", "/", ok, 200, "", ""},
		{"by GET", "GET", "/?" + ok, "", 200, "", ""},
		{"without a plus", "POST", "/", "Action=Publish&PhoneNumber=819012345678&Message=x", 200, "", ""},
		{"transactional", "POST", "/", attribute("AWS.SNS.SMS.SMSType", "String", "Transactional"), 200, "", ""},
		{"promotional", "POST", "/", attribute("AWS.SNS.SMS.SMSType", "String", "Promotional"), 200, "", ""},
		{"1600 characters", "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=" + strings.Repeat("%E3%81%82", 1600), 200, "", ""},

		{"1601 characters", "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=" + strings.Repeat("a", 1601), 400, "InvalidParameter", "Message too long"},
		{"no action", "POST", "/", "", 400, "MissingAction", ""},
		{"another action", "POST", "/", "Action=Sub%0a<b>", 400, "InvalidAction", `"Sub\n<b>"`},
		{"no message", "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678", 400, "ValidationError", "Value null at 'message'"},
		{"empty message", "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=", 400, "InvalidParameter", "Empty message"},
		{"not UTF-8", "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=%FF", 400, "InvalidParameter", "not UTF-8"},
		{"no target", "POST", "/", "Action=Publish&Message=x", 400, "InvalidParameter", "TopicArn or TargetArn Reason: no value for required parameter"},
		{"two targets", "POST", "/", ok + "&TopicArn=a", 400, "InvalidParameter", "only one"},
		{"a topic", "POST", "/", "Action=Publish&Message=x&TopicArn=arn", 404, "NotFound", "Topic does not exist"},
		{"letters", "POST", "/", "Action=Publish&Message=x&PhoneNumber=abcdefgh", 400, "InvalidParameter", "PhoneNumber Reason: abcdefgh is not valid to publish to"},
		{"a national number", "POST", "/", "Action=Publish&Message=x&PhoneNumber=09012345678", 400, "InvalidParameter", "is not valid to publish to"},
		{"16 digits", "POST", "/", "Action=Publish&Message=x&PhoneNumber=%2B8190123456781234", 400, "InvalidParameter", "is not valid to publish to"},
		{"six digits", "POST", "/", "Action=Publish&Message=x&PhoneNumber=%2B819012", 400, "InvalidParameter", "is not valid to publish to"},
		{"a space for the plus", "POST", "/", "Action=Publish&Message=x&PhoneNumber=+819012345678", 400, "InvalidParameter", "is not valid to publish to"},
		{"an attribute without type", "POST", "/", attribute("a", "", "b"), 400, "ParameterValueInvalid", "'a'"},
		{"an unknown SMS type", "POST", "/", attribute("AWS.SNS.SMS.SMSType", "String", "Loud"), 400, "InvalidParameter", "Loud"},
		{"broken escape", "POST", "/", "Action=%zz", 400, "MalformedQueryString", ""},
		{"too long", "POST", "/", strings.Repeat("a", maxBody+1), 413, "RequestEntityTooLarge", ""},
		{"PUT", "PUT", "/", ok, 405, "MethodNotAllowed", ""},
		{"elsewhere", "POST", "/x", ok, 404, "NotFound", ""},
		{"POST to what was sent", "POST", SentPath, "", 405, "MethodNotAllowed", ""},
	}
	s := newService(t, Config{})
	ran := 0
	for _, c := range cases {
		ran++
		w := do(s, c.method, c.target, c.body)
		a := read(t, w)
		if w.Code != c.status || a.Code != c.code || !strings.Contains(a.Message, c.message) {
			t.Errorf("%s: %d %+v, want %d %s %q", c.name, w.Code, a, c.status, c.code, c.message)
		}
		if good := c.status == 200; good != (len(a.MessageID) == 36) || good != (a.Type == "") {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	if ran != 27 {
		t.Errorf("ran %d cases, want 27", ran)
	}
	if st := s.Stand().Stats(0); st.Requests != 27 || st.Answers["200"] != 6 || len(s.Sent()) != 6 {
		t.Errorf("counted %+v", st)
	}
}

func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, Config{Rate: &limit.Policy{Algorithm: limit.SlidingLog, Limit: 2, Window: time.Second}})
		var got []string
		for range 4 {
			w := do(s, "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=x")
			got = append(got, fmt.Sprint(w.Code, read(t, w).Code, w.Header().Get("Retry-After")))
		}
		time.Sleep(time.Second)
		got = append(got, fmt.Sprint(do(s, "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=x").Code))
		if want := "[200 200 400Throttling 400Throttling 200]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %v", got, want)
		}
		if c := s.Stand().Stats(0).Categories[0]; c.Category != "Publish" || c.CallCount != 5 || c.ThrottleCount != 2 {
			t.Errorf("counted %+v", c)
		}
	})
}

// TestSpend holds that a used-up spending quota is not told to the publisher, and
// that a new month gives it back.
func TestSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, Config{SpendLimit: 0.3, Price: 0.1})
		publish := func(text string) Message {
			w := do(s, "POST", "/", url.Values{"Action": {"Publish"}, "PhoneNumber": {"+819012345678"}, "Message": {text}}.Encode())
			if w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			sent := s.Sent()
			return sent[len(sent)-1]
		}
		for n := range 3 {
			if m := publish("x"); m.Status != "SUCCESS" {
				t.Errorf("message %d: %+v", n+1, m)
			}
		}
		if m := publish("x"); m.Status != "FAILURE" || m.ProviderResponse != "No quota left for account" || m.PriceInUSD != 0 {
			t.Errorf("the fourth: %+v", m)
		}
		if got := s.Totals(); got.Accepted != 4 || got.Delivered != 3 || math.Abs(got.Spent-0.3) > 1e-9 {
			t.Errorf("totals %+v", got)
		}
		time.Sleep(31 * 24 * time.Hour)
		if m := publish(strings.Repeat("あ", 134)); m.Status != "SUCCESS" || m.Parts != 2 {
			t.Errorf("a month later: %+v", m)
		}
		if m := publish(strings.Repeat("あ", 134)); m.Status != "FAILURE" {
			t.Errorf("two parts for the price of one: %+v", m)
		}
	})
}

func TestParts(t *testing.T) {
	cases := []struct {
		text string
		want int
	}{
		{"", 1}, {strings.Repeat("a", 160), 1}, {strings.Repeat("a", 161), 2}, {strings.Repeat("a", 306), 2}, {strings.Repeat("a", 307), 3},
		{strings.Repeat("あ", 70), 1}, {strings.Repeat("あ", 71), 2}, {strings.Repeat("あ", 134), 2}, {strings.Repeat("あ", 135), 3},
		{strings.Repeat("€", 80), 1}, {strings.Repeat("€", 81), 2}, {strings.Repeat("😀", 35), 1}, {strings.Repeat("😀", 36), 2},
	}
	for _, c := range cases {
		if got := parts(c.text); got != c.want {
			t.Errorf("parts(%d of %.3q) = %d, want %d", len([]rune(c.text)), c.text, got, c.want)
		}
	}
}

func TestSentIsBounded(t *testing.T) {
	s := newService(t, Config{Keep: 3})
	for n := range 5 {
		do(s, "POST", "/", fmt.Sprintf("Action=Publish&PhoneNumber=%%2B81901234567%d&Message=m%d", n, n))
	}
	show := func(query string) string {
		var a struct {
			Messages map[string][]Message `json:"sms_messages"`
		}
		w := do(s, "GET", SentPath+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		var text []string
		for _, list := range a.Messages {
			for _, m := range list {
				text = append(text, m.Message)
			}
		}
		return fmt.Sprint(len(text), strings.Join(text, ""))
	}
	var order []string
	for _, m := range s.Sent() {
		order = append(order, m.Message)
	}
	if fmt.Sprint(order) != "[m2 m3 m4]" {
		t.Errorf("kept %v", order)
	}
	if got := show("?phoneNumber=%2B819012345673"); got != "1m3" {
		t.Errorf("by number: %s", got)
	}
	if w := do(s, "DELETE", SentPath, ""); w.Code != 204 {
		t.Errorf("DELETE: %d", w.Code)
	}
	if got := show(""); got != "0" || s.Totals().Accepted != 5 {
		t.Errorf("after DELETE: %s, %+v", got, s.Totals())
	}
}

func TestManyAtOnce(t *testing.T) {
	s := newService(t, Config{Keep: 10})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				do(s, "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=x")
				do(s, "GET", SentPath, "")
			}
		})
	}
	wg.Wait()
	if got := s.Totals(); got.Accepted != 400 || got.Delivered != 400 || len(s.Sent()) != 10 {
		t.Errorf("%+v", got)
	}
}

func TestFaults(t *testing.T) {
	s := newService(t, Config{Faults: stand.Faults{Script: []stand.Fault{stand.Error, stand.Slow}, SlowFor: time.Millisecond}})
	w := do(s, "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=x")
	if a := read(t, w); w.Code != 500 || a.Code != "InternalError" || a.Type != "Receiver" || len(s.Sent()) != 0 {
		t.Errorf("%d %+v", w.Code, a)
	}
	if w := do(s, "POST", "/", "Action=Publish&PhoneNumber=%2B819012345678&Message=x"); w.Code != 200 || len(s.Sent()) != 1 {
		t.Errorf("slow: %d", w.Code)
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct {
		cfg  Config
		want string
	}{
		{Config{SpendLimit: -1}, "spend limit -1"}, {Config{SpendLimit: math.NaN()}, "spend limit NaN"}, {Config{Price: -1}, "price -1"},
		{Config{Keep: -1}, "keep -1"}, {Config{Rate: &limit.Policy{}}, "quota Publish"}, {Config{Latency: stand.Latency{Base: -1}}, "latency"},
	}
	for _, c := range cases {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v): %v, want %q", c.cfg, err, c.want)
		}
	}
}

func FuzzPublish(f *testing.F) {
	for _, s := range []string{"Action=Publish&PhoneNumber=%2B819012345678&Message=x", "Action=Publish&MessageAttributes.entry.1.Name=a", "Action=<&", "%", "Action=Publish&Message=%ff&PhoneNumber=%2B1"} {
		f.Add(s)
	}
	s := newService(f, Config{})
	f.Fuzz(func(t *testing.T, body string) {
		w := do(s, http.MethodPost, "/", body)
		if a := read(t, w); (w.Code == 200) != (a.MessageID != "") || w.Code != 200 && a.Code == "" {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}
