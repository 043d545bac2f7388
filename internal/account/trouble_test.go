package account

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrouble holds that what is wrong with settings and credentials is said in
// words that tell what to do, and that no secret is among them.
func TestTrouble(t *testing.T) {
	const secret = "planted-and-not-to-be-seen"
	const config = `
[profile sso]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
sso_account_id = 111122223333
sso_role_name = r
region = us-east-1
[profile process]
credential_process = sh -c 'echo ` + secret + `; exit 3'
region = us-east-1
[profile device]
role_arn = arn:aws:iam::111122223333:role/x
source_profile = base
mfa_serial = arn:aws:iam::111122223333:mfa/x
region = us-east-1
[profile orphan]
role_arn = arn:aws:iam::111122223333:role/x
source_profile = gone
region = us-east-1
[profile nowhere]
[profile bare]
region = us-east-1
`
	cases := []struct{ profile, what, do string }{
		{"sso", `nobody is logged in for the AWS profile "sso"`, "aws sso login --profile sso"},
		{"process", `the credential_process of the AWS profile "process" failed`, "by hand"},
		{"device", "MFA", "export-credentials"},
		{"orphan", `the AWS profile "orphan"`, "source_profile"},
		{"missing", `no AWS profile "missing"`, "AWS_PROFILE"},
		{"nowhere", "no AWS region is known", "AWS_REGION"},
		{"bare", `none in the environment, none in the profile "bare", and this machine has no role`, "AWS_ACCESS_KEY_ID"},
	}
	for _, c := range cases {
		t.Run(c.profile, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"config": config, "credentials": "[base]\naws_access_key_id = AKIAX\naws_secret_access_key = " + secret + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("HOME", dir)
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
			t.Setenv("AWS_PROFILE", c.profile)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
				"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
				t.Setenv(name, "")
			}
			cfg, err := Access{}.Load(t.Context())
			if err == nil {
				err = Identify(t.Context(), cfg)
			}
			if err == nil {
				t.Fatal("it has credentials")
			}
			if !strings.Contains(err.Error(), c.what) || !strings.Contains(Advice(err), c.do) {
				t.Errorf("it says %q, and to do %q; want %q and %q", err, Advice(err), c.what, c.do)
			}
			if strings.Contains(err.Error()+Advice(err), secret) {
				t.Errorf("it tells a secret: %q", err)
			}
		})
	}
}
