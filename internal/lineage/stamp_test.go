package lineage

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// handledEvent is the event of envelopeOfTrade, being handled.
func handledEvent() *Delivery {
	d := NewReader(Config{}).Read([]byte(envelopeOfTrade))
	return &d
}

func resolve(ctx context.Context, entry Entry, d *Delivery) Outgoing {
	return NewStamper(Config{}).Resolve(ctx, entry, d)
}

func TestResolveOrder(t *testing.T) {
	explicit := ContextWithIDs(t.Context(), "explicit-c", "explicit-x")
	lines := []string{"arn:aws:s3:::b", "correlation:line-c", "causation:line-x"}
	const own = `{"correlation_id":"own-c","causation_id":"own-x"}`
	for _, c := range []struct {
		name                   string
		ctx                    context.Context
		resources              []string
		detail                 string
		d                      *Delivery
		correlation, causation string
	}{
		{"Explicit", explicit, lines, own, handledEvent(), "explicit-c", "explicit-x"},
		{"ExplicitPerField", ContextWithIDs(t.Context(), "", "explicit-x"), lines, own, handledEvent(), "line-c", "explicit-x"},
		{"Resources", t.Context(), lines, own, handledEvent(), "line-c", "line-x"},
		{"ResourcesPerField", t.Context(), lines[:2], own, handledEvent(), "line-c", "own-x"},
		{"Detail", t.Context(), nil, own, handledEvent(), "own-c", "own-x"},
		{"DetailPerField", t.Context(), nil, `{"causation_id":"own-x"}`, handledEvent(), "workflow-1", "own-x"},
		{"Handled", t.Context(), nil, `{}`, handledEvent(), "workflow-1", "trade-1"},
		{"HandledByContext", ContextWithDelivery(t.Context(), handledEvent()), nil, `{}`, nil, "workflow-1", "trade-1"},
		{"DetailAlone", t.Context(), nil, own, nil, "own-c", "own-x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := resolve(c.ctx, Entry{Resources: c.resources, Detail: c.detail}, c.d)
			if out.Lineage.CorrelationID != c.correlation || out.Lineage.CausationID != c.causation || out.Uncorrelated || !out.Lineage.Correlated {
				t.Errorf("%+v", out)
			}
		})
	}
	minted := resolve(t.Context(), Entry{Detail: `{"event_id":"e-1"}`}, nil)
	if len(minted.Lineage.CorrelationID) != 36 || minted.Uncorrelated || minted.Lineage.CausationID != "" || minted.EventID != "e-1" || minted.Lineage.Correlated {
		t.Errorf("minted: %+v", minted)
	}
}

func TestResolveDescent(t *testing.T) {
	handled := handledEvent()
	same := resolve(t.Context(), Entry{Detail: `{"correlation_id":"workflow-1"}`}, handled).Lineage
	if same.ParentID != "trade-1" || same.Hops != 4 || !sameSpan(same.Origin, mustParse(t, unsampledContext)) {
		t.Errorf("the same workflow: %+v", same)
	}
	other := resolve(t.Context(), Entry{Detail: `{"correlation_id":"workflow-2"}`}, handled).Lineage
	if other.ParentID != "trade-1" || other.Hops != 4 || other.Origin.IsValid() {
		t.Errorf("the first event of another workflow: %+v", other)
	}
	input := NewReader(Config{}).Read([]byte(`{"source":"schedule"}`))
	input.Identify("request-1")
	out := resolve(t.Context(), Entry{Detail: `{}`}, &input)
	if l := out.Lineage; l.CorrelationID != "request-1" || out.Uncorrelated || l.Correlated || l.ParentID != "" || l.CausationID != "" || l.Hops != 0 {
		t.Errorf("caused by no event: %+v", out)
	}
}

