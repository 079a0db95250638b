package dedupecmd

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/dedupe/dynamo"
	"github.com/throughline/throughline/peertest"
)

var secrets = credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", "")

func configure(_ context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	var o config.LoadOptions
	for _, option := range options {
		if err := option(&o); err != nil {
			return aws.Config{}, err
		}
	}
	return aws.Config{Region: o.Region, Credentials: secrets, RetryMaxAttempts: 1}, nil
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := New(configure)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"create-table"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCreateTable(t *testing.T) {
	url := peertest.MotoAccount(t)
	args := []string{"--table", "seen", "--region", "eu-west-1", "--endpoint-url", url}
	out, err := run(t, args...)
	if err != nil || !strings.Contains(out, "is created: set THROUGHLINE_DEDUPE=dynamodb:seen") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := run(t, append(args, "--json")...); err != nil || strings.TrimSpace(out) != `{"created":false,"region":"eu-west-1","table":"seen"}` {
		t.Errorf("again: %v %s", err, out)
	}
	client := dynamodb.New(dynamodb.Options{Region: "eu-west-1", BaseEndpoint: &url, Credentials: secrets})
	found, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: aws.String("seen")})
	if err != nil || aws.ToString(found.TimeToLiveDescription.AttributeName) != "expiry" {
		t.Errorf("time to live: %v %+v", err, found)
	}
	// It serves its purpose.
	store, err := dynamo.New(dynamo.Config{Table: "seen", Region: "eu-west-1", Endpoint: url, Credentials: secrets, Client: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if _, won, err := store.Claim(t.Context(), "k", dedupe.Record{State: dedupe.Seen, At: now, Expires: now.Add(time.Hour)}, now); err != nil || !won {
		t.Errorf("a claim: %v %v", won, err)
	}
}

func TestTableThatDoesNotFit(t *testing.T) {
	url := peertest.MotoAccount(t)
	client := dynamodb.New(dynamodb.Options{Region: "eu-west-1", BaseEndpoint: &url, Credentials: secrets})
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "--table", "orders", "--region", "eu-west-1", "--endpoint-url", url); err == nil || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("%v %s", err, out)
	}
}

func TestErrorsNameTheNextStep(t *testing.T) {
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized"}`))
	}))
	defer denied.Close()
	for want, args := range map[string][]string{
		"--print-cloudformation":     {"--table", "seen", "--region", "eu-west-1", "--endpoint-url", denied.URL},
		"give --region, or set":      {"--table", "seen"},
		"takes 3 to 255":             {"--table", "a b", "--region", "eu-west-1"},
		`required flag(s) "table"`:   {},
		"none of the others can be":  {"--table", "seen", "--json", "--print-cloudformation"},
		"is no table name: it takes": {"--table", "s", "--print-cloudformation"},
	} {
		if _, err := run(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestCloudFormation(t *testing.T) {
	out, err := run(t, "--table", "throughline-seen", "--print-cloudformation")
	if err != nil || !strings.Contains(out, `TableName: "throughline-seen"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	lint := peertest.Command(t, "cfn-lint")
	file := filepath.Join(t.TempDir(), "seen.yaml")
	if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), lint, file).CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, said)
	}
}
