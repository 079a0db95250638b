package eventsv2local

import (
	"testing"
)

func TestExpressions(t *testing.T) {
	const events = `{"Data":{"resources":["correlation:w","traceparent:00-a"],"detail":{"n":1,"items":[{"id":"a"},{"id":"b"}],"odd name":true}},"Metadata":{"tenant":"t-1"},"SystemMetadata":{"aws:EventId":"e-1"}}`
	for text, want := range map[string]string{
		`{% $events.Data.detail.n %}`:                                                                       `1`,
		`{%$events.Data.detail.items.id%}`:                                                                  `["a","b"]`,
		`{% $events.Data.detail.items[1].id %}`:                                                             `"b"`,
		"{% $events.Data.detail.`odd name` %}":                                                              `true`,
		"{% $events.SystemMetadata.`aws:EventId` %}":                                                        `"e-1"`,
		`{% $substringAfter($events.Data.resources[$contains($, 'traceparent:')], ":") %}`:                  `"00-a"`,
		`{% $events.Data.detail.items[id = "b"] %}`:                                                         ``, // a path without $ in a predicate
		`{% $events.Data.resources[$ = "correlation:w"] %}`:                                                 `"correlation:w"`,
		`{% {"a": $events.Metadata.tenant & "/" & 1, "none": $events.x, "list": [1, -2.5, null, ("x")]} %}`: `{"a":"t-1/1","list":[1,-2.5,null,"x"]}`,
		`{% $exists($events.x) %}`:                                                                          `false`,
		`{% $string($events.Data.detail.items[0]) %}`:                                                       `"{\"id\":\"a\"}"`,
		`{% "a\"b" %}`: `"a\"b"`,
	} {
		e, err := compileExpression(text)
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := e.evaluate([]byte(events)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "$events", "{% %}", "{% $events. %}", "{% $unknown(1) %}", "{% $contains(1) %}", "{% [1 %}", "{% {1 2} %}", `{% "a %}`, "{% (1 %}", "{% 1 2 %}", "{% $events[ %}", "{% -x %}", "{% `a` %}"} {
		if _, err := compileExpression(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	e, err := compileExpression("{% $events.nothing %}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.evaluate([]byte(events)); err == nil {
		t.Errorf("nothing gives %s", got)
	}
}

func FuzzExpressions(f *testing.F) {
	f.Add(`{% {"a": $events.Data[0].b & 'c' = 1} %}`, `{"Data":[{"b":1}]}`)
	f.Fuzz(func(t *testing.T, text, events string) {
		if e, err := compileExpression(text); err == nil {
			_, _ = e.evaluate([]byte(events))
		}
	})
}
