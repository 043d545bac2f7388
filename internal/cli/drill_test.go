package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/drill"
)

func TestRegionOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://shop.auth.eu-west-1.amazoncognito.com/oauth2/token":        "eu-west-1",
		"https://x.execute-api.ap-northeast-2.amazonaws.com/prod":           "ap-northeast-2",
		"https://cognito-idp.us-gov-west-1.amazonaws.com/":                  "us-gov-west-1",
		"https://api.example.com/":                                          "",
		"https://eu-west-1.amazonaws.com.example.com/":                      "",
		"http://127.0.0.1:9000":                                             "",
		"https://shop.auth-fips.us-east-1.amazoncognito.com:443/oauth2/tok": "us-east-1",
	} {
		if got := regionOf(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestCategory(t *testing.T) {
	refresh, machine := "grant_type=refresh_token&refresh_token=x", "grant_type=client_credentials"
	if category(&refresh) != "UserAuthentication" || category(&machine) != "ClientAuthentication" || category(nil) != "ClientAuthentication" {
		t.Error("the wrong category")
	}
}

func TestLabClock(t *testing.T) {
	there := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for body, own := range map[string]bool{
		`{"now":"2030-01-01T00:00:00Z","speed":60}`: false, `{"now":"2030-01-01T00:00:00Z","speed":0}`: true, `{`: true, `{"speed":60}`: true,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		c := labClock(t.Context(), srv.URL)
		srv.Close()
		if c.Own() != own {
			t.Errorf("%s: its own: %v", body, c.Own())
		}
		// A busy machine may take its time: what matters is which clock it is.
		if ahead := c.Now().Sub(there); !own && (ahead < 0 || ahead > time.Hour || c.Speed() != 60) {
			t.Errorf("%s: %v, %v times", body, ahead, c.Speed())
		}
	}
	if !labClock(t.Context(), "http://127.0.0.1:1").Own() {
		t.Error("a clock of nobody")
	}
}

// TestGuideListsFindings holds that whoever looks a code up finds it.
func TestGuideListsFindings(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "drill.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range drill.Codes() {
		if !strings.Contains(string(text), c.Code+" "+c.Name) {
			t.Errorf("docs/drill.md has no %s %s", c.Code, c.Name)
		}
	}
}

func TestWebhook(t *testing.T) {
	h, err := listenWebhook("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	since := time.Now()
	post := func(body string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		return w.Code
	}
	if post("{") != http.StatusBadRequest {
		t.Error("what is no notification is taken")
	}
	post(`{"receiver":"pager","alerts":[{"status":"resolved","labels":{"alertname":"A"}},{"status":"firing","labels":{"alertname":"B"}}]}`)
	if _, _, ok := h.First("A", since); ok {
		t.Error("a resolved alert fires")
	}
	if at, receiver, ok := h.First("B", since); !ok || receiver != "pager" || at.Before(since.Add(-time.Second)) {
		t.Errorf("%v %q %v", at, receiver, ok)
	}
}

func TestTeller(t *testing.T) {
	var log, screen strings.Builder
	quiet, tty := &teller{w: &log}, &teller{w: &screen, tty: true}
	for _, w := range []*teller{quiet, tty} {
		w.tell("stage\x1b[31m", false)
		w.tell("waiting 1", true)
		w.tell("waiting 2", true)
		w.tell("next", false)
		w.done()
	}
	if got := log.String(); got != "stage\ufffd[31m\nnext\n" {
		t.Errorf("%q", got)
	}
	if got := screen.String(); got != "stage\ufffd[31m\nwaiting 1\r\x1b[Kwaiting 2\r\x1b[Knext\n" {
		t.Errorf("%q", got)
	}
}
