package lab

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/lab/sms"
	"github.com/weir-dev/weir/internal/lab/sns"
)

// TestSMSEndToEnd logs in over a socket, with a jar as browsers have one, and meets
// the limit that was asked for.
func TestSMSEndToEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.db")
	s := start(t, Config{Standin: "sms", Options: Options{Quota: 1, SMS: sms.Config{Database: path, Pool: 2}, SNS: sns.Config{SpendLimit: 5}}})
	c := client(t)
	var err error
	if c.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	post := func(path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("POST", s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		base, _ := url.Parse(s.URL())
		for _, k := range c.Jar.Cookies(base) {
			if k.Name == "csrftoken" {
				req.Header.Set("X-CSRFToken", k.Value)
			}
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	steps := []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/customers", `{}`, 403, "Authentication credentials were not provided."},
		{"/api/auth/login", `{"username":"admin","password":"password123"}`, 200, `"full_name":"管理者ユーザー"`},
		{"/api/customers", `{"phone_number":"09012345678"}`, 201, `{"id":1,`},
		{"/api/sms/send", `{}`, 400, `"token":["This field is required."]`},
		{"/api/sms/send", `{}`, 429, "Request was throttled. Expected available in 1 second."},
		{"/api/auth/logout", "", 204, ""},
		{"/api/customers", `{}`, 403, "Authentication credentials were not provided."},
	}
	for _, k := range steps {
		if status, body := post(k.path, k.body); status != k.status || !strings.Contains(body, k.want) {
			t.Errorf("POST %s %s: %d %s, want %d with %q", k.path, k.body, status, body, k.status, k.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	st := s.Stats(-1)
	if len(st.Categories) != 2 || st.Categories[1].Category != "send by admin" || st.Categories[1].CallCount != 2 || st.Categories[1].ThrottleCount != 1 || st.Categories[1].Limit != 1 {
		t.Errorf("counted %+v", st)
	}
	// Closing the server has closed the database: its journal is gone.
	if left, _ := filepath.Glob(path + "-*"); left != nil {
		t.Errorf("the database was left open: %v", left)
	}
}

func TestSNSEndToEnd(t *testing.T) {
	s := start(t, Config{Standin: "sns", Options: Options{Quota: 1}})
	c := client(t)
	var codes []int
	for range 2 {
		resp, err := c.PostForm(s.URL(), url.Values{"Action": {"Publish"}, "PhoneNumber": {"+819012345678"}, "Message": {"x"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		codes = append(codes, resp.StatusCode)
	}
	if codes[0] != 200 || codes[1] != 400 {
		t.Errorf("answers %v, want one sent and one refused with 400", codes)
	}
	if status, body := fetch(t, c, s.URL()+sns.SentPath); status != 200 || !strings.Contains(body, "+819012345678") {
		t.Errorf("%d %s", status, body)
	}
}
