package extension

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/throughline/throughline/extension/internal/server"
)

const (
	// telemetryHost is the host name to which Lambda delivers telemetry.
	telemetryHost = "sandbox.localdomain"
	// maxBatch bounds one delivery of telemetry, in bytes: more than twice the size of
	// the requested buffer, as the Telemetry API's reference recommends.
	maxBatch = 2 << 20
)

// listenTelemetry listens for telemetry, only on the address of telemetryHost. If it
// fails, the extension continues without telemetry.
func (x *extension) listenTelemetry() {
	listener, err := server.ListenTCP(net.JoinHostPort(addressOf(telemetryHost, x.config.hosts()), "0"))
	if err != nil {
		x.log.Once("telemetry is not received: %v", err)
		return
	}
	x.telemetry = server.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, release, err := server.ReadBody(w, r, x.budget, maxBatch)
		if err != nil {
			server.Refuse(w, r, err) // Lambda retries the delivery
			return
		}
		defer release()
		x.invocations.Telemetry(body, x.config.Now())
	}), x.budget)
}

// hosts returns the path of the file of host names.
func (c *Config) hosts() string {
	if c.HostsFile != "" {
		return c.HostsFile
	}
	return "/etc/hosts"
}

// addressOf returns the IP address of a name in a file of host names, 127.0.0.1 if the
// file does not contain it. In Lambda the file contains telemetryHost.
func addressOf(name, file string) string {
	const loopback = "127.0.0.1"
	f, err := os.Open(file)
	if err != nil {
		return loopback
	}
	defer f.Close()
	const longest = 64 << 10
	for lines := bufio.NewScanner(io.LimitReader(f, longest)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		for i, field := range fields {
			if i > 0 && strings.EqualFold(field, name) && net.ParseIP(fields[0]) != nil {
				return fields[0]
			}
		}
	}
	return loopback
}

// subscribe subscribes to telemetry with the newest schema. If Lambda does not know
// it, subscribe tries an older one. If both fail, the extension continues without
// telemetry.
func (x *extension) subscribe(ctx context.Context) {
	if x.telemetry == nil {
		return
	}
	_, port, err := net.SplitHostPort(x.telemetry.Address)
	if err != nil {
		return
	}
	destination := "http://" + net.JoinHostPort(telemetryHost, port)
	err = x.api.subscribe(ctx, "2025-01-29", destination)
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusBadRequest {
		err = x.api.subscribe(ctx, "2022-12-13", destination)
	}
	if err != nil {
		x.log.Once("function metrics are not seen: %v", err)
		return
	}
	x.invocations.Subscribed()
}
