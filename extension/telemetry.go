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
	// telemetryHost is the name under which Lambda delivers telemetry to us.
	telemetryHost = "sandbox.localdomain"
	// maxBatch bounds one delivery of telemetry: twice the buffer that was asked
	// for and some room, as the Telemetry API's reference says to expect.
	maxBatch = 2 << 20
)

// listenTelemetry listens for telemetry, on the address of telemetryHost alone.
// Without it the extension goes on.
func (x *extension) listenTelemetry() {
	listener, err := server.ListenTCP(net.JoinHostPort(addressOf(telemetryHost, x.config.hosts()), "0"))
	if err != nil {
		x.log.Once("telemetry is not received: %v", err)
		return
	}
	x.telemetry = server.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, release, err := server.ReadBody(w, r, x.budget, maxBatch)
		if err != nil {
			server.Refuse(w, r, err) // Lambda sends it again
			return
		}
		defer release()
		x.invocations.Telemetry(body, x.config.Now())
	}), x.budget)
}

// hosts is the file of the environment's host names.
func (c *Config) hosts() string {
	if c.HostsFile != "" {
		return c.HostsFile
	}
	return "/etc/hosts"
}

// addressOf is the IP address of a name in a file of hosts, the loopback one where
// the file does not have it. Lambda's environments resolve telemetryHost there.
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

// subscribe asks for telemetry, in the newest schema and, where that is not
// known, in one that is. Without telemetry the extension goes on.
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
