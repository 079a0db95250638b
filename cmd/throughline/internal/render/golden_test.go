package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/peertest"
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
  - {match: {kind: lambda}, disable: [errors-any, throttles]}
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
			extra := QueryDefinitions(s)
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

// pictured is a set of which one alarm is in alarm at the end, two are fine or without data.
func pictured(t *testing.T) (s alarms.Set, data eval.Data, from, to time.Time) {
	t.Helper()
	s, err := small(t).Resolve(map[string]string{"OrdersFn": "orders"})
	if err != nil {
		t.Fatal(err)
	}
	table, begin := eval.Table{}, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, a := range s.Alarms {
		series := eval.Series{}
		for i := range int64(60) {
			switch at := begin.Unix() + i*60; {
			case a.Meta.Key == "duration" && i >= 20 && i < 30:
				series[at] = 29_000
			case a.Meta.Key == "duration":
				series[at] = 1000
			case a.Meta.Key == "concurrency":
				series[at] = float64(i % 3)
			}
		}
		if len(series) > 0 {
			table[eval.Key(a.Stats()[0])] = series
		}
	}
	return s, table, begin, begin.Add(time.Hour)
}

// TestPicture: the page leads with what was in alarm, has a panel a graph in words, with
// axes, thresholds and stretches in alarm, and folds what has no data.
func TestPicture(t *testing.T) {
	s, data, from, to := pictured(t)
	var page bytes.Buffer
	if err := Picture(&page, s, data, from, to); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	at := 0
	for _, want := range []string{ // in this order
		"<title>Alarms of orders</title>", "2026-11-24 08:00:00 to 2026-11-24 09:00:00 UTC", `<li class="now zero"><b>0</b> in alarm</li>`, `<li class="was"><b>1</b> was in alarm before</li>`, "<li class=\"none\"><b>2</b> without data</li>",
		`<h2 id="alarmed">In alarm</h2>`, "<h3>orders-duration</h3>", "The longest invocation comes near the function&#39;s time-out.", `<b>warning</b> It was in alarm from 08:21 to 08:31, for 10m`,
		">30s</span>", ">0ms</span>", `aria-label="orders-duration: between 1s and 29s; It was in alarm from`, `<rect class="band" x="140.0" y="0" width="66.7"`, `<polyline points="3.3,`, `<line class="warning"`, ">08:15</span>", ">08:45</span>",
		"Maximum of AWS/Lambda Duration (FunctionName orders), each 1m.", `<span class="warning">warning</span> above 27s in one period of 1m.`, `<a href="https://wiki.example/lambda-duration">Runbook</a>`,
		`<h2 id="fine">Fine</h2>`, "It was never in alarm", `<h2 id="none">Without data</h2>`, "<summary>2 panels have no data in these metrics</summary>", "orders-errors",
	} {
		next := strings.Index(text[at:], want)
		if next < 0 {
			t.Fatalf("no %s in its place in\n%s", want, text)
		}
		at += next
	}
	if n, graphs := strings.Count(text, "<figure class=")+2, len(Panels(s)); n != graphs {
		t.Errorf("%d panels, %d graphs", n, graphs)
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "src=") {
		t.Error("the page needs something else")
	}
}

