package cognito

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzForm holds the parser against url.ParseQuery: where both read a form, each
// parameter that came once has the same value; and what has a parameter of ours
// twice is refused.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"grant_type=client_credentials", "grant_type=a&grant_type=b", "a=%zz", "client_id=%41+b&scope=x%20y&&=",
		"code", "%", "%4", "refresh_token=%00", "grant%5ftype=x", strings.Repeat("a=1&", 100),
	} {
		f.Add(s)
	}
	names := []string{"grant_type", "client_id", "client_secret", "scope", "refresh_token", "code", "redirect_uri"}
	f.Fuzz(func(t *testing.T, text string) {
		var got form
		err := got.parse([]byte(text))
		want, wantErr := url.ParseQuery(text)
		if strings.Contains(text, ";") || wantErr != nil {
			return // ParseQuery refuses semicolons, and values of parameters we skip
		}
		for _, n := range names {
			if len(want[n]) > 1 {
				if err == nil {
					t.Fatalf("%q: %s comes twice and is accepted", text, n)
				}
				return
			}
		}
		if err != nil {
			t.Fatalf("%q: refused: %v", text, err)
		}
		for _, n := range names {
			slot := *got.slot([]byte(n))
			if has := len(want[n]) == 1; has != (slot != nil) || has && string(slot) != want[n][0] {
				t.Fatalf("%q: %s = %q, want %q", text, n, slot, want[n])
			}
		}
	})
}

// FuzzBasic holds the parser against net/http's.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{
		"Basic " + base64.StdEncoding.EncodeToString([]byte("id:secret")),
		"basic " + base64.StdEncoding.EncodeToString([]byte("id:se:cret")),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("nocolon")),
		"Basic", "Basic ", "Bearer x", "Basic ====", "Basic \x00", "BASIC  aWQ6eA==",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, ok := parseBasic(header, make([]byte, 0, maxBasic))
		if !ok {
			return
		}
		r := http.Request{Header: http.Header{"Authorization": {"Basic " + strings.TrimLeft(header[len("Basic "):], " ")}}}
		wantID, wantSecret, wantOK := r.BasicAuth()
		if !wantOK || wantID != string(id) || wantSecret != string(secret) {
			t.Fatalf("%q: %q %q, want %q %q %v", header, id, secret, wantID, wantSecret, wantOK)
		}
	})
}

func TestParseBasicBounds(t *testing.T) {
	buf := make([]byte, maxBasic)
	fits := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a:"), 200))
	if _, _, ok := parseBasic("Basic "+fits, buf); !ok {
		t.Error("400 bytes are refused")
	}
	long := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a:"), maxBasic))
	if _, _, ok := parseBasic("Basic "+long, buf); ok {
		t.Error("1024 bytes are accepted")
	}
}
