package render

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/peertest"
)

// account is a moto account of the test's own.
func account(t *testing.T, number string) (aws.Config, string) {
	t.Helper()
	url := peertest.Moto(t)
	return aws.Config{Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(number, "secret", "")}, url
}

func quick() *cloudwatch.Pace {
	return &cloudwatch.Pace{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// TestShellScriptAgainstMoto: the rendered script, run by a shell with the AWS
// CLI, makes the alarms that apply would: the next plan has nothing to do.
func TestShellScriptAgainstMoto(t *testing.T) {
	cli := peertest.Command(t, "aws")
	cfg, url := account(t, "222222222222")
	s, err := every(t).Resolve(map[string]string{"OrdersFn": "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	// One alarm of each shape, for the CLI takes about a second a call.
	shapes := []string{"dlq-depth", "nightly-latency", "fn-1-errors", "account-put-failed", "created-silent"}
	s.Name, s.Composites = "script", nil
	s.Alarms = slices.DeleteFunc(s.Alarms, func(a alarms.Alarm) bool {
		return !slices.ContainsFunc(shapes, func(shape string) bool { return strings.HasSuffix(a.Name, shape) })
	})
	if len(s.Alarms) != len(shapes) {
		t.Fatalf("%d alarms", len(s.Alarms))
	}
	s.Alarms[0].Tags = []alarms.Tag{{Key: "team", Value: "it's $HOME"}}
	s.Alarms[1].Description = "it's \"quoted\" \\ $HOME `id` ${literal}"
	files, err := Shell(s.Map(alarms.Literal))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), files[0].Name)
	if err := os.WriteFile(script, files[0].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=222222222222", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=eu-west-1", "AWS_PAGER=", "PATH="+filepath.Dir(cli)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := cloudwatch.Make(t.Context(), cloudwatch.NewClient(cfg), s, nil, alarms.DefaultPrices(), quick())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Steps {
		t.Errorf("%s %s: %+v", step.Action, step.Name, step.Changes)
	}
}
