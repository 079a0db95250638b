package peertest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// MotoFunction creates a Lambda function in moto, in us-east-1, and returns its
// ARN. The function has no real code and cannot run.
func MotoFunction(tb testing.TB, moto, name string) string {
	tb.Helper()
	form := url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"of-" + name}, "AssumeRolePolicyDocument": {`{"Version":"2012-10-17","Statement":[]}`}}
	answer := string(motoPost(tb, moto+"/", "iam", "application/x-www-form-urlencoded", []byte(form.Encode()), http.StatusOK))
	_, role, _ := strings.Cut(answer, "<Arn>")
	role, _, _ = strings.Cut(role, "</Arn>")
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	file, err := z.Create("main.py")
	if err == nil {
		_, err = file.Write([]byte("def handler(event, context): pass\n"))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"FunctionName": name, "Runtime": "python3.12", "Handler": "main.handler", "Role": role, "Code": map[string]any{"ZipFile": code.Bytes()},
	})
	if err != nil {
		tb.Fatal(err)
	}
	var made struct{ FunctionArn string }
	if err := json.Unmarshal(motoPost(tb, moto+"/2015-03-31/functions", "lambda", "application/json", body, http.StatusCreated), &made); err != nil {
		tb.Fatal(err)
	}
	return made.FunctionArn
}

func motoPost(tb testing.TB, to, service, contentType string, body []byte, wanted int) []byte {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261123/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != wanted {
		tb.Fatalf("%s: %s %s %v", to, resp.Status, answer, err)
	}
	return answer
}
