package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/alarms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func set(t *testing.T) alarms.Set {
	t.Helper()
	text, err := os.ReadFile("../testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := alarms.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err = s.Resolve(map[string]string{"OrdersFn": "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plan(t *testing.T, f *fake, s alarms.Set, adopt ...string) Plan {
	t.Helper()
	p, err := Make(t.Context(), f, s, adopt, alarms.DefaultPrices(), f.pace())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apply(t *testing.T, f *fake, s alarms.Set, adopt ...string) {
	t.Helper()
	if err := Apply(t.Context(), f, plan(t, f, s, adopt...), f.pace(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestConversion(t *testing.T) {
	for _, a := range set(t).Owned().Alarms {
		f := newFake()
		if _, err := f.PutMetricAlarm(t.Context(), putMetricAlarm(a)); err != nil {
			t.Fatal(err)
		}
		back := fromMetricAlarm(f.metric[a.Name])
		back.Tags = fromTags(f.tags[arn(a.Name)])
		if !alarms.Equal(a, back) || back.Hash() != a.Hash() {
			t.Errorf("%s: %+v", a.Name, alarms.Diff(a, back))
		}
	}
}

func TestApplyThenNothing(t *testing.T) {
	f, s := newFake(), set(t)
	first := plan(t, f, s)
	if len(first.Steps) != len(s.Alarms)+len(s.Composites) || first.Dollars() < 5 {
		t.Fatalf("%d steps, $%.2f", len(first.Steps), first.Dollars())
	}
	apply(t, f, s)
	if p := plan(t, f, s); !p.Empty() || p.Kept != len(first.Steps) {
		t.Errorf("%+v", p)
	}
	// What the spec drops is deleted, composite first; what it changes is changed, tags too.
	smaller := s
	smaller.Composites, smaller.Alarms = nil, append([]alarms.Alarm(nil), s.Alarms[:5]...)
	smaller.Alarms[0].Threshold++
	smaller.Alarms[1].Tags = []alarms.Tag{{Key: "team", Value: "trade"}}
	p := plan(t, f, smaller)
	count := map[Action]int{}
	for _, step := range p.Steps {
		count[step.Action]++
	}
	if count[Delete] != len(first.Steps)-5 || count[Change] != 1 || count[Retag] != 1 || p.Dollars() >= 0 {
		t.Errorf("%v, $%.2f", count, p.Dollars())
	}
	apply(t, f, smaller)
	if len(f.metric) != 5 || len(f.composite) != 0 || !plan(t, f, smaller).Empty() {
		t.Errorf("%d alarms left", len(f.metric))
	}
	// A tag that the spec drops goes.
	smaller.Alarms[1].Tags = nil
	apply(t, f, smaller)
	if text := fmt.Sprint(fromTags(f.tags[arn(smaller.Alarms[1].Name)])); strings.Contains(text, "team") || !plan(t, f, smaller).Empty() {
		t.Error(text)
	}
	if f.unpaced > 0 {
		t.Errorf("%d changes came faster than three a second", f.unpaced)
	}
}

// TestPartial: a set without some of its resources deletes nothing and makes no alarm
// watch less; what it has, it changes.
func TestPartial(t *testing.T) {
	const text = "name: p\nwatch: essential\nparameters: {R: {logicalId: R}}\nresources:\n  - {kind: lambda, name: f, timeout: 60s, async: true}\n  - {kind: event-rule, name: r, of: f}\n  - {kind: event-rule, name: \"${R}\", of: f}\n  - {kind: event-rule, name: \"${R}\", bus: b}\n"
	f := newFake()
	known := func(text string, values map[string]string) alarms.Set {
		s, _, err := alarms.CompileKnown([]byte(text), values)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = s.Resolve(values); err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := known(text, map[string]string{"R": "made-up"})
	apply(t, f, whole)
	part := known(text, nil)
	if p := plan(t, f, part); !part.Partial || !p.Empty() || p.Kept != len(whole.Alarms)+len(whole.Composites) || len(part.Alarms) >= len(whole.Alarms) {
		t.Errorf("%+v", p)
	}
	p := plan(t, f, known(strings.Replace(text, "60s", "30s", 1), nil))
	if len(p.Steps) != 2 || p.Steps[0].Action != Change {
		t.Errorf("%+v", p.Steps)
	}
	f = newFake()
	apply(t, f, part)
	if p := plan(t, f, part); !p.Empty() {
		t.Errorf("%+v", p.Steps)
	}
	apply(t, f, whole)
	if p := plan(t, f, whole); !p.Empty() {
		t.Errorf("%+v", p.Steps)
	}
	destroy, err := MakeDestroy(t.Context(), f, part, alarms.DefaultPrices(), f.pace())
	if err != nil || len(destroy.Steps) != len(whole.Alarms)+len(whole.Composites) {
		t.Errorf("%+v, %v", destroy.Steps, err)
	}
}

func TestHandEdit(t *testing.T) {
	f, s := newFake(), set(t)
	apply(t, f, s)
	name := s.Alarms[0].Name
	edited := f.metric[name]
	edited.Threshold, edited.ActionsEnabled = aws.Float64(99), aws.Bool(false)
	f.metric[name] = edited
	p := plan(t, f, s)
	if len(p.Steps) != 1 || !p.Steps[0].Edited || p.Steps[0].Conflict || p.Steps[0].Action != Change {
		t.Fatalf("%+v", p.Steps)
	}
	found, err := Drift(t.Context(), f, nil, nil, s, f.pace())
	if err != nil || len(found) != 2 || found[0].Class != Edited || found[1].Class != Muted || len(found[0].Changes) == 0 {
		t.Errorf("%+v, %v", found, err)
	}
	s.Alarms[0].EvaluationPeriods++
	if p := plan(t, f, s); !p.Steps[0].Conflict {
		t.Errorf("%+v", p.Steps)
	}
	apply(t, f, s)
	if *f.metric[name].Threshold == 99 || !plan(t, f, s).Empty() {
		t.Error("the hand edit stays")
	}
}

func TestForeignAlarmsAreLeftAlone(t *testing.T) {
	f, s := newFake(), set(t)
	taken, other := s.Alarms[0], s.Alarms[1]
	taken.Threshold, other.Name = 12345, s.Prefix+"of-somebody-else"
	for _, a := range []alarms.Alarm{taken, other} {
		if _, err := f.PutMetricAlarm(t.Context(), putMetricAlarm(a)); err != nil {
			t.Fatal(err)
		}
	}
	p := plan(t, f, s)
	if got := p.Refused(); len(got) != 1 || got[0] != taken.Name || len(p.LeftAlone) != 1 {
		t.Fatalf("%v, %v", got, p.LeftAlone)
	}
	before := len(f.metric)
	if err := Apply(t.Context(), f, p, f.pace(), nil); err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "--adopt "+taken.Name) {
		t.Error(err)
	}
	if len(f.metric) != before || *f.metric[taken.Name].Threshold != 12345 {
		t.Error("a foreign alarm was touched")
	}
	found, err := Drift(t.Context(), f, nil, nil, s, f.pace())
	if err != nil || fmt.Sprint(found) == "" || found[0].Class != Foreign && !strings.Contains(fmt.Sprint(found), string(Foreign)) {
		t.Error(found, err)
	}
	apply(t, f, s, taken.Name)
	if *f.metric[taken.Name].Threshold == 12345 || !plan(t, f, s).Empty() {
		t.Error("not adopted")
	}
	destroy, err := MakeDestroy(t.Context(), f, s, alarms.DefaultPrices(), f.pace())
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), f, destroy, f.pace(), nil); err != nil {
		t.Fatal(err)
	}
	if len(f.metric) != 1 || f.metric[other.Name].AlarmName == nil {
		t.Errorf("destroy left %d alarms", len(f.metric))
	}
}

// TestKilledAfterAnyCall: however far an apply came, the next one converges and
// nothing of a stranger's is touched.
func TestKilledAfterAnyCall(t *testing.T) {
	s := set(t)
	s.Alarms = s.Alarms[:12]
	for i := range s.Composites {
		s.Composites[i].Rule = fmt.Sprintf("ALARM(%q) OR ALARM(%q)", s.Alarms[0].Name, s.Alarms[1].Name)
	}
	changed := s
	changed.Alarms = append([]alarms.Alarm(nil), s.Alarms[:9]...)
	for i := range changed.Alarms {
		changed.Alarms[i].Threshold++
		changed.Alarms[i].Tags = []alarms.Tag{{Key: "round", Value: "2"}}
	}
	changed.Composites = nil
	for k := 1; ; k++ {
		f := newFake()
		apply(t, f, s)
		p := plan(t, f, changed)
		f.calls, f.failAfter = 0, k
		err := Apply(t.Context(), f, p, f.pace(), nil)
		f.failAfter = 0
		if err == nil {
			t.Logf("an apply of %d calls", k-1)
			if k < 20 {
				t.Error("too few calls to have done it")
			}
			return
		}
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "steps are done") {
			t.Fatal(err)
		}
		apply(t, f, changed)
		if next := plan(t, f, changed); !next.Empty() || len(f.metric) != 9 {
			t.Fatalf("killed after %d calls, and the next apply leaves %+v", k, next.Steps)
		}
	}
}

func TestFourHundredAlarms(t *testing.T) {
	f, s := newFake(), set(t)
	a := s.Alarms[3]
	s.Alarms, s.Composites = nil, nil
	for i := range 400 {
		a.Name = fmt.Sprintf("%smany-%03d", s.Prefix, i)
		s.Alarms = append(s.Alarms, a)
	}
	begin, steps := f.now, 0
	if err := Apply(t.Context(), f, plan(t, f, s), f.pace(), func(Step, error) { steps++ }); err != nil {
		t.Fatal(err)
	}
	if took := f.now.Sub(begin); took < 132*time.Second || took > 140*time.Second || steps != 400 || f.unpaced > 0 {
		t.Errorf("400 alarms took %s by the clock, %d steps, %d too fast", took, steps, f.unpaced)
	}
	destroy, err := MakeDestroy(t.Context(), f, s, alarms.DefaultPrices(), f.pace())
	if err != nil {
		t.Fatal(err)
	}
	f.calls = 0
	if err := Apply(t.Context(), f, destroy, f.pace(), nil); err != nil || f.calls != 4 || len(f.metric) != 0 {
		t.Errorf("%d calls, %d left, %v", f.calls, len(f.metric), err)
	}
}

func TestPartialFailure(t *testing.T) {
	f, s := newFake(), set(t)
	s.Composites = nil
	orphan := s.Alarms[0]
	orphan.Name = s.Prefix + "old"
	with := s
	with.Alarms = []alarms.Alarm{orphan}
	apply(t, f, with)
	f.refuse[s.Alarms[3].Name] = &smithy.GenericAPIError{Code: "ValidationError", Message: "no"}
	err := Apply(t.Context(), f, plan(t, f, s), f.pace(), nil)
	if err == nil || !strings.Contains(err.Error(), s.Alarms[3].Name+": ValidationError: no") || !strings.Contains(err.Error(), "are not deleted yet") ||
		!strings.Contains(err.Error(), fmt.Sprintf("%d of %d steps are done", len(s.Alarms)-1, len(s.Alarms)+1)) {
		t.Error(err)
	}
	if f.metric[orphan.Name].AlarmName == nil {
		t.Error("an alarm was deleted while another could not be made")
	}
	delete(f.refuse, s.Alarms[3].Name)
	apply(t, f, s)
	if !plan(t, f, s).Empty() {
		t.Error("the next apply does not converge")
	}
}

// TestRefusals: what AWS answers, with what to do next; and where every call
// would fail, no other is made.
func TestRefusals(t *testing.T) {
	for code, want := range map[string]string{
		"ExpiredToken": "have expired", "InvalidClientTokenId": "not valid", "AccessDenied": "lacks cloudwatch:PutMetricAlarm", "Throttling": "run the command again in a minute", "LimitExceeded": "its quota of alarms",
	} {
		f, s := newFake(), set(t)
		p := plan(t, f, s)
		f.calls, f.failAfter, f.fail = 0, 3, &smithy.GenericAPIError{Code: code, Message: "m"}
		err := Apply(t.Context(), f, p, f.pace(), nil)
		var e *Error
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &e) || !strings.Contains(err.Error(), "3 of") {
			t.Errorf("%s: %v", code, err)
		}
		if e.Fatal && f.calls != 4 {
			t.Errorf("%s: %d calls after one that shows that every call fails", code, f.calls)
		}
		if strings.Count(err.Error(), want) > 1 && e.Fatal {
			t.Errorf("%s is said more than once: %v", code, err)
		}
		f.failAfter = 1
		f.calls = 1
		if _, err := Make(t.Context(), f, s, nil, alarms.DefaultPrices(), f.pace()); err == nil || !strings.Contains(err.Error(), "read the alarms") {
			t.Error(err)
		}
	}
	none := Explain("read the alarms", "x", errors.New("operation error CloudWatch: get identity: get credentials: failed to refresh cached credentials"))
	if !strings.Contains(none.Error(), "no AWS credentials were found: set AWS_PROFILE") {
		t.Error(none)
	}
}

func TestStop(t *testing.T) {
	f, s := newFake(), set(t)
	p := plan(t, f, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Apply(ctx, f, p, f.pace(), nil); !errors.Is(err, context.Canceled) || len(f.metric) != 0 {
		t.Error(err, len(f.metric))
	}
	if err := (&Pace{}).wait(ctx, changing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
