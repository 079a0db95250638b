package buslocal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
)

// stateChange is the event of the user guide's examples.
const stateChange = `{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"detail":{"instance-id":"i-0123456789","state":"RUNNING","tags":[{"k":"a"},{"k":"b"}],"n":1.50}}`

var taken = time.Date(2015, 11, 11, 21, 29, 55, 0, time.UTC)

// TestTransform goes through the examples of "Amazon EventBridge input transformation" of
// the user guide, and what API_InputTransformer says of quotes.
func TestTransform(t *testing.T) {
	paths := map[string]string{"instance": "$.detail.instance-id", "state": "$.detail.state", "none": "$.detail.none"}
	for name, c := range map[string]struct {
		give buslocal.Transform
		want string
	}{
		"Whole":            {buslocal.Transform{}, stateChange},
		"Constant":         {buslocal.Transform{Input: `{"a":1}`}, `{"a":1}`},
		"Path":             {buslocal.Transform{Path: "$.detail.state"}, `"RUNNING"`},
		"PathBytes":        {buslocal.Transform{Path: "$.detail.n"}, `1.50`},
		"PathToNothing":    {buslocal.Transform{Path: "$.detail.none.deeper"}, `null`},
		"Index":            {buslocal.Transform{Path: "$.resources[0]"}, `"arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"`},
		"IndexBeyond":      {buslocal.Transform{Path: "$.resources[1]"}, `null`},
		"Wildcard":         {buslocal.Transform{Path: "$.detail.tags[*].k"}, `["a","b"]`},
		"String":           {buslocal.Transform{Template: `"instance <instance> is in <state>"`}, `"instance i-0123456789 is in RUNNING"`},
		"EscapedQuotes":    {buslocal.Transform{Template: `"instance \"<instance>\" is in <state>"`}, `"instance \"i-0123456789\" is in RUNNING"`},
		"Object":           {buslocal.Transform{Template: `{"instance" : <instance>, "state": <state>}`}, `{"instance" : "i-0123456789", "state": "RUNNING"}`},
		"ObjectAndStrings": {buslocal.Transform{Template: `{"instance" : <instance>, "state": "<state>", "instanceStatus": "instance \"<instance>\" is in <state>"}`}, `{"instance" : "i-0123456789", "state": "RUNNING", "instanceStatus": "instance \"i-0123456789\" is in RUNNING"}`},
		"Mixed":            {buslocal.Transform{Template: `{"instance" : <instance>, "state": [9, <state>, true], "Transformed" : "Yes"}`}, `{"instance" : "i-0123456789", "state": [9, "RUNNING", true], "Transformed" : "Yes"}`},
		"Predefined":       {buslocal.Transform{Template: `{"arn": <aws.events.rule-arn>, "name": "<aws.events.rule-name> fired", "at": <aws.events.event.ingestion-time>, "event": <aws.events.event.json>}`}, `{"arn": "arn:aws:events:us-east-1:123456789012:rule/example", "name": "example fired", "at": "2015-11-11T21:29:55Z", "event": ` + stateChange + `}`},
		"WithoutDetail":    {buslocal.Transform{Template: `{"event": <aws.events.event>}`}, `{"event": {"account":"123456789012","detail-type":"EC2 Instance State-change Notification","id":"7bf73129-1428-4cd3-a780-95db273d1602","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"source":"aws.ec2","time":"2015-11-11T21:29:54Z","version":"0"}}`},
		"Missing":          {buslocal.Transform{Template: `{"a": <none>, "b": "x<none>y"}`}, `{"a": "", "b": "xy"}`},
		"Unknown":          {buslocal.Transform{Template: `{"a": <nobody>}`}, `{"a": ""}`},
	} {
		t.Run(name, func(t *testing.T) {
			c.give.RuleName, c.give.RuleARN = "example", "arn:aws:events:us-east-1:123456789012:rule/example"
			if c.give.Template != "" {
				c.give.Paths = paths
			}
			got, err := c.give.Apply([]byte(stateChange), taken)
			if err != nil || string(got) != c.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, c.want)
			}
		})
	}
}

func TestTransformRefuses(t *testing.T) {
	for _, path := range []string{"detail", "$detail", "$.", "$.a[", "$..a"} {
		if got, err := (buslocal.Transform{Path: path}).Apply([]byte(stateChange), taken); err == nil {
			t.Errorf("%s gave %s", path, got)
		}
	}
}

func FuzzTransform(f *testing.F) {
	f.Add("$.detail.tags[*].k", `{"a": <x>, "b": "<x>"}`, stateChange)
	f.Fuzz(func(t *testing.T, path, template, event string) {
		for _, give := range []buslocal.Transform{{Path: path}, {Template: template, Paths: map[string]string{"x": path}}} {
			_, _ = give.Apply([]byte(event), taken)
		}
	})
}

func ExampleTransform() {
	give := buslocal.Transform{Template: `"<who> is <what>"`, Paths: map[string]string{"who": "$.detail.instance-id", "what": "$.detail.state"}}
	got, err := give.Apply([]byte(`{"detail": {"instance-id": "i-1", "state": "RUNNING"}}`), time.Time{})
	fmt.Println(string(got), err)
	// Output: "i-1 is RUNNING" <nil>
}
