package extension

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// endpointNames are the local endpoints, in the order in which they are announced.
var endpointNames = []string{"otlp", "events", "alpaca", "runtime"}

// listen opens the listeners. One that cannot be opened is said and done without.
func (x *extension) listen() {
	records, err := listenTelemetry(x.books)
	if err != nil {
		x.say("telemetry is not received: %v", err)
	}
	x.records = records
	x.open(map[string]string{"otlp": x.config.OTLPAddr, "events": x.config.EventsAddr, "alpaca": x.config.AlpacaAddr, "runtime": x.config.RuntimeAddr})
}

// open opens the endpoints that have an address.
func (x *extension) open(addresses map[string]string) {
	for _, name := range endpointNames {
		if addresses[name] == "" {
			continue
		}
		handler, err := x.endpoint(name)
		if err != nil {
			x.say("the %s endpoint is off: %v", name, err)
			continue
		}
		listener, err := listenLocally(addresses[name])
		if err != nil {
			x.say("the %s endpoint is off: %v; set THROUGHLINE_%s_ADDR to a free address", name, err, strings.ToUpper(name))
			continue
		}
		x.servers[name] = serve(listener, x.guarded(handler))
	}
}

// guarded breaks a connection off where a fault of ours breaks its handler.
func (x *extension) guarded(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason)
			default:
				x.metrics.Dropped(1)
				x.say("a fault of ours: %v", reason)
				panic(http.ErrAbortHandler)
			}
		}()
		switch framingOf(r) {
		case framedTwice:
			w.Header().Set("Connection", "close")
			http.Error(w, "the request has a Content-Length and is chunked: it can be read in two ways", http.StatusBadRequest)
			return
		case framedSomehow:
			w.Header().Set("Connection", "close") // nothing behind it is read as a request
		}
		handler.ServeHTTP(w, r)
	})
}

// listenLocally listens on loopback and nowhere else: whoever reaches an
// endpoint calls with the function's role.
func listenLocally(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%s is not a loopback address, such as 127.0.0.1", address)
	}
	return net.Listen("tcp", address)
}

func (x *extension) endpoint(name string) (http.Handler, error) {
	switch name {
	case "events":
		return newEventsProxy(x), nil
	case "alpaca":
		return newAlpacaProxy(x)
	case "runtime":
		return newRuntimeProxy(x), nil
	default:
		return newOTLPReceiver(x), nil
	}
}

// announce writes the addresses that really answer where the wrapper and the
// library look for them, by rename: whoever reads finds all of it or nothing.
// It comes before registration, and Lambda starts the runtime only after that.
func (x *extension) announce() {
	text := ""
	for _, name := range endpointNames {
		if server := x.servers[name]; server != nil {
			text += fmt.Sprintf("%s=%s\n", name, server.address)
		}
	}
	dir := filepath.Join(x.config.TempDir, "throughline")
	if err := writeByRename(dir, "endpoints", text); err != nil {
		_ = os.Remove(filepath.Join(dir, "endpoints")) // /tmp outlives a crash: an old one would send the runtime to nobody
		x.say("the endpoints are not announced: %v", err)
	}
}

func writeByRename(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// received takes a request of spans from the function's SDKs.
func (x *extension) received(body []byte, isJSON bool) {
	if x.exporter != nil {
		x.exporter.Add(body, isJSON)
	}
	if !isJSON {
		x.books.spans(body, true, x.config.Now())
	}
}
