package pythonshim

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// lambdaTrace is what Lambda gives an invocation, and boto3Trace how boto3 sends it on.
const (
	lineagePart = ";Lineage=25:3c8f1a2b:0|ab:1"
	lambdaTrace = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300" + lineagePart
	boto3Trace  = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300;Lineage=25:3c8f1a2b:0%7Cab:1"
)

// carriedRoot is what messages carry up to the ID of their span.
const carriedRoot = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent="

// handled is what stands in the file of the events in hand, with what calls carry.
func handled(carry string) string {
	return strings.Replace("["+stands.Current+"]", `"events":1`, `"events":1,"trace":"`+lambdaTrace+`"`+carry, 1)
}

// carriedPart is the member of it that says what calls carry.
const carriedPart = `,"carry":"` + carriedRoot + `{span}` + lineagePart + `"`

// hop is what is told of a call, in short.
func hop(h stands.Hop) string {
	ids := slices.Clone(h.IDs)
	for i := range ids {
		ids[i] = uuids.ReplaceAllString(ids[i], "uuid")
	}
	target := h.Target[strings.LastIndexAny(h.Target, "/:")+1:]
	failed := ""
	for code, n := range h.Failed {
		failed += fmt.Sprintf(" %s=%d", code, n)
	}
	batch := ""
	if h.Batch > 0 {
		batch = strconv.Itoa(h.Batch) + " of "
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s%s %d %s %s%s %s", h.Outcome, h.Operation, batch, target, h.Size, h.InvocationType, strings.Join(ids, ","), failed, h.Error)), " ")
}

// told of each call of testdata/hops.py, as the #th call of its process.
var toldOf = map[string]string{
	"send":      "answered SendMessage orders.fifo 13 message-#",
	"batch":     "answered SendMessageBatch 10 of orders.fifo 175 message-#-0,message-#-1,message-#-2,message-#-3,message-#-4,message-#-5,message-#-6,message-#-7,message-#-8,message-#-9",
	"resource":  "answered SendMessage orders.fifo 4 message-#",
	"large":     "answered SendMessage orders.fifo 1048575 message-#",
	"publish":   "answered Publish alerts 13 message-#",
	"topic":     "answered Publish alerts 4 message-#",
	"sms":       "answered Publish 4 message-#",
	"publishes": "answered PublishBatch 10 of alerts 175 message-#-0,message-#-1,message-#-2,message-#-3,message-#-4,message-#-5,message-#-6,message-#-7,message-#-8,message-#-9",
	"sync":      "answered Invoke worker 38 RequestResponse request-#",
	"async":     "answered Invoke live 2 Event request-#",
	"file":      "answered Invoke worker 0 RequestResponse request-#",
	"start":     "answered StartExecution rebalance 7 arn:aws:states:us-east-1:123456789012:execution:m:e-#",
	"startsync": "answered StartSyncExecution rebalance 2 arn:aws:states:us-east-1:123456789012:execution:m:e-#",
	"success":   "answered SendTaskSuccess 2", "failure": "answered SendTaskFailure 3", "heartbeat": "answered SendTaskHeartbeat 0",
	"schedule": "answered CreateSchedule open 7 arn:aws:scheduler:us-east-1:123456789012:schedule/default/open",
	"record":   "answered PutRecord ticks 2 shardId-0:#",
	"records":  "answered PutRecords 10 of ticks 55 shardId-0:#0,shardId-0:#1,shardId-0:#2,shardId-0:#3,shardId-0:#4,shardId-0:#5,shardId-0:#6,shardId-0:#7,shardId-0:#8,shardId-0:#9",
	"many":     "answered PutRecords 300 of ticks 300 " + strings.Join(sequences(300), ","),
}

func sequences(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint("shardId-0:#", i))
	}
	return list
}

// allTold is what is told of calls that are made in turn.
func allTold(calls string) (told []string) {
	for i, name := range strings.Split(calls, ",") {
		told = append(told, strings.ReplaceAll(toldOf[name], "#", strconv.Itoa(i+1)))
	}
	return told
}