// A batch: the record that the published detail names, else none.
func TestResolveBatch(t *testing.T) {
	event := func(id, correlation string, hops int) Event {
		return Event{ID: id, Lineage: Lineage{CorrelationID: correlation, Hops: hops, Publisher: Mint(trace.SpanContext{}), Origin: Mint(trace.SpanContext{}), Stamped: true}}
	}
	d := &Delivery{Events: []Event{event("e1", "w1", 1), event("e2", "w2", 2), event("e3", "w2", 5), event("e4", "w4", 9)}}
	d.Events[2].Lineage.Origin = d.Events[1].Lineage.Origin
	for _, c := range []struct {
		name, detail string
		resources    []string
		parent       string
		origin       *Event
		hops         int
	}{
		{"ByCausation", `{"causation_id":"e2"}`, nil, "e2", &d.Events[1], 3},
		{"ByEventID", `{"event_id":"e4","correlation_id":"w4"}`, nil, "e4", &d.Events[3], 10},
		{"ByCorrelation", `{"correlation_id":"w1"}`, nil, "e1", &d.Events[0], 2},
		{"ByCorrelationLine", `{}`, []string{"correlation:w1"}, "e1", &d.Events[0], 2},
		{"ByForwardedStamp", `{}`, []string{"traceparent:" + FormatTraceparent(d.Events[3].Lineage.Publisher)}, "e4", &d.Events[3], 10},
		{"SeveralOfTheWorkflow", `{"correlation_id":"w2"}`, nil, "", &d.Events[1], 3},
		{"AnIDOfAnotherWorkflow", `{"causation_id":"e2","correlation_id":"w1"}`, nil, "e1", &d.Events[0], 2},
		{"SeveralAndTheDomainsCause", `{"correlation_id":"w2","causation_id":"run-7"}`, nil, "", &d.Events[1], 0},
		{"None", `{"correlation_id":"w9"}`, nil, "", nil, 0},
		{"NoIDs", `{}`, nil, "", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := resolve(t.Context(), Entry{Detail: c.detail, Resources: c.resources}, d)
			l := out.Lineage
			if l.ParentID != c.parent || l.Hops != c.hops {
				t.Errorf("parent %q, hops %d; want %q, %d", l.ParentID, l.Hops, c.parent, c.hops)
			}
			var origin trace.SpanContext
			if c.origin != nil {
				origin = c.origin.Lineage.Origin
			}
			if !sameSpan(l.Origin, origin) {
				t.Errorf("origin %v, want %v", l.Origin, origin)
			}
		})
	}
}

// apply stamps entry as published by the span sampledContext.
func apply(t *testing.T, cfg Config, entry Entry, d *Delivery) (Entry, Stamped, Lineage) {
	t.Helper()
	s := NewStamper(cfg)
	l := s.Resolve(t.Context(), entry, d).Lineage
	l.Publisher = mustParse(t, "00-99999999999999999999999999999999-8888888888888888-01")
	stamped, done := s.Apply(entry, l, 1<<20)
	return stamped, done, l
}

const published = "traceparent:00-99999999999999999999999999999999-8888888888888888-01"

func TestApplyResources(t *testing.T) {
	const (
		trade  = `{"correlation_id":"workflow-1","causation_id":"plan-2"}`
		origin = "origin:" + unsampledContext
	)
	handled := handledEvent()
	received := handled.Events[0].Resources
	for _, c := range []struct {
		name, detail string
		resources    []string
		d            *Delivery
		want         []string
	}{
		{"FirstEvent", trade, nil, nil, []string{"correlation:workflow-1", "causation:plan-2", published, "hops:0"}},
		{"NoCause", `{"correlation_id":"c"}`, nil, nil, []string{"correlation:c", published, "hops:0"}},
		{"Caused", trade, nil, handled, []string{"correlation:workflow-1", "causation:plan-2", "parent:trade-1", published, origin, "hops:4"}},
		{"CausedParentIsCause", `{}`, nil, handled, []string{"correlation:workflow-1", "causation:trade-1", published, origin, "hops:4"}},
		{"TheirsFirst", trade, []string{"arn:b", "arn:a", "x"}, nil, []string{"arn:b", "arn:a", "x", "correlation:workflow-1", "causation:plan-2", published, "hops:0"}},
		{"TheirIDsStay", trade, []string{"causation:theirs", "correlation:theirs"}, handled,
			[]string{"causation:theirs", "correlation:theirs", "parent:trade-1", published, "hops:4"}},
		{"Forwarded", `{"event_id":"trade-1","correlation_id":"workflow-1","causation_id":"plan-1"}`, received, handled,
			[]string{received[0], "correlation:workflow-1", "causation:plan-1", "parent:trade-1", published, origin, "hops:4"}},
		{"CallersOwn", trade, []string{"traceparent:" + unsampledContext, "origin:" + sampledContext, "hops:42", "parent:me"}, handled,
			[]string{"traceparent:" + unsampledContext, "origin:" + sampledContext, "hops:42", "parent:me", "correlation:workflow-1", "causation:plan-2"}},
		{"ForwardedOutsideAHandler", trade, received, nil, received},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := slices.Clone(c.resources)
			entry, done, _ := apply(t, Config{}, Entry{Detail: c.detail, Resources: c.resources}, c.d)
			if !slices.Equal(entry.Resources, c.want) {
				t.Errorf("\n got %q\nwant %q", entry.Resources, c.want)
			}
			if !slices.Equal(c.resources, given) {
				t.Errorf("the caller's resources became %q", c.resources)
			}
			if entry.Detail != c.detail || done.Skipped != "" {
				t.Errorf("detail %s, skipped %q", entry.Detail, done.Skipped)
			}
			if added := len(strings.Join(entry.Resources, "")) - len(strings.Join(given, "")); done.Added != added {
				t.Errorf("says it added %d bytes, added %d", done.Added, added)
			}
			again, _, _ := apply(t, Config{}, entry, nil)
			if !slices.Equal(again.Resources, entry.Resources) {
				t.Errorf("stamped twice: %q", again.Resources)
			}
		})
	}
}

