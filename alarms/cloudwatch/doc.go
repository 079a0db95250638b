// Package cloudwatch holds a set of alarms to an account: what differs, what is
// to be done, and whether what is there can ever fire and reach anybody. It is
// the only package of alarms that speaks to AWS. The account is the state: what
// is a spec's is told by its alarms' tags.
//
// Sets must be resolved. Everything here takes the few methods of a client that
// it needs, and is safe for concurrent use as far as they are.
package cloudwatch