const (
	everyCall = "send,batch,resource,publish,topic,sms,sync,async,file,start,success,failure,heartbeat,record,records"
	newCalls  = everyCall + ",publishes,startsync,schedule,large" // that boto3 of 2020 has not
)

var hopCases = []struct {
	name     string
	sets     []string
	modes    []string
	function function
	told     []string
	left     int // calls to SQS and SNS whose header is left alone under carry
}{
	{"every call", []string{"old"}, modes, function{script: "hops.py", env: []string{"CALLS=" + everyCall}}, allTold(everyCall), 0},
	{"every call", base, modes, function{script: "hops.py", env: []string{"CALLS=" + newCalls}}, allTold(newCalls), 0},
	{"partly", []string{"old"}, join, function{script: "hops.py", env: []string{"CALLS=batch,records"}, bus: stands.Bus{Partly: true}}, []string{
		"answered SendMessageBatch 10 of orders.fifo 175 message-1-0,message-1-2,message-1-4,message-1-6,message-1-8 InternalError=5",
		"answered PutRecords 10 of ticks 55 shardId-0:20,shardId-0:22,shardId-0:24,shardId-0:26,shardId-0:28 ProvisionedThroughputExceededException=5"}, 0},
	{"partly, refused before they are sent, and another call", base, carry, function{script: "hops.py", env: []string{"CALLS=batch,publishes,eleven,invalid,other"}, bus: stands.Bus{Partly: true}}, []string{
		"answered SendMessageBatch 10 of orders.fifo 175 message-1-0,message-1-2,message-1-4,message-1-6,message-1-8 InternalError=5",
		"answered PublishBatch 10 of alerts 175 message-2-0,message-2-2,message-2-4,message-2-6,message-2-8 InternalError=5",
		"answered SendMessage orders.fifo 13 InvalidParameterValue"}, 0},
	{"refused", base, join, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, bus: fails(9, 400, "AccessDeniedException")}, []string{
		"answered SendMessage orders.fifo 13 AccessDeniedException", "answered Publish alerts 13 AccessDeniedException", "answered Invoke worker 38 RequestResponse AccessDeniedException"}, 0},
	{"retried", base, carry, function{script: "hops.py", env: []string{"CALLS=send", fmt.Sprintf(mode, "standard")}, bus: fails(2, 500, "InternalError")}, []string{"answered SendMessage orders.fifo 13 message-3"}, 0},
	{"nobody there", base, carry, function{script: "hops.py", env: []string{"CALLS=send", `CONFIG={"retries":{"max_attempts":0}}`, "AWS_ENDPOINT_URL=http://127.0.0.1:1"}}, []string{
		"failed SendMessage orders.fifo 13 EndpointConnectionError"}, 0},
	{"off", base, []string{"off", "OFF "}, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}}, nil, 0},
	{"no extension", base, carry, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, gone: true}, nil, 0},
	{"no files", base, carry, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, alone: true}, allTold("send,publish,sync"), 2},
	{"an extension that hangs", base, carry, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, answer: hang}, allTold("send,publish,sync"), 0},
	{"one that hangs, no files", base, carry, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, answer: hang, alone: true}, nil, 0},
	{"an extension that answers rubbish, no files", base, carry, function{script: "hops.py", env: []string{"CALLS=send,publish,sync"}, answer: rubbish, alone: true}, nil, 0},
	{"an extension that leaves the header alone", base, carry, function{script: "hops.py", env: []string{"CALLS=send"}, current: handled("")}, allTold("send"), 1},
	{"of many invocations", base, carry, function{script: "hops.py", env: []string{"CALLS=send"}, current: strings.TrimSuffix(handled(carriedPart), "]") + "," + strings.Replace(handled(carriedPart), "9a91", "9a92", 1)[1:]}, allTold("send"), 0},
	{"of no invocation in hand", base, carry, function{script: "hops.py", env: []string{"CALLS=send"}, current: "[]"}, allTold("send"), 1},
	{"rubbish for what is in hand", base, carry, function{script: "hops.py", env: []string{"CALLS=send"}, current: `{"a":`}, allTold("send"), 1},
	{"more than a line of the pipe", base, modes, function{script: "hops.py", env: []string{"CALLS=many,send"}}, allTold("many,send"), 0},
	{"a tracer's header", base, carry, function{script: "hopsled.py"}, []string{"answered SendMessage orders.fifo 4 message-1", "answered SendMessage orders.fifo 4 message-2"}, 1},
	{"aioboto3", []string{"async"}, carry, function{script: "hopsaio.py", sorted: true}, allTold("resource"), 0},
	{"handlers that raise", both, join, function{script: "hopsraising.py"}, append(slices.Repeat([]string{"unknown SendMessage orders.fifo 4 Mine"}, 4), "answered SendMessage orders.fifo 4 message-2", "answered SendMessage orders.fifo 4 message-3", "answered SendMessage orders.fifo 4 message-4"), 0},
	{"KeyboardInterrupt", base, join, function{script: "hopscancelled.py", bus: stands.Bus{Slow: 400 * time.Millisecond}}, []string{"answered SendMessage orders.fifo 4 message-1", "cancelled SendMessage orders.fifo 4"}, 0},
	{"moto", base, join, function{script: "hopsmocked.py"}, []string{"answered SendMessage orders 4 uuid", "answered SendMessageBatch 2 of orders 2 uuid,uuid", "answered Publish alerts 4 uuid"}, 0},
}

