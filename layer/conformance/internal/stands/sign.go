package stands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sign responds with the stamped and newly signed form of a request if its
// signature is valid and its key is the function's.
func sign(w http.ResponseWriter, message []byte) {
	line, body, _ := bytes.Cut(message, []byte("\n"))
	var asked struct {
		Method, Path string
		Headers      map[string]string
	}
	asIs := func(reason string) {
		w.Header().Set("Throughline-Reason", reason)
		w.WriteHeader(http.StatusNoContent)
	}
	if json.Unmarshal(line, &asked) != nil {
		http.Error(w, "the first line is to be JSON", http.StatusBadRequest)
		return
	}
	request := Request{Scheme: "http", Host: asked.Headers["host"], Method: asked.Method, URI: asked.Path, Header: http.Header{}, Body: body}
	for name, value := range asked.Headers {
		request.Header.Set(name, value)
	}
	switch {
	case !strings.Contains(asked.Headers["authorization"], "Credential=AKIDOURS/"):
		asIs("key")
		return
	case signed(&request) != "yes":
		asIs("signature")
		return
	}
	request.Body = Stamp(body)
	sum := sha256.Sum256(request.Body)
	changed := map[string]string{}
	for name, value := range map[string]string{"content-length": strconv.Itoa(len(request.Body)), "x-amz-content-sha256": hex.EncodeToString(sum[:])} {
		if _, there := asked.Headers[name]; there {
			changed[name] = value
			request.Header.Set(name, value)
		}
	}
	changed["authorization"] = resign(&request)
	at, removed, text := stamp(body)
	head, _ := json.Marshal(map[string]any{"headers": changed, "changes": [][3]int{{at, removed, len(text)}}})
	answer := append(append(head, '\n'), text...)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

// resign returns the Authorization header of a request after a change, with the same
// keys, scope and signed headers.
func resign(r *Request) string {
	before := r.Header.Get("Authorization")
	scope := strings.Split(field(before, "Credential"), "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || len(scope) != 5 {
		return before
	}
	again, err := http.NewRequest(r.Method, r.Scheme+"://"+r.Host+r.URI, bytes.NewReader(r.Body))
	if err != nil {
		return before
	}
	again.ContentLength = 0 // signed only if SignedHeaders has it
	for name := range strings.SplitSeq(field(before, "SignedHeaders"), ";") {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token":
		case "content-length":
			again.ContentLength = int64(len(r.Body))
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(r.Body)
	if v4.NewSigner().SignHTTP(context.Background(), Keys[scope[0]], again, hex.EncodeToString(sum[:]), scope[3], scope[2], at) != nil {
		return before
	}
	return strings.Replace(before, field(before, "Signature"), field(again.Header.Get("Authorization"), "Signature"), 1)
}

// field returns a field of an Authorization header.
func field(authorization, name string) string {
	_, value, _ := strings.Cut(authorization, name+"=")
	value, _, _ = strings.Cut(value, ",")
	return value
}
