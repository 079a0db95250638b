package otlp

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A server of gRPC begins with a SETTINGS frame (RFC 9113, section 3.4), which net/http
// takes for a broken answer.
func TestAPortForGRPCIsNamed(t *testing.T) {
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
			_, _ = conn.Write([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0x40, 0})
			_, _ = io.CopyN(io.Discard, conn, 24)
			_ = conn.Close()
		}
	}()
	e := NewExporter(Config{URL: "http://" + listener.Addr().String() + "/v1/traces", Client: &http.Client{Timeout: 10 * time.Second}})
	e.Add(Encode(Resource{}, Span{Name: "work"}), false)
	if err := e.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "this may be a port for gRPC; that for OTLP over HTTP is usually 4318") {
		t.Errorf("%v", err)
	}
}
