// Package hostile makes malicious requests to the extension's endpoints, for
// tests: large and malformed requests that any process beside the function can
// send.
package hostile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Request is one request. Its body is generated for each use, so that many at once
// do not need memory in the sender either.
type Request struct {
	Name     string
	Endpoint string // otlp, events, alpaca or runtime
	Path     string
	Header   []string // lines
	Body     func() io.Reader
	Length   int
}

const (
	proto = "Content-Type: application/x-protobuf"
	amz   = "Content-Type: application/x-amz-json-1.1"
	call  = "Throughline-Call: 0123456789abcdef0123456789abcdef"
)

// Requests returns the requests.
func Requests() []Request {
	field := func(n int, b []byte) []byte { // of protobuf: a tag, a length and bytes
		return append(binary.AppendUvarint([]byte{byte(n<<3 | 2)}, uint64(len(b))), b...)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	repeat := func(s string, n int) []byte { return []byte(strings.Repeat(s, n)) }
	span := join(field(1, repeat("\x01", 16)), field(2, repeat("\x02", 8)))
	attribute := func(key string, value []byte) []byte { return join(field(1, []byte(key)), field(2, field(1, value))) }
	spans := func(n int) []byte { return repeat(string(field(2, span)), n) }
	var all []Request
	add := func(name, endpoint, path string, body []byte, header ...string) {
		all = append(all, Request{name, endpoint, path, header, func() io.Reader { return strings.NewReader(string(body)) }, len(body)})
	}
	add("large resource", "otlp", "/v1/traces", field(1, join(field(1, field(1, attribute("k", repeat("a", 5_000_000)))), field(2, spans(200)))), proto)
	add("large invocation ID", "otlp", "/v1/traces", field(1, field(2, field(2, join(span, field(9, attribute("faas.invocation_id", repeat("i", 7_000_000))))))), proto)
	add("malformed spans", "otlp", "/v1/traces", field(1, field(2, join(spans(50_000), field(2, join(field(1, []byte("abc")), field(2, repeat("b", 8)))), spans(50_000)))), proto)
	add("over the limit", "otlp", "/v1/traces", repeat("x", 20_000_000), proto)
	add("invalid UTF-8", "otlp", "/v1/traces", field(1, field(2, field(2, join(span, field(5, repeat("\xff", 2_000_000)))))), proto)
	add("nested JSON", "otlp", "/v1/traces", repeat("[", 7_000_000), "Content-Type: application/json")
	add("spans as text", "otlp", "/v1/traces", field(1, field(2, spans(1))), "Content-Type: text/plain")
	entries := func(n int) []byte { return []byte(`{"Entries":[{}` + strings.Repeat(",{}", n-1) + `]}`) }
	for _, to := range []struct{ endpoint, path string }{{"events", "/"}, {"runtime", "/throughline/v1/events"}} {
		add("200 000 entries to "+to.endpoint, to.endpoint, to.path, entries(200_000), amz, call, "X-Amz-Target: AWSEvents.PutEvents")
		add("a large type to "+to.endpoint, to.endpoint, to.path, []byte(`{"Entries":[{"Source":"s","Detail":"{}","DetailType":"`+strings.Repeat("t", 1_900_000)+`"}]}`), amz, call, "X-Amz-Target: AWSEvents.PutEvents")
		for _, member := range []string{"event_id", "correlation_id"} {
			add("a large "+member+" to "+to.endpoint, to.endpoint, to.path, []byte(`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"`+member+`\":\"`+strings.Repeat("i", 1_000_000)+`\"}"}]}`), amz, call, "X-Amz-Target: AWSEvents.PutEvents")
		}
		add("many resources to "+to.endpoint, to.endpoint, to.path, []byte(`{"Entries":[{"Resources":[""`+strings.Repeat(`,""`, 600_000)+`]}]}`), amz, call, "X-Amz-Target: AWSEvents.PutEvents")
	}
	add("an outcome of many entries", "runtime", "/throughline/v1/events/0123456789abcdef0123456789abcdef", []byte(`{"entries":[{}`+strings.Repeat(",{}", 20_000)+`]}`), "Content-Type: application/json")
	add("a long head", "runtime", "/2018-06-01/runtime/invocation/r-1/error", []byte("{}"), "Content-Type: application/json", "Lambda-Runtime-Function-XRay-Error-Cause: "+strings.Repeat("x", 1_500_000))
	var fields []string
	for i := range 6000 {
		fields = append(fields, "a"+strconv.Itoa(i)+":")
	}
	for _, to := range []struct{ endpoint, path, content string }{{"events", "/", amz}, {"otlp", "/v1/traces", proto}, {"runtime", "/2018-06-01/runtime/invocation/r-1/error", "Content-Type: application/json"}} {
		add("many header fields to "+to.endpoint, to.endpoint, to.path, []byte("{}"), append([]string{to.content}, fields...)...)
	}
	add("an answer with many failed items", "runtime", "/2018-06-01/runtime/invocation/r-1/response", []byte(`{"batchItemFailures":[0`+strings.Repeat(",0", 500_000)+`]}`), "Content-Type: application/json")
	add("a large answer", "runtime", "/2018-06-01/runtime/invocation/r-1/response", repeat("a", 6_000_000), "Content-Type: application/json")
	order := func(n int) []byte {
		return []byte(`{"symbol":"AAPL","qty":"1","note":"` + strings.Repeat("n", n) + `"}`)
	}
	add("a large order", "alpaca", "/paper/v2/orders", order(1_000_000), "Content-Type: application/json")
	add("an order over the limit", "alpaca", "/paper/v2/orders", order(8_000_000), "Content-Type: application/json")
	add("many members in an order", "alpaca", "/paper/v2/orders", []byte(`{"a":{}`+strings.Repeat(`,"a":{}`, 140_000)+`}`), "Content-Type: application/json")
	add("a large fault", "alpaca", "/throughline/v1/faults", repeat("delay=2s,", 800_000), "Content-Type: text/plain")
	return all
}

// Send sends a request to address n times at once and returns the statuses of the
// answers, 0 for none.
func (r *Request) Send(address string, n int) []int {
	statuses := make([]int, n)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() { statuses[i] = r.send(address) })
	}
	all.Wait()
	return statuses
}

