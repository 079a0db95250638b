package ruleset

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/eventsv2local"
)

// TestSubscribersOfAnAccount: subscribers of a new custom bus are judged as rules are; one that
// asks more than the data tells is said not to be known.
func TestSubscribersOfAnAccount(t *testing.T) {
	service := eventsv2local.New(eventsv2local.Options{})
	defer service.Close()
	server := httptest.NewServer(service)
	defer server.Close()
	bus, err := service.CreateBus("orders", 0)
	if err != nil {
		t.Fatal(err)
	}
	const fulfil = "arn:aws:lambda:us-east-1:123456789012:function:fulfil"
	service.Target(fulfil, eventsv2local.Function{FunctionName: "fulfil"})
	data := func(pattern string) eventsv2local.Filter {
		return eventsv2local.Filter{Pattern: pattern, Scope: eventsv2local.ScopeData}
	}
	for name, filters := range map[string][]eventsv2local.Filter{
		"both":  {data(`{"source":["shop"]}`), data(`{"detail":{"total":[{"numeric":[">",5]}]}}`)},
		"other": {data(`{"source":["web"]}`)},
		"more":  {data(`{"source":["shop"]}`), {Pattern: `{"a":["b"]}`, Scope: eventsv2local.ScopeMetadata}},
		"all":   nil,
	} {
		if _, err := bus.Subscribe(eventsv2local.Spec{Name: name, Invoke: eventsv2local.Invoke{TargetARN: fulfil}, Filters: filters, Stopped: name == "all"}); err != nil {
			t.Fatal(err)
		}
	}
	flags := Flags{Buses: []string{bus.ARN}}
	set, err := flags.Load(t.Context(), func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "key", "")}, nil
	}, false, terminal.NewProgress(&cobra.Command{}))
	if err != nil {
		t.Fatal(err)
	}
	event, err := eventpattern.Read([]byte(`{"source":"shop","detail-type":"T","detail":{"total":9}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"both": true, "other": false, "more": false, "all": true}
	for i := range set.Rules {
		r := &set.Rules[i]
		v, on := r.Judge(event, "orders")
		if !on || v.Matches() != want[r.Name] || r.Disabled != (r.Name == "all") || (r.Wrong != "") != (r.Name == "more") || r.Targets[0].Name != "fulfil" || r.Targets[0].Attempts != 5 {
			t.Errorf("%s: %v %+v", r.Name, v.Matches(), r)
		}
		delete(want, r.Name)
	}
	if len(want) > 0 {
		t.Errorf("%v were not read", want)
	}
}
