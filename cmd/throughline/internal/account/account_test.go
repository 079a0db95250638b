package account

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// closable is a request's body as smithy-go makes it: once closed, WriteTo returns io.EOF. What comes after
// its content is read when it is closed.
type closable struct {
	*strings.Reader
	closed chan struct{}
}

func (c closable) Read(p []byte) (int, error) {
	if c.Len() == 0 {
		<-c.closed
	}
	return c.Reader.Read(p)
}

func (c closable) WriteTo(w io.Writer) (int64, error) {
	if c.Len() == 0 {
		<-c.closed
		return 0, io.EOF
	}
	return c.Reader.WriteTo(w)
}

func (c closable) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// TestAnEarlyAnswer has a server answer before net/http has seen that the request's body has ended.
func TestAnEarlyAnswer(t *testing.T) {
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength)
		_, _ = io.WriteString(w, "begins")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, " and ends")
	}))
	defer server.Close()
	cfg, err := Flags{}.Config(t.Context(), config.LoadDefaultConfig)
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	body := closable{strings.NewReader(strings.Repeat("x", 100)), make(chan struct{})}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) { wrote <- i.Err }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 100
	answer, err := cfg.HTTPClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_ = body.Close()
	if err := <-wrote; err != nil {
		t.Errorf("net/http takes the end of the body for a failure: %v", err)
	}
	close(more)
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != "begins and ends" {
		t.Errorf("%q, %v", got, err)
	}
}