func TestApplyNeverWritesIntoTheCallersArray(t *testing.T) {
	array := []string{"arn:a", "untouched", "untouched"}
	entry, _, _ := apply(t, Config{}, Entry{Detail: `{}`, Resources: array[:1]}, nil)
	if array[1] != "untouched" || array[2] != "untouched" || len(entry.Resources) < 3 {
		t.Errorf("array %q, entry %q", array, entry.Resources)
	}
}

func TestApplyIDs(t *testing.T) {
	for _, id := range []string{strings.Repeat("x", 257), "line\nbreak", "Ünïcode"} {
		entry, done, _ := apply(t, Config{}, Entry{Detail: `{"correlation_id":` + quoted(id) + `,"causation_id":"fine"}`}, nil)
		if done.Skipped != SkippedID || !slices.Equal(entry.Resources, []string{"causation:fine", published, "hops:0"}) {
			t.Errorf("%.20q: skipped %q, %q", id, done.Skipped, entry.Resources)
		}
	}
	entry, done, _ := apply(t, Config{}, Entry{Detail: `{"correlation_id":"` + strings.Repeat("x", 256) + `"}`}, nil)
	if done.Skipped != "" || len(entry.Resources[0]) != 256+len("correlation:") {
		t.Errorf("256 bytes: %q %q", done.Skipped, entry.Resources)
	}
}

func TestApplyBudget(t *testing.T) {
	s := func(mode StampMode) *Stamper { return NewStamper(Config{Stamp: mode}) }
	entry := Entry{Detail: `{"a":1}`, Resources: []string{"arn:a"}}
	l := Lineage{CorrelationID: "c", Publisher: mustParse(t, sampledContext)}
	_, lines := s(StampResources).Apply(entry, l, 1<<20)
	_, member := s(StampDetail).Apply(entry, l, 1<<20)
	for _, c := range []struct {
		name    string
		mode    StampMode
		budget  int
		added   int
		skipped string
	}{
		{"Fits", StampResources, lines.Added, lines.Added, ""},
		{"OneByteShort", StampResources, lines.Added - 1, 0, SkippedBudget},
		{"NothingLeft", StampResources, -5, 0, SkippedBudget},
		{"DetailFits", StampDetail, member.Added, member.Added, ""},
		{"DetailOneByteShort", StampDetail, member.Added - 1, 0, SkippedBudget},
		{"BothFit", StampBoth, lines.Added + member.Added, lines.Added + member.Added, ""},
		{"OnlyResourcesFit", StampBoth, lines.Added + member.Added - 1, lines.Added, SkippedBudget},
		{"Off", StampOff, 1 << 20, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, done := s(c.mode).Apply(entry, l, c.budget)
			size := len(got.Detail) + len(strings.Join(got.Resources, ""))
			if done.Added != c.added || done.Skipped != c.skipped || size != len(`{"a":1}arn:a`)+c.added {
				t.Errorf("%+v, size %d; want %d, %q", done, size, c.added, c.skipped)
			}
		})
	}
}

