package extension

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkSign is what a question of the Node.js shim costs the extension: its
// handler alone, and with the exchange on a connection.
func BenchmarkSign(b *testing.B) {
	for _, size := range []int{1 << 10, 200 << 10} {
		detail, err := json.Marshal(map[string]string{"event_id": "e", "correlation_id": "c", "text": strings.Repeat("x", size-100)})
		if err != nil {
			b.Fatal(err)
		}
		body, err := json.Marshal(map[string]any{"Entries": []any{map[string]string{"Source": "s", "DetailType": "T", "Detail": string(detail)}}})
		if err != nil {
			b.Fatal(err)
		}
		sent := signedLine(b, "AKIDOURS", "secret", "", "attempt=1; max=1", string(body))
		report := `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e"}]}`
		call := func(n int) string { return fmt.Sprintf("%032x", n) }
		b.Run(fmt.Sprintf("handler/%dKB", size>>10), func(b *testing.B) {
			endpoint := newDesk(b, nil).endpoint("runtime")
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r := httptest.NewRequest(http.MethodPost, "/throughline/v1/sign", strings.NewReader(sent))
				r.Header.Set("Content-Type", "application/octet-stream")
				r.Header.Set("Throughline-Call", call(n))
				endpoint.ServeHTTP(nowhere{http.Header{}}, r)
				b.StopTimer()
				r = httptest.NewRequest(http.MethodPost, "/throughline/v1/events/"+call(n), strings.NewReader(report))
				r.Header.Set("Content-Type", "application/json")
				endpoint.ServeHTTP(nowhere{http.Header{}}, r)
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("connection/%dKB", size>>10), func(b *testing.B) {
			address := strings.TrimPrefix(newDesk(b, nil).serve("runtime"), "http://")
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			exchange := func(path, kind, id, body string) {
				_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nThroughline-Call: %s\r\nContent-Length: %d\r\n\r\n%s", path, address, kind, id, len(body), body)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				if resp.StatusCode >= 300 {
					b.Fatal(resp.Status)
				}
			}
			for n := 0; b.Loop(); n++ {
				exchange("/throughline/v1/sign", "application/octet-stream", call(n), sent)
				b.StopTimer()
				exchange("/throughline/v1/events/"+call(n), "application/json", call(n), report)
				b.StartTimer()
			}
		})
	}
}

// nowhere is a ResponseWriter whose answer nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}
