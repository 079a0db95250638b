package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// noCredentials sets an environment in which only a metadata service could have some.
func noCredentials(t *testing.T, metadata http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(metadata)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"HOME": t.TempDir(), "AWS_REGION": "us-east-1", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_CONFIG_FILE": "", "AWS_SHARED_CREDENTIALS_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.URL,
	} {
		t.Setenv(name, value)
	}
}

// stderr returns what do writes to the process's standard error.
func stderr(t *testing.T, do func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	own := os.Stderr
	os.Stderr = write
	do()
	os.Stderr = own
	_ = write.Close()
	text, _ := io.ReadAll(read)
	return string(text)
}

func TestNoCredentials(t *testing.T) {
	noCredentials(t, http.NotFound) // the SDK tells of the older form of the service, which it then tries
	var err error
	if lines := stderr(t, func() { _, err = Flags{}.Config(t.Context(), config.LoadDefaultConfig) }); lines != "" {
		t.Errorf("the SDK wrote %s", lines)
	}
	const want = "no AWS credentials were found: set AWS_PROFILE or give --profile, or run aws sso login"
	if err == nil || err.Error() != want {
		t.Errorf("%v, not %s", err, want)
	}
}

func TestCredentialsThatCannotBeRead(t *testing.T) {
	noCredentials(t, http.NotFound)
	path := filepath.Join(t.TempDir(), "config")
	const profile = "[profile broken]\ncredential_process = /nonexistent/process\n"
	if err := os.WriteFile(path, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", path)
	_, err := Flags{Profile: "broken"}.Config(t.Context(), config.LoadDefaultConfig)
	const want = "the AWS credentials could not be read: process provider error: error in credential_process: exit status 127: set AWS_PROFILE or give --profile, or run aws sso login"
	if err == nil || err.Error() != want {
		t.Errorf("%v, not %s", err, want)
	}
}

func TestPlain(t *testing.T) {
	refused := func(code string) error {
		api := &smithy.GenericAPIError{Code: code, Message: "the token"}
		return fmt.Errorf("find the queue q: %w", &smithy.OperationError{ServiceID: "SQS", OperationName: "GetQueueUrl", Err: fmt.Errorf("https response error StatusCode: 400, RequestID: r-1, %w", api)})
	}
	for want, err := range map[string]error{
		"find the queue q: ExpiredToken: the token: the credentials have expired: renew them, for example with aws sso login":           refused("ExpiredToken"),
		"find the queue q: InvalidClientTokenId: the token: the credentials are not valid: check them with aws sts get-caller-identity": refused("InvalidClientTokenId"),
		"find the queue q: AccessDenied: the token": refused("AccessDenied"),
		"find the queue q: ExpiredToken: the token: the credentials have expired: renew them, for example with aws sso login; 0 are saved": fmt.Errorf("%w; 0 are saved", Plain(refused("ExpiredToken"))),
		"other": errors.New("other"),
	} {
		if got := Plain(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("%v, not %s", got, want)
		}
	}
}

func TestCancelledWhileReadingCredentials(t *testing.T) {
	noCredentials(t, http.NotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Flags{}).Config(ctx, config.LoadDefaultConfig); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
