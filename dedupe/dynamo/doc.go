// Package dynamo stores in a DynamoDB table which events were seen, for package
// dedupe. It sends one signed conditional PutItem per event over net/http,
// without an SDK client, so that the Lambda layer stays small.
//
// # The table
//
// The key is the string attribute pk. The attribute expiry, in epoch seconds, is
// the time to live. [Template] is the table as CloudFormation, and the command
// "throughline dedupe create-table" creates it. The function's role needs
// dynamodb:PutItem and dynamodb:UpdateItem on the table. DynamoDB deletes expired
// items only after days, so the condition of each write checks expiry too.
//
// # What it costs
//
// A new event costs one write. If the order of events is shared, as with
// THROUGHLINE_DEDUPE=dynamodb:<table>, it costs one more, and another one if the
// event has a parent. A rule of THROUGHLINE_ORDER costs one more for an event of
// its earlier type. A repeat costs two writes, because DynamoDB charges a failed
// condition like a write and the repeat is recorded; in the environment that saw
// the event before it costs one. An event that conflicts with another of its
// identity costs one more. A failed handling, and a success after it, cost one
// more each. If events are claimed for one handling, the completion of each costs
// one more. Each write has less than 1 KB, unless results are kept. At the
// on-demand price of $0.625 per million writes (us-east-1, 2026) a million events
// with a parent cost
//
//	flagged                               $0.63
//	flagged, order shared                 $1.88
//	claimed for one handling              $1.25
//	claimed for one, order shared         $2.50
//
// and a week of a million events a day are about 2 GB, or $0.50 a month.
package dynamo
