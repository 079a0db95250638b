package export

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/otlp"
)

// daemon sends spans to the X-Ray daemon that Lambda runs alongside a function, in
// the datagrams of AWS's distribution of OpenTelemetry: a header line, T1S or T1U
// for sampled or not, and an ExportTraceServiceRequest in base64. It never blocks,
// and datagrams are not acknowledged.
type daemon struct {
	conn net.Conn

	mu     sync.Mutex
	losses otlp.Losses
}

const (
	daemonHeader = `{"format":"json","version":1}` + "\n"
	maxDatagram  = 64_000 // the daemon accepts less than 64 KB
)

// dial returns a daemon at address, which may be of the form "tcp:host:port
// udp:host:port". It sends nothing, and no process has to listen.
func dial(address string) (*daemon, error) {
	for part := range strings.FieldsSeq(address) {
		if udp, ok := strings.CutPrefix(part, "udp:"); ok {
			address = udp
		}
	}
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, fmt.Errorf("open a socket to the X-Ray daemon: %w", err)
	}
	return &daemon{conn: conn}, nil
}

// send sends one span. If the span is too large for a datagram, send drops its
// last links and then its events. A span that still does not fit counts as
// lost.
func (d *daemon) send(r otlp.Resource, span otlp.Span) {
	for {
		datagram := encodeDatagram(r, span)
		switch {
		case len(datagram) <= maxDatagram:
			if _, err := d.conn.Write(datagram); err != nil {
				d.lose()
			}
			return
		case len(span.Links) > 0:
			keep := len(span.Links) / 2
			span.DroppedLinks += len(span.Links) - keep
			span.Links = span.Links[:keep]
		case len(span.Events) > 0:
			span.Events = nil
		default:
			d.lose()
			return
		}
	}
}

func encodeDatagram(r otlp.Resource, span otlp.Span) []byte {
	mark := "T1U"
	if span.Context.TraceFlags()&trace.FlagsSampled != 0 {
		mark = "T1S"
	}
	return base64.StdEncoding.AppendEncode([]byte(daemonHeader+mark), otlp.Encode(r, span))
}

func (d *daemon) lose() {
	d.mu.Lock()
	d.losses.Spans++
	d.losses.Failures++
	d.mu.Unlock()
}

// Losses returns what was dropped since the last call.
func (d *daemon) Losses() otlp.Losses {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.losses
	d.losses = otlp.Losses{}
	return l
}

// toDaemon reports whether spans go to the X-Ray daemon.
func toDaemon(s sink) bool {
	_, ok := s.(*daemon)
	return ok
}

// Flush does nothing: spans are sent when they end.
func (*daemon) Flush(context.Context) error { return nil }
