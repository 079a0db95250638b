package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// A lag is measured from the publisher's span where there is one, and says so
// where there is none.
func TestLag(t *testing.T) {
	with := func(s Span, attributes map[string]any) Span {
		for name, value := range attributes {
			s.Attributes[name] = value
		}
		return s
	}
	published := publication("aa", "a1", "", "strategy", "SignalGenerated", "signal-1", 0) // until 3 ms
	handled := func(at time.Duration) Span {
		return process("bb", "b1", "portfolio", "SignalGenerated", "signal-1", at, causedBy("aa", "a1", "signal-1", true))
	}
	for _, c := range []struct {
		name  string
		spans []Span
		from  LagFrom
		ms    float64
		text  string
	}{
		{"from the publisher", []Span{published, with(handled(5*time.Millisecond), map[string]any{lineage.AttrLag: int64(812)})}, LagFromPublisher, 2, "lag 2.0 ms"},
		{"by a clock that is behind", []Span{published, handled(time.Millisecond)}, LagFromPublisher, 0, "lag 0.0 ms"},
		{"from the event", []Span{with(handled(0), map[string]any{lineage.AttrLag: int64(812), lineage.AttrLagFrom: "event"})}, LagFromEvent, 812, "lag ≤812 ms"},
		{"from nothing that is said", []Span{with(handled(0), map[string]any{lineage.AttrLag: int64(812)})}, LagFromEvent, 812, "lag ≤812 ms"},
		{"from the message", []Span{with(handled(0), map[string]any{lineage.AttrLag: int64(8), lineage.AttrLagFrom: "message"})}, LagFromMessage, 8, "lag 8.0 ms"},
		{"of a replay", []Span{published, with(handled(time.Hour), map[string]any{lineage.AttrLag: int64(3_600_812), lineage.AttrReplayName: "monday"})}, LagFromEvent, 3_600_812, "lag ≤"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Build(c.spans, correlation)
			for _, n := range w.Document().Nodes {
				if n.Kind == KindHandling && (n.LagFrom != c.from || n.LagMS == nil || *n.LagMS != c.ms) {
					t.Errorf("%+v", n)
				}
			}
			if got := text(t, w); !strings.Contains(got, c.text) {
				t.Errorf("no %q in\n%s", c.text, got)
			}
		})
	}
}
