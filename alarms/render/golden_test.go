package render

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
)

// small is a set of few alarms of all shapes: a metric, metric math, a
// percentile, an account's metric, a composite, placeholders, tags.
func small(t *testing.T) alarms.Set {
	t.Helper()
	s, err := alarms.Compile([]byte(`
name: orders
parameters: {OrdersFn: {description: the function}, AlertTopic: {default: "arn:aws:sns:eu-west-1:123456789012:alerts"}}
notify: {critical: ["${AlertTopic}"]}
runbook: https://wiki.example/{kind}-{key}
tags: {team: trade}
logGroups: ["/aws/lambda/${OrdersFn}"]
resources:
  - {kind: lambda, name: "${OrdersFn}", timeout: 30s}
  - {kind: event-rule, bus: orders, name: order-created}
  - {kind: account}
overrides:
  - {match: {kind: lambda}, disable: [errors-any, throttles, async-age, async-drop, dead-letter, destination]}
  - {match: {kind: event-rule}, disable: [failed, throttled]}
  - {match: {kind: account}, disable: [put-failed, put-throttled]}
composites:
  - {name: broken, all: ["${OrdersFn}-errors", orders-order-created-latency]}
`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGolden holds the bytes of every output to what somebody has looked at.
func TestGolden(t *testing.T) {
	s := small(t)
	outputs := map[string][]byte{}
	for name, render := range map[string]func() ([]File, error){
		"alarms.yaml": func() ([]File, error) {
			extra := QueryDefinitions(s, false)
			dashboard, err := DashboardResource(s)
			extra["Dashboard"] = dashboard
			if err != nil {
				return nil, err
			}
			return CloudFormation(s, extra)
		},
		"alarms.sam.yaml": func() ([]File, error) { return SAM(s, nil) },
		"alarms.tf":       func() ([]File, error) { return Terraform(s) },
		"alarms.sh":       func() ([]File, error) { return Shell(s) },
	} {
		files, err := render()
		if err != nil || len(files) != 1 {
			t.Fatal(name, len(files), err)
		}
		outputs[name] = files[0].Data
	}
	resolved, err := s.Resolve(map[string]string{"OrdersFn": "orders"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := Dashboard(resolved, "eu-west-1", "123456789012")
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	outputs["dashboard.json"] = append(indented.Bytes(), '\n')
	for name, got := range outputs {
		path := filepath.Join("testdata", name)
		if os.Getenv("THROUGHLINE_UPDATE") != "" {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was; after a look at the difference, run with THROUGHLINE_UPDATE=1:\n%s", name, got)
		}
	}
}

// TestPicture: the page has a panel a graph, the thresholds of both severities,
// the stretch in alarm, and says of what nothing was recorded.
func TestPicture(t *testing.T) {
	s, err := small(t).Resolve(map[string]string{"OrdersFn": "orders"})
	if err != nil {
		t.Fatal(err)
	}
	data, begin := eval.Table{}, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, a := range s.Alarms {
		if a.Meta.Key != "duration" {
			continue
		}
		series := eval.Series{}
		for i := range int64(60) {
			series[begin.Unix()+i*60] = 1000
			if i >= 20 && i < 30 {
				series[begin.Unix()+i*60] = 29_000
			}
		}
		data[eval.Key(a.Stats()[0])] = series
	}
	var page bytes.Buffer
	if err := Picture(&page, s, data, begin, begin.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<title>Alarms of orders</title>", "2026-11-24 08:00:00 to 2026-11-24 09:00:00 UTC", `<li class="alarm-warning">orders-duration<small>1 page, 10m0s in alarm</small></li>`,
		`<li class="unknown">orders-errors<small>nothing recorded</small></li>`, `<rect class="band"`, `<line class="warning"`, "&gt; 27s", "<polyline", `<div class="none">nothing recorded</div>`, "prefers-color-scheme: dark",
	} {
		if !bytes.Contains(page.Bytes(), []byte(want)) {
			t.Errorf("no %s in\n%s", want, page.Bytes())
		}
	}
	if n, graphs := bytes.Count(page.Bytes(), []byte("<figure>")), len(Panels(s)); n != graphs {
		t.Errorf("%d panels, %d graphs", n, graphs)
	}
	if bytes.Contains(page.Bytes(), []byte("http://")) || bytes.Contains(page.Bytes(), []byte("<script")) {
		t.Error("the page needs something else")
	}
}