var (
	join  = []string{"join"}
	carry = []string{"carry"}
	modes = []string{"join", "carry"}
)

// newest is the newest of several versions of Python.
func newest(pythons map[string]string) map[string]string {
	minor := func(version string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(version, "3."))
		return n
	}
	last := slices.MaxFunc(slices.Collect(maps.Keys(pythons)), func(a, b string) int { return minor(a) - minor(b) })
	return map[string]string{last: pythons[last]}
}

// TestHops: calls that leave the bus go out byte for byte as without the shim, with
// the header that the extension says under carry, and each call is told once.
func TestHops(t *testing.T) {
	for _, tt := range hopCases {
		for _, set := range tt.sets {
			pythons := versions(t, set)
			if tt.name != "every call" && os.Getenv("THROUGHLINE_SOAK") == "" {
				pythons = newest(pythons)
			}
			for version, python := range pythons {
				for _, mode := range tt.modes {
					t.Run(strings.Join([]string{tt.name, set, version, mode}, " "), func(t *testing.T) {
						s := newScene(t)
						f := tt.function
						f.hops, f.carry, f.current = len(tt.told), mode == "carry", cmp.Or(f.current, handled(carriedPart))
						f.env = append([]string{"THROUGHLINE_HOPS=" + mode, "AWS_LAMBDA_FUNCTION_NAME=f", "_X_AMZN_TRACE_ID=" + lambdaTrace}, f.env...)
						with, about := s.both(t, python, f)
						got, carriers := []string{}, 0
						for _, h := range about.hops {
							got = append(got, hop(h))
							if h.End < h.Start || h.Start == 0 || h.Region != "us-east-1" {
								t.Errorf("told %+v", h)
							}
							if h.TraceID != "" {
								carriers++
							}
						}
						if !slices.Equal(got, tt.told) && len(got)+len(tt.told) > 0 {
							t.Errorf("told\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(tt.told, "\n"), with.Stdout)
						}
						messages := 0
						for _, h := range about.hops {
							if h.Service == "sqs" || h.Service == "sns" {
								messages++
							}
						}
						if want := map[string]int{"join": 0, "carry": messages - tt.left}[mode]; carriers != want || about.carried < want && tt.name != "nobody there" || want == 0 && about.carried > 0 {
							t.Errorf("%d carry, %d requests", carriers, about.carried)
						}
						for _, r := range with.Received {
							if r.Signed != "yes" {
								t.Errorf("its signature: %+v", r)
							}
						}
					})
				}
			}
		}
	}
}
