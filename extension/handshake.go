package extension

import (
	"net"
	"path/filepath"

	"github.com/throughline/throughline/internal/handshake"
)

// announce writes the addresses that really answer where the wrapper and the
// library look for them, and opens the pipe of the shims' reports beside them. It
// comes before registration, and Lambda starts the runtime only after that.
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
		_, port, _ := net.SplitHostPort(runtime.Address) // by which a shim knows whose pipe it is
		if err := x.pipe.Open(filepath.Join(dir, "reports."+port)); err != nil {
			x.log.Once("%v; the shims' reports come as requests", err)
		}
	}
}
