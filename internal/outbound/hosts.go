package outbound

import (
	"net"
	"strings"
)

// Hosts are patterns of host names: a name, with or without a port, or *.name for all
// of its subdomains. Nil matches nothing.
type Hosts []string

// ParseHosts returns patterns in the form that Match compares: lower case,
// without the empty ones.
func ParseHosts(patterns []string) Hosts {
	hosts := make(Hosts, 0, len(patterns))
	for _, pattern := range patterns {
		if pattern = strings.ToLower(strings.TrimSpace(pattern)); pattern != "" {
			hosts = append(hosts, pattern)
		}
	}
	return hosts
}

// Match reports whether a pattern matches host, which may have a port.
func (h Hosts) Match(host string) bool {
	host = strings.ToLower(host)
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	for _, pattern := range h {
		suffix, wildcard := strings.CutPrefix(pattern, "*.")
		if wildcard && len(name) > len(suffix)+1 && strings.HasSuffix(name, suffix) && name[len(name)-len(suffix)-1] == '.' {
			return true
		}
		if !wildcard && (pattern == name || pattern == host) {
			return true
		}
	}
	return false
}