func (r *Request) send(address string) int {
	const patience = 3 * time.Minute // on a busy machine
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n\r\n", r.Path, address, r.Length, strings.Join(r.Header, "\r\n"))
	_, _ = io.Copy(w, r.Body()) // bytes that are not accepted show in the answer
	_ = w.Flush()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// tries is how often the peak of a request is measured before it counts as too high: how
// far a heap grows before it is collected depends on the load of the machine.
const tries = 3

// Within tests that a process survives each request, alone and 100 at once. start starts
// a process, which the test ends, and returns its ID and the addresses of its
// endpoints. The lowest of three peaks of memory must not exceed most bytes, and in one
// of three runs all requests must be answered: on a busy machine the endpoints' own
// timeouts may end some.
func Within(t *testing.T, most int, start func(t *testing.T) (pid int, endpoints map[string]string)) {
	if runtime.GOOS != "linux" {
		t.Skip("the peak of a process is read from /proc")
	}
	for _, request := range Requests() {
		t.Run(request.Name, func(t *testing.T) {
			least, unanswered := 0, 0
			for n := range tries {
				peak, left := request.peak(t, start)
				if least == 0 || peak < least {
					least = peak
				}
				if n == 0 || left < unanswered {
					unanswered = left
				}
				if least <= most && unanswered == 0 {
					break
				}
			}
			if least == 0 || least > most {
				t.Errorf("it took %.1f MB", float64(least)/1e6)
			}
			if unanswered > 0 {
				t.Errorf("%d requests were not answered", unanswered)
			}
		})
	}
}

// peak sends a request to a new process, alone and 100 at once, and returns the peak
// memory of the process in bytes, and how many requests were not answered.
func (r Request) peak(t *testing.T, start func(t *testing.T) (pid int, endpoints map[string]string)) (peak, unanswered int) {
	pid, endpoints := start(t)
	for _, n := range []int{1, 100} {
		answered := map[int]int{}
		for _, status := range r.Send(endpoints[r.Endpoint], n) {
			answered[status]++
		}
		peak = Peak(pid)
		t.Logf("%d at once: %.1f MB, answered %v", n, float64(peak)/1e6, answered)
		unanswered += answered[0]
	}
	return peak, unanswered
}

var peak = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`)

// Peak is the peak memory of a process, in bytes, 0 if it is not known.
func Peak(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if found := peak.FindSubmatch(status); found != nil {
		kb, _ := strconv.Atoi(string(found[1])) // no error: it has only digits
		return kb << 10
	}
	return 0
}
