// Package outbound traces HTTP calls: the client span of each attempt, the
// lineage headers, and what an API's answers say. What is particular to one API
// comes in as an [API] value; the package knows none by itself.
package outbound
