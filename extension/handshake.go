package extension

import (
	"net"
	"path/filepath"

	"github.com/throughline/throughline/internal/handshake"
)

// announce writes the addresses of the open endpoints to the directory in which the
// wrapper and the library look for them, and opens the pipe for the shims' reports
// there. It must run before registration: Lambda starts the runtime after that.
func (x *extension) announce() {
	dir := handshake.Dir(x.config.TempDir)
	var endpoints []handshake.Endpoint
	for _, name := range endpointNames {
		if s := x.servers[name]; s != nil {
			endpoints = append(endpoints, handshake.Endpoint{Name: name, Address: s.Address})
		}
	}
	if err := handshake.Write(dir, endpoints); err != nil {
		x.log.Once("%v", err)
		return
	}
	if runtime := x.servers["runtime"]; runtime != nil {
		_, port, _ := net.SplitHostPort(runtime.Address) // shows a shim which extension the pipe belongs to
		if err := x.pipe.Open(filepath.Join(dir, "reports."+port)); err != nil {
			x.log.Once("%v; the shims' reports come as requests", err)
		}
	}
}