func TestApplyDetail(t *testing.T) {
	const member = `"_throughline":{"correlation":"c","traceparent":"00-99999999999999999999999999999999-8888888888888888-01","hops":0}`
	for _, c := range []struct{ name, detail, want string }{
		{"Empty", `{}`, `{` + member + `}`},
		{"Space", `{ }`, `{` + member + ` }`},
		{"NewLine", "{\n}", "{" + member + "\n}"},
		{"TrailingNewLine", "{\"a\":1}\n", "{\"a\":1," + member + "}\n"},
		{"LeadingSpace", " \t{\"a\" : 1 }", " \t{\"a\" : 1," + member + " }"},
		{"BigInteger", `{"n": 12345678901234567890, "e": 1e3, "f": 1.0}`, `{"n": 12345678901234567890, "e": 1e3, "f": 1.0,` + member + `}`},
		{"NotASCII", `{"é":"ü\u00fc📈"}`, `{"é":"ü\u00fc📈",` + member + `}`},
		{"DuplicateKeys", `{"a":1,"a":2}`, `{"a":1,"a":2,` + member + `}`},
		{"KeyInside", `{"a":{"_throughline":1},"b":"_throughline"}`, `{"a":{"_throughline":1},"b":"_throughline",` + member + `}`},
		{"ExistingKey", `{"_throughline":{"mine":true},"a":1}`, `{"_throughline":{"mine":true},"a":1}`},
		{"ExistingKeyEscaped", `{"_through\u006cine":null}`, `{"_through\u006cine":null}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewStamper(Config{Stamp: StampDetail})
			l := Lineage{CorrelationID: "c", Publisher: mustParse(t, published[len("traceparent:"):])}
			entry, done := s.Apply(Entry{Detail: c.detail}, l, 1<<20)
			if entry.Detail != c.want || done.Skipped != "" || done.Added != len(c.want)-len(c.detail) || entry.Resources != nil {
				t.Errorf("%+v\n got %s\nwant %s", done, entry.Detail, c.want)
			}
			if again, _ := s.Apply(entry, l, 1<<20); again.Detail != entry.Detail {
				t.Errorf("stamped twice: %s", again.Detail)
			}
		})
	}
	for _, detail := range []string{``, ` `, `[]`, `[1]`, `null`, `"{}"`, `{`, `{"a"}`, `{"a":1,}`, `{"a":1}}`, `{"a":1} x`, `not json}`, `{"a":tru}`} {
		entry, done := NewStamper(Config{Stamp: StampDetail}).Apply(Entry{Detail: detail}, Lineage{CorrelationID: "c"}, 1<<20)
		if entry.Detail != detail || done.Skipped != SkippedDetail || done.Added != 0 {
			t.Errorf("%q: %+v, %q", detail, done, entry.Detail)
		}
	}
}

func TestApplyDetailForwarded(t *testing.T) {
	first, _, _ := apply(t, Config{Stamp: StampDetail}, Entry{Detail: `{"event_id":"e1","correlation_id":"w","z":1}`}, nil)
	d := NewReader(Config{}).Read([]byte(`{"id":"env","detail-type":"T","source":"s","resources":[],"detail":` + first.Detail + `}`))
	s := NewStamper(Config{Stamp: StampDetail})
	l := s.Resolve(t.Context(), Entry{Detail: first.Detail}, &d).Lineage
	l.Publisher = mustParse(t, sampledContext)
	entry, done := s.Apply(Entry{Detail: first.Detail}, l, 1<<20)
	want := `{"event_id":"e1","correlation_id":"w","z":1,"_throughline":{"correlation":"w","causation":"e1","traceparent":"` + sampledContext +
		`","origin":"00-99999999999999999999999999999999-8888888888888888-01","hops":1}}`
	if entry.Detail != want || done.Added != len(want)-len(first.Detail) {
		t.Errorf("\n got %s\nwant %s", entry.Detail, want)
	}
	withKey := NewStamper(Config{Stamp: StampDetail, DetailKey: "a\"b\x01"})
	entry, _ = withKey.Apply(Entry{Detail: `{}`}, l, 1<<20)
	if !json.Valid([]byte(entry.Detail)) || !strings.HasPrefix(entry.Detail, `{"a\"b\u0001":{`) {
		t.Errorf("a key that needs escapes: %s", entry.Detail)
	}
}

// FuzzStamp is the round trip of both carriers: whatever the entry, what Apply
// writes Read reads, the user's own lines and members stay, and a detail stays
// well formed with our key in it once.
func FuzzStamp(f *testing.F) {
	f.Add(`{"correlation_id":"c"}`, "correlation:x", "arn:aws:s3:::b", "parent-1", "cause-1", uint16(3), uint8(0))
	f.Add(`{ }`, "traceparent:"+sampledContext, "hops:2", "p", "p", uint16(0), uint8(1))
	f.Add("{\n}\n", "", ":", "\"", "\\", uint16(65535), uint8(2))
	f.Add(`{"_throughline":{"traceparent":"`+sampledContext+`"}}`, "origin:", "parent:p", "", "ü", uint16(9), uint8(2))
	f.Add(`[]`, "a", "b", "c", "d", uint16(1), uint8(1))
	f.Fuzz(func(t *testing.T, detail, line1, line2, parent, causation string, hops uint16, mode uint8) {
		cfg := Config{Stamp: StampMode(mode % 3)}
		l := Lineage{CorrelationID: "workflow", CausationID: causation, ParentID: parent, Hops: int(hops),
			Publisher: Mint(trace.SpanContext{}), Origin: Mint(trace.SpanContext{})}
		given := []string{line1, line2}
		s := NewStamper(cfg)
		entry, done := s.Apply(Entry{Detail: detail, Resources: given}, l, 1<<20)
		if size := len(entry.Detail) + len(strings.Join(entry.Resources, "")); size-len(detail)-len(line1)-len(line2) != done.Added {
			t.Fatalf("added %d bytes, says %d", size, done.Added)
		}
		if given[0] != line1 || given[1] != line2 || !slices.Equal(entry.Resources[:2], given) {
			t.Fatalf("the caller's lines %q became %q", given, entry.Resources)
		}
		if twice, _ := s.Apply(entry, l, 1<<20); !reflect.DeepEqual(twice.Resources, entry.Resources) || twice.Detail != entry.Detail {
			t.Fatalf("stamped twice: %+v", twice)
		}
		if !json.Valid([]byte(detail)) {
			if entry.Detail != detail {
				t.Fatalf("an invalid detail %q became %q", detail, entry.Detail)
			}
			return
		}
		if !json.Valid([]byte(entry.Detail)) {
			t.Fatalf("%q became %q", detail, entry.Detail)
		}
		checkRead(t, cfg, entry, l, given, detail)
	})
}

// checkRead reads a stamped entry as it is delivered.
func checkRead(t *testing.T, cfg Config, entry Entry, l Lineage, given []string, detail string) {
	t.Helper()
	lines, err := json.Marshal(entry.Resources)
	if err != nil {
		t.Fatal(err)
	}
	d := NewReader(cfg).Read([]byte(`{"id":"env","detail-type":"T","source":"s","resources":` + string(lines) + `,"detail":` + entry.Detail + `}`))
	if len(d.Events) != 1 {
		t.Fatalf("%+v read as %+v", entry, d)
	}
	got := d.Events[0].Lineage
	ours := func(s string) bool { at, _ := fieldOf(s); return at >= 0 }
	untouched := !ours(given[0]) && !ours(given[1]) && member([]byte(detail), DefaultDetailKey) == nil
	object := strings.HasPrefix(strings.TrimLeft(detail, " \t\r\n"), "{")
	if !untouched || cfg.Stamp == StampDetail && !object {
		return
	}
	want := l
	if !ValidID(want.CausationID) {
		want.CausationID = d.Events[0].Lineage.CausationID // perhaps the detail's own
	}
	if !ValidID(l.ParentID) || l.ParentID == l.CausationID {
		want.ParentID = got.ParentID
	}
	if !got.Stamped || got.CorrelationID != "workflow" || got.CausationID != want.CausationID || got.ParentID != want.ParentID ||
		got.Hops != l.Hops || !sameSpan(got.Publisher, l.Publisher) || !sameSpan(got.Origin, l.Origin) {
		t.Fatalf("\n got %+v\nwant %+v", got, want)
	}
}

// FuzzForeignCarriers is the round trip of the carriers that others write.
func FuzzForeignCarriers(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), true, uint8(0))
	f.Add(^uint64(0), ^uint64(0), ^uint64(0), false, uint8(1))
	f.Add(uint64(0), uint64(7), uint64(9), true, uint8(2))
	f.Add(uint64(0), uint64(0), uint64(0), true, uint8(3))
	f.Fuzz(func(t *testing.T, high, low, span uint64, sampled bool, carrier uint8) {
		want := contextOf(high, low, span, sampled)
		detail, header := foreign(want, low, span, carrier)
		record := sqsRecord(detail)
		if header != "" {
			record = sqsRecord(detail, `"AWSTraceHeader":"`+header+`"`)
		}
		got := NewReader(Config{}).Read([]byte(records(record))).Events[0].Lineage
		if want.IsValid() != got.Publisher.IsValid() || want.IsValid() && (!sameSpan(want, got.Publisher) || want.IsSampled() != got.Publisher.IsSampled()) || got.Stamped {
			t.Fatalf("%s %s: %v, want %v", detail, header, got.Publisher, want)
		}
	})
}
