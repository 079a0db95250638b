package lineage

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	xrayRoot   = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736"
	xraySample = xrayRoot + ";Parent=00f067aa0ba902b7;Sampled=1"
)

func TestParseTraceHeader(t *testing.T) {
	span := mustParse(t, sampledContext)
	for _, c := range []struct {
		name, header   string
		ok, span       bool
		sampled        byte
		lineage, again string
	}{
		{"Sampled", xraySample, true, true, '1', "", xraySample},
		{"Lineage", xraySample + ";Lineage=1:e547cb94:0", true, true, '1', "1:e547cb94:0", xraySample + ";Lineage=1:e547cb94:0"},
		{"LineageOfManyHops", xraySample + ";Lineage=aae260cf:0|74085691:0", true, true, '1', "aae260cf:0|74085691:0", xraySample + ";Lineage=aae260cf:0|74085691:0"},
		{"Self", "Self=1-67891234-12456789abcdef012345678;" + xraySample, true, true, '1', "", xraySample},
		{"RootOnly", xrayRoot, true, false, 0, "", ""},
		{"RootUnsampled", xrayRoot + ";Sampled=0", true, false, '0', "", ""},
		{"Undecided", xrayRoot + ";Parent=00f067aa0ba902b7;Sampled=?", true, true, '?', "", xrayRoot + ";Parent=00f067aa0ba902b7"},
		{"Spaces", strings.ReplaceAll(xraySample, ";", "; "), true, true, '1', "", xraySample},
		{"LowerCase", strings.NewReplacer("Root", "root", "Parent", "parent", "Sampled", "sampled").Replace(xraySample), true, true, '1', "", xraySample},
		{"UnknownPart", xraySample + ";nothing", true, true, '1', "", xraySample},
		{"TrailingSemicolon", xraySample + ";", true, true, '1', "", xraySample},
		{"Empty", "", false, false, 0, "", ""},
		{"NoRoot", "Parent=00f067aa0ba902b7;Sampled=1", false, false, 0, "", ""},
		{"BadRoot", strings.Replace(xraySample, "1-4bf", "2-4bf", 1), false, false, 0, "", ""},
		{"BadParent", strings.Replace(xraySample, "00f0", "zzz0", 1), false, false, 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, ok := ParseTraceHeader(c.header)
			if ok != c.ok || h.Context.IsValid() != c.span {
				t.Fatalf("read %v, %v", h, ok)
			}
			if !ok {
				return
			}
			if c.span && !sameSpan(h.Context, span) || h.Context.TraceID() != span.TraceID() ||
				h.Sampled != c.sampled || h.Lineage != c.lineage || h.Context.IsSampled() != (c.sampled == '1') {
				t.Errorf("read %v %q %q", h.Context, h.Sampled, h.Lineage)
			}
			if h.String() != c.again {
				t.Errorf("wrote %q, want %q", h.String(), c.again)
			}
		})
	}
}

// FuzzTraceHeader: what OpenTelemetry's propagator reads we read alike, what we
// write it reads, and a header that we took survives the round trip.
func FuzzTraceHeader(f *testing.F) {
	for _, seed := range []string{xraySample, xrayRoot, xraySample + ";Lineage=1:e547cb94:0", "", ";;", "Root=", "root=1-4bf92f35-77b34da6a3ce929d0e0e4736; sampled=0"} {
		f.Add(seed)
	}
	read := func(ctx context.Context, s string) trace.SpanContext {
		return trace.SpanContextFromContext(xray.Propagator{}.Extract(ctx, propagation.MapCarrier{"X-Amzn-Trace-Id": s}))
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, ok := ParseTraceHeader(s)
		// The propagator tells keys by their beginning, and a repeated one is no header of AWS's.
		plain := strings.Count(s, "=") == strings.Count(s, "Root=")+strings.Count(s, "Parent=")+strings.Count(s, "Sampled=") &&
			strings.Count(s, "Root=") == 1 && strings.Count(s, "Parent=") == 1 && strings.Count(s, "Sampled=") <= 1 && !strings.ContainsAny(s, " \t\r\n\v\f\u0085\u00a0")
		if theirs := read(t.Context(), s); plain && strings.HasPrefix(s, "Root=") && strings.Contains(s, ";Parent=") && theirs.IsValid() {
			if !ok || !sameSpan(theirs, h.Context) {
				t.Fatalf("%q: read %v, the propagator %v", s, h, theirs)
			}
		}
		written := h.String()
		if len(written) > MaxTraceHeader {
			t.Fatalf("%q: wrote %d characters", s, len(written))
		}
		if written == "" {
			return
		}
		again, ok := ParseTraceHeader(written)
		if !ok || !again.Context.Equal(h.Context) || again.Lineage != h.Lineage {
			t.Fatalf("%q: %v came back as %v", s, h, again)
		}
		if theirs := read(t.Context(), written); !sameSpan(theirs, h.Context) || theirs.IsSampled() != h.Context.IsSampled() {
			t.Fatalf("%q: the propagator reads %v in %q", s, theirs, written)
		}
	})
}

func TestEntryTraceHeader(t *testing.T) {
	ours, unsampled := mustParse(t, sampledContext), mustParse(t, unsampledContext)
	upstream := "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0;Lineage=a87bd80c:1"
	provider := newRecorder(t).provider
	const unsampledRoot = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331"
	for _, c := range []struct {
		name, upstream, want string
		cfg                  Config
		span                 trace.SpanContext
	}{
		{"NotAsked", upstream, "", Config{TracerProvider: provider}, ours},
		{"XRayOurDecision", upstream, xraySample + ";Lineage=a87bd80c:1", Config{TracerProvider: provider, XRay: true}, ours},
		{"XRayUnsampled", "", unsampledRoot + ";Sampled=0", Config{TracerProvider: provider, XRay: true}, unsampled},
		{"XRayWithoutSpans", upstream, "", Config{XRay: true}, ours},
		{"OtherBackendTheirDecision", upstream, xrayRoot + ";Parent=00f067aa0ba902b7;Sampled=0;Lineage=a87bd80c:1", Config{TraceHeader: true}, ours},
		{"OtherBackendUndecided", "", xrayRoot + ";Parent=00f067aa0ba902b7", Config{TraceHeader: true}, ours},
		{"Malformed", "nonsense", xrayRoot + ";Parent=00f067aa0ba902b7", Config{TraceHeader: true}, ours},
		{"NoContext", upstream, "", Config{TraceHeader: true}, trace.SpanContext{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entry, _ := NewStamper(c.cfg).Apply(Entry{}, Lineage{Publisher: c.span, upstream: c.upstream}, 0)
			if entry.TraceHeader != c.want {
				t.Errorf("%q, want %q", entry.TraceHeader, c.want)
			}
			entry, _ = NewStamper(c.cfg).Apply(Entry{TraceHeader: "theirs"}, Lineage{Publisher: c.span, upstream: c.upstream}, 0)
			if entry.TraceHeader != "theirs" {
				t.Errorf("a given header became %q", entry.TraceHeader)
			}
		})
	}
	long, _ := NewStamper(Config{TraceHeader: true}).Apply(Entry{},
		Lineage{Publisher: ours, upstream: upstream[:len(upstream)-10] + strings.Repeat("a", 250)}, 0)
	if len(long.TraceHeader) > MaxTraceHeader || !strings.Contains(long.TraceHeader, "Lineage=") {
		t.Errorf("long lineage: %q", long.TraceHeader)
	}
}
