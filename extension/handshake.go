package extension

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// listen opens the listeners. One that cannot be opened is said and done without.
func (x *extension) listen() {
	records, err := listenTelemetry(x.books)
	if err != nil {
		x.say("telemetry is not received: %v", err)
	}
	x.records = records
	if x.config.OTLPAddr == "" {
		return
	}
	listener, err := net.Listen("tcp", x.config.OTLPAddr)
	if err != nil {
		x.say("spans are not received: %v; set THROUGHLINE_OTLP_ADDR to a free address", err)
		return
	}
	x.otlp = serveOTLP(listener, x.received)
}

// announce writes the addresses that really answer where the wrapper and the
// library look for them, by rename: whoever reads finds all of it or nothing.
// It comes before registration, and Lambda starts the runtime only after that.
func (x *extension) announce() {
	text := ""
	if x.otlp != nil {
		text = fmt.Sprintf("otlp=%s\n", x.otlp.address)
	}
	if err := writeByRename(filepath.Join(x.config.TempDir, "throughline"), "endpoints", text); err != nil {
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
		x.books.spans(body)
	}
}
