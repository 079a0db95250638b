package export

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/peertest"
)

// listen is an X-Ray daemon that decodes what it gets.
func listen(t *testing.T) (address string, next func() (mark string, r request)) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String(), func() (string, request) {
		buffer := make([]byte, 1<<17)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if n > 64<<10-1 {
			t.Errorf("a datagram of %d bytes", n)
		}
		header, payload, found := bytes.Cut(buffer[:n], []byte("\n"))
		if !found || string(header) != `{"format":"json","version":1}` || len(payload) < 3 {
			t.Fatalf("datagram %.80q", buffer[:n])
		}
		body, err := base64.StdEncoding.DecodeString(string(payload[3:]))
		if err != nil {
			t.Fatalf("payload %.80q: %v", payload, err)
		}
		r, err := decode(body)
		if err != nil {
			t.Fatalf("payload %.80q: %v", payload, err)
		}
		return string(payload[:3]), r
	}
}

func TestSpansGoToTheDaemon(t *testing.T) {
	address, next := listen(t)
	tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1", "AWS_XRAY_DAEMON_ADDRESS", address)
	if !tel.Handler().Tracing.XRay || !strings.Contains(tel.Picked, "daemon at "+address) {
		t.Errorf("picked %q", tel.Picked)
	}
	tracer := tel.TracerProvider.Tracer("test")
	_, span := tracer.Start(t.Context(), "process SignalGenerated")
	span.End()
	mark, request := next()
	if got := request.ResourceSpans[0].ScopeSpans[0].Spans[0]; mark != "T1S" || got.Name != "process SignalGenerated" || got.SpanID != span.SpanContext().SpanID().String() {
		t.Errorf("%s %v", mark, got)
	}

	t.Run("A batch's links are cut to what a datagram takes", func(t *testing.T) {
		var links []trace.Link
		for range 900 {
			links = append(links, trace.Link{SpanContext: lineage.Mint(trace.SpanContext{}),
				Attributes: []attribute.KeyValue{attribute.String(lineage.AttrLink, lineage.LinkCausation), attribute.String("throughline.event.id", strings.Repeat("e", 60))}})
		}
		_, span := tracer.Start(t.Context(), "process queue", trace.WithLinks(links...))
		span.End()
		_, request := next()
		got := request.ResourceSpans[0].ScopeSpans[0].Spans[0]
		if len(got.Links) == 0 || len(got.Links)+got.DroppedLinksCount != 900 || got.Links[0].SpanID != links[0].SpanContext.SpanID().String() {
			t.Errorf("%d links, %d dropped", len(got.Links), got.DroppedLinksCount)
		}
	})
	t.Run("What fits in no datagram is counted", func(t *testing.T) {
		_, span := tracer.Start(t.Context(), "large", trace.WithAttributes(attribute.String("text", strings.Repeat("x", 60_000))))
		span.AddEvent("dropped first")
		span.End()
		if l := tel.Losses(); l.Spans != 1 {
			t.Errorf("losses %+v", l)
		}
	})
	t.Run("Nobody listens", func(t *testing.T) {
		tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray", "AWS_XRAY_DAEMON_ADDRESS", "tcp:127.0.0.1:1 udp:127.0.0.1:1")
		for range 20 {
			_, span := tel.TracerProvider.Tracer("test").Start(t.Context(), "lost")
			span.End()
			time.Sleep(time.Millisecond)
		}
		if l := tel.Losses(); l.Spans == 0 {
			t.Error("nothing was counted")
		}
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// verifier signs the same request again with botocore, an implementation that
// shares nothing with ours.
const verifier = `
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
r = json.load(sys.stdin)
auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "the-session"), "xray", "eu-west-1")
signed = r["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
headers = {k: v for k, v in r["headers"].items() if k.lower() in signed}
request = AWSRequest(method="POST", url=r["url"], headers=headers, data=bytes.fromhex(r["body"]))
request.context["timestamp"] = headers["X-Amz-Date"]
to_sign = auth.string_to_sign(request, auth.canonical_request(request))
print(auth.signature(to_sign, request))
`

func TestXRaySignatureIsBotocores(t *testing.T) {
	python := peertest.Module(t, "botocore")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
	t.Setenv("AWS_SESSION_TOKEN", "the-session")
	requests := make(chan map[string]any, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		headers := map[string]string{"Host": r.Host, "Content-Length": fmt.Sprint(r.ContentLength)}
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		requests <- map[string]any{"url": "http://" + r.Host + r.URL.String(), "headers": headers, "body": fmt.Sprintf("%x", body), "authorization": r.Header.Get("Authorization")}
	}))
	t.Cleanup(server.Close)
	tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1", "AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+"/v1/traces")
	_, span := tel.TracerProvider.Tracer("test").Start(t.Context(), "signed")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	request := <-requests
	input, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", verifier)
	cmd.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("botocore: %v\n%s", err, stderr.String())
	}
	authorization, _ := request["authorization"].(string)
	if want := "Signature=" + strings.TrimSpace(string(out)); !strings.HasSuffix(authorization, want) || !strings.Contains(authorization, "x-amz-security-token") {
		t.Errorf("Authorization %s, botocore says %s", authorization, want)
	}
}
