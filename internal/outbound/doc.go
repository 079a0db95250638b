// Package outbound traces HTTP calls: the client span of each attempt, the
// lineage headers, and data from response headers. An [API] value describes one
// HTTP API; the package itself contains none.
package outbound
