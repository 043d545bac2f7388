package aws_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws"
)

// python finds an interpreter that has boto3: the one of .ci/setup, or the machine's.
func python(t *testing.T) string {
	t.Helper()
	own, err := filepath.Abs("../../../.cache/boto3/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{own, "python3"} {
		if exec.Command(name, "-c", "import boto3").Run() == nil {
			return name
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Python with boto3: .ci/setup installs it")
	}
	t.Skip("there is no Python with boto3 here: .ci/setup installs it")
	return ""
}

// TestBoto drives the stand-in with Amazon's Python client: put, read, alarm, logs,
// SNS, SQS.
func TestBoto(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few seconds and runs without -short")
	}
	name := python(t)
	a := newAccount(t, aws.Config{})
	limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limited, name, "testdata/drive.py", a.url)
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "ok "); n != 29 {
		t.Errorf("%d checks, want 29:\n%s", n, out)
	}
}