func TestPictureOfNowAndOfNothing(t *testing.T) {
	s, data, from, to := pictured(t)
	var page bytes.Buffer
	if err := Picture(&page, s, data, from, to.Add(-35*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<li class="now"><b>1</b> in alarm</li>`, `<figure class="now">`, "It is in alarm since 08:21, for 4m"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %s in\n%s", want, page.String())
		}
	}
	page.Reset()
	if err := Picture(&page, s, eval.Table{}, from, to); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); !strings.Contains(text, "Nothing was in alarm.") || strings.Contains(text, "<figure") {
		t.Errorf("of nothing:\n%s", text)
	}
}

// TestPictureIsAccessible holds the page, light and dark, wide and on a phone, to WCAG.
func TestPictureIsAccessible(t *testing.T) {
	b := peertest.Chromium(t)
	s, data, from, to := pictured(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Picture(file, s, data, from, to), file.Close()); err != nil {
		t.Fatal(err)
	}
	for _, view := range []struct {
		width int
		dark  bool
	}{{390, false}, {1200, false}, {390, true}, {1200, true}} {
		b.View(view.width, 800, view.dark)
		b.Open("file://"+file.Name(), "document.readyState === 'complete'")
		b.Eval("document.querySelector('details').open = true", nil)
		var page struct {
			Wide     int
			Overlaps []string
		}
		b.Eval(`(() => { const overlaps = [];
			for (const axis of document.querySelectorAll('.columns, .rows')) { const boxes = [...axis.children].map((n) => n.getBoundingClientRect());
				boxes.forEach((a, i) => boxes.slice(i + 1).forEach((c) => { if (a.left < c.right && c.left < a.right && a.top < c.bottom && c.top < a.bottom) overlaps.push(axis.textContent); }));
				for (const box of boxes) if (box.left < 0 || box.right > innerWidth) overlaps.push('outside: ' + axis.textContent); }
			return { wide: document.documentElement.scrollWidth - innerWidth, overlaps }; })()`, &page)
		if page.Wide > 0 || len(page.Overlaps) > 0 {
			t.Errorf("at %d: %+v", view.width, page)
		}
		for _, wrong := range b.Axe("../../../..") {
			t.Errorf("at %d, dark %t: %s", view.width, view.dark, wrong)
		}
	}
	if asked := b.Asked(); len(asked) > 2 {
		t.Errorf("it asked for %v", asked)
	}
}

func TestAxes(t *testing.T) {
	s, _, _, _ := pictured(t)
	alarm := func(key string) alarms.Alarm {
		for _, a := range s.Alarms {
			if a.Meta.Key == key {
				return a
			}
		}
		t.Fatal(key)
		return alarms.Alarm{}
	}
	bytesAlarm := alarm("duration")
	bytesAlarm.Meta.Origins = []alarms.Origin{{Field: "threshold", Value: "800 bytes"}}
	for name, tt := range map[string]struct {
		a         alarms.Alarm
		low, high float64
		whole     bool
		want      string
	}{
		"Milliseconds": {alarm("duration"), 0, 29_700, false, "[0ms 10s 20s 30s]"},
		"Bytes":        {bytesAlarm, 0, 1_070_000, false, "[0B 512KiB 1MiB 1.5MiB]"},
		"FewBytes":     {bytesAlarm, 0, 3, false, "[0B 1B 2B 3B]"},
		"Counts":       {alarms.Alarm{}, 0, 1, true, "[0 1]"},
		"Shares":       {alarms.Alarm{}, 0, 1, false, "[0 0.5 1]"},
		"Below":        {alarms.Alarm{}, -7, 12, false, "[-10 -5 0 5 10 15]"},
		"Many":         {alarms.Alarm{}, 0, 123_456, true, "[0 50000 100000 150000]"},
		"Tiny":         {alarms.Alarm{}, 0, 0.003, false, "[0 0.001 0.002 0.003]"},
	} {
		var got []string
		for _, mark := range scale(tt.a, tt.low, tt.high, tt.whole) {
			got = append(got, alarms.Readable(tt.a, mark))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, want %s", name, got, tt.want)
		}
	}
	at := time.Date(2026, 11, 24, 8, 7, 0, 0, time.UTC)
	for _, long := range []time.Duration{time.Minute, 11 * time.Minute, time.Hour, 5 * time.Hour, 26 * time.Hour, 9 * 24 * time.Hour, 400 * 24 * time.Hour} {
		list := times(at, at.Add(long))
		if len(list) < 1 || len(list) > 6 {
			t.Errorf("%s has the times %v", long, list)
		}
	}
}
