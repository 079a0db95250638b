package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
)

// moto is moto's server, which emulates DynamoDB and S3 if it is installed.
type moto struct {
	url    string
	cmd    *exec.Cmd
	exited chan struct{}
	client *http.Client
}

// starting bounds how long moto can take to start.
const starting = time.Minute

// startMoto starts the server with that name or path. Call ready before using it.
func startMoto(name, dir string) (*moto, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		return nil, err
	}
	address := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "moto.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	m := &moto{url: "http://" + address.String(), exited: make(chan struct{}), client: &http.Client{Transport: &http.Transport{}}}
	m.cmd = exec.Command(path, "-H", "127.0.0.1", "-p", fmt.Sprint(address.Port))
	m.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=" + plan.Region, "AWS_EC2_METADATA_DISABLED=true", "MOTO_ACCOUNT_ID=" + plan.Account}
	if pyenv := os.Getenv("PYENV_ROOT"); pyenv != "" {
		m.cmd.Env = append(m.cmd.Env, "PYENV_ROOT="+pyenv)
	} else if home, err := os.UserHomeDir(); err == nil {
		m.cmd.Env = append(m.cmd.Env, "PYENV_ROOT="+filepath.Join(home, ".pyenv")) // pyenv's scripts look below HOME
	}
	m.cmd.Stdout, m.cmd.Stderr = log, log
	endWithParent(m.cmd)
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start moto: %w", err)
	}
	go func() {
		defer close(m.exited)
		_ = m.cmd.Wait() // Close kills it
	}()
	return m, nil
}

// ready waits until the server answers.
func (m *moto) ready(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/moto-api/", nil)
		if err != nil {
			return err
		}
		if resp, err := m.client.Do(req); err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-m.exited:
			return fmt.Errorf("moto exited: see %s", filepath.Join(dir, "moto.log"))
		case <-ctx.Done():
			return errors.New("moto does not respond")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *moto) close() {
	_ = m.cmd.Process.Kill() // it has no state to save
	<-m.exited
	m.client.CloseIdleConnections()
}

// call calls an operation of DynamoDB or DynamoDB Streams. out can be nil.
func (m *moto) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	service := "dynamodb"
	if strings.HasPrefix(operation, "DynamoDBStreams") {
		service = "streams.dynamodb"
	}
	data, err := m.send(ctx, http.MethodPost, "/", service, body, "X-Amz-Target", operation, "Content-Type", "application/x-amz-json-1.0")
	if err == nil && out != nil {
		err = json.Unmarshal(data, out)
	}
	return err
}

// send sends a request to one of moto's services. moto selects the service by the scope
// of the signature.
func (m *moto) send(ctx context.Context, method, path, service string, body []byte, headers ...string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/"+plan.Region+"/"+strings.TrimPrefix(service, "streams.")+"/aws4_request, SignedHeaders=host, Signature=x")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if service == "streams.dynamodb" {
		req.Host = "streams.dynamodb." + plan.Region + ".amazonaws.com"
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, data)
	}
	return data, err
}

// stores starts moto if the plan has tables or buckets, and adds a note if it is missing.
func (s *Stage) stores() error {
	if len(s.plan.Tables)+len(s.plan.Buckets) == 0 {
		return nil
	}
	m, err := startMoto(s.options.Moto, s.options.Dir)
	if errors.Is(err, exec.ErrNotFound) {
		for _, t := range s.plan.Tables {
			s.note("not played: the table %s, because %s is not installed: pip install 'moto[server]'", t.ID, s.options.Moto)
		}
		for _, b := range s.plan.Buckets {
			s.note("not played: the bucket %s, because %s is not installed: pip install 'moto[server]'", b.ID, s.options.Moto)
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.moto = m
	s.urls["DYNAMODB"], s.urls["DYNAMODB_STREAMS"] = m.url, m.url
	s.urls["S3"], s.closeS3, err = serve(s.objects(m.url))
	return err
}

// fill creates the tables and buckets, and starts the event source mappings of streams.
func (s *Stage) fill(ctx context.Context) error {
	if s.moto == nil {
		return nil
	}
	if err := s.moto.ready(ctx, s.options.Dir); err != nil {
		return err
	}
	for _, t := range s.plan.Tables {
		var made struct {
			TableDescription struct {
				LatestStreamArn string
			}
		}
		if err := s.moto.call(ctx, "DynamoDB_20120810.CreateTable", t.Create, &made); err != nil {
			return fmt.Errorf("the table %s: %w", t.ID, err)
		}
		if t.Stream {
			s.readStream(t, made.TableDescription.LatestStreamArn)
		}
	}
	for _, b := range s.plan.Buckets {
		if _, err := s.moto.send(ctx, http.MethodPut, "/"+b.Name, "s3", nil); err != nil {
			return fmt.Errorf("the bucket %s: %w", b.ID, err)
		}
	}
	return nil
}
