package otlp

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"
)

// A server of gRPC begins with a SETTINGS frame (RFC 9113, section 3.4), which net/http
// takes for a broken answer, or for one to no request if the frame comes before the request.
func TestAPortForGRPCIsNamed(t *testing.T) {
	t.Run("after the request", func(t *testing.T) {
		sent := make(chan struct{})
		testGRPCPort(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) },
		}), t, sent)
	})
	t.Run("before the request", func(t *testing.T) {
		sent := make(chan struct{})
		close(sent)
		testGRPCPort(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { time.Sleep(200 * time.Millisecond) },
		}), t, sent)
	})
}

// testGRPCPort flushes a span to a server that sends its SETTINGS frame once begin is closed.
func testGRPCPort(ctx context.Context, t *testing.T, begin <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			<-begin
			_, _ = conn.Write([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0x40, 0})
			_, _ = io.CopyN(io.Discard, conn, 24)
			_ = conn.Close()
		}
	}()
	e := NewExporter(Config{URL: "http://" + listener.Addr().String() + "/v1/traces", Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}})
	e.Add(Encode(Resource{}, Span{Name: "work"}), false)
	if err := e.Flush(ctx); err == nil || !strings.Contains(err.Error(), "this may be a port for gRPC; that for OTLP over HTTP is usually 4318") {
		t.Errorf("%v", err)
	}
}
