package account

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	lab "github.com/weir-dev/weir/internal/lab/aws"
)

// TestAssumeRole holds that calls are made with the role's credentials, and that these
// are renewed when they end: the connector of seed report 003 did not, and lost
// everything after an hour.
func TestAssumeRole(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "own")
	t.Setenv("AWS_SESSION_TOKEN", "")
	standin, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer standin.Close()
	var mu sync.Mutex
	var assumed, signed []string
	life := -time.Minute // over when they come
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Authorization")
		_, key, _ = strings.Cut(key, "Credential=")
		key, _, _ = strings.Cut(key, "/")
		if err := r.ParseForm(); err == nil && r.Form.Get("Action") == "AssumeRole" {
			assumed = append(assumed, key+" "+r.Form.Get("RoleArn")+" "+r.Form.Get("RoleSessionName"))
			n := len(assumed)
			fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
				`<SessionToken>token%d</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, n, n, time.Now().Add(life).UTC().Format(time.RFC3339))
			return
		}
		signed = append(signed, key+" "+r.Header.Get("X-Amz-Security-Token"))
		standin.ServeHTTP(w, r)
	}))
	defer server.Close()
	const role = "arn:aws:iam::987654321012:role/load"
	cfg, err := Access{Region: "ap-northeast-2", Role: role, Endpoint: server.URL}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := func() {
		t.Helper()
		if _, err := sdk.NewFromConfig(cfg).ListMetrics(t.Context(), &sdk.ListMetricsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	list()
	list()
	mu.Lock()
	life = time.Hour
	mu.Unlock()
	list()
	list()
	mu.Lock()
	defer mu.Unlock()
	if want := "AKIAOWN " + role + " weir"; len(assumed) != 3 || assumed[0] != want {
		t.Errorf("assumed %q, want three times %q", assumed, want)
	}
	if got := strings.Join(signed, ", "); got != "ASIA1 token1, ASIA2 token2, ASIA3 token3, ASIA3 token3" {
		t.Errorf("signed with %s", got)
	}
}

// TestAssumeRoleOfTheLab is the same against the lab's own STS.
func TestAssumeRoleOfTheLab(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "own")
	standin, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer standin.Close()
	server := httptest.NewServer(standin)
	defer server.Close()
	cfg, err := Access{Region: "us-east-1", Role: "arn:aws:iam::000000000000:role/load", Endpoint: server.URL}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Identify(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || !strings.HasPrefix(got.AccessKeyID, "ASIA") || got.SessionToken == "" || !got.CanExpire {
		t.Errorf("%q, expires: %v, %v", got.AccessKeyID, got.CanExpire, err)
	}
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	bad, err := Access{Region: "us-east-1", Role: "arn:aws:iam::1:user/x", Endpoint: server.URL}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Identify(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "ValidationError") {
		t.Errorf("a user is assumed: %v", err)
	}
}
