// Package dynamo keeps in a DynamoDB table which events were seen, for package
// dedupe: one signed conditional PutItem over net/http an event, and no SDK
// client, so that the Lambda layer stays small.
//
// # The table
//
// Its key is the string attribute pk; expiry, in epoch seconds, is the attribute
// for time to live. [Template] is the table as CloudFormation, and the command
// "throughline dedupe create-table" makes it. The function's role needs
// dynamodb:PutItem and dynamodb:UpdateItem on it. DynamoDB deletes what has
// expired days later, so the condition of each write looks at expiry itself.
//
// # What it costs
//
// A new event is one write. Where the order of events is shared, as
// THROUGHLINE_DEDUPE=dynamodb:<table> does, it is one more, and another one if
// the event has a parent. A rule of THROUGHLINE_ORDER is one more for an event of
// its earlier type. An event that comes again is two writes, because a condition
// that fails is charged like a write and the repeat is noted; to the environment
// that saw it before it is one. An event that conflicts with another one of its
// identity is one more. A handling that failed, and one that then succeeded, is
// one more each. Where events are claimed for one handling, completing each is
// one more. All are of less than 1 KB, unless results are kept. At the on-demand
// price of $0.625 per million writes (us-east-1, 2026) a million events with a
// parent cost
//
//	flagged                               $0.63
//	flagged, order shared                 $1.88
//	claimed for one handling              $1.25
//	claimed for one, order shared         $2.50
//
// and a week of a million events a day are about 2 GB, or $0.50 a month.
package dynamo
