// Package loopback decides whether a host name is a loopback name or address. It
// is pure and resolves no names.
package loopback

import "net"

// Is reports whether host, without a port, is "localhost" or a loopback address
// (RFC 6890). 0.0.0.0 and :: are not: other machines can reach a server that listens
// on them.
func Is(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
