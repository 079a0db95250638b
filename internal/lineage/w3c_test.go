package lineage

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	sampledContext   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampledContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func mustParse(t testing.TB, traceparent string) trace.SpanContext {
	t.Helper()
	sc, ok := ParseTraceparent(traceparent)
	if !ok {
		t.Fatalf("traceparent %q is malformed", traceparent)
	}
	return sc
}

// FuzzTraceparent holds ParseTraceparent to OpenTelemetry's own propagator, and
// every context to its round trip.
func FuzzTraceparent(f *testing.F) {
	for _, seed := range []string{
		sampledContext, unsampledContext, "", "00", strings.ToUpper(sampledContext), sampledContext + "-x", sampledContext + "-", sampledContext + "x",
		"01" + sampledContext[2:] + "-more", "01" + sampledContext[2:] + "more", "ff" + sampledContext[2:],
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		sampledContext[:53] + "ff", sampledContext[:53] + "03", strings.Replace(sampledContext, "-", "_", 1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sc, ok := ParseTraceparent(s)
		ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": s})
		theirs := trace.SpanContextFromContext(ctx)
		if len(s) > traceparentSize && s[:2] == "00" {
			theirs = trace.SpanContext{} // the standard has version 00 end there; the propagator lets a dash pass
		}
		if theirs.IsValid() && (!ok || !sameSpan(sc, theirs) || sc.IsSampled() != theirs.IsSampled()) {
			t.Fatalf("%q: %v (%v), OpenTelemetry reads %v", s, sc, ok, theirs)
		}
		if ok != sc.IsValid() {
			t.Fatalf("%q: reported %v of %v", s, ok, sc)
		}
		if !ok {
			return
		}
		again, ok := ParseTraceparent(FormatTraceparent(sc))
		if !ok || !again.Equal(sc) {
			t.Fatalf("%q: came back as %v", s, again)
		}
	})
}

func TestMint(t *testing.T) {
	root, other := Mint(trace.SpanContext{}), Mint(trace.SpanContext{})
	if !root.IsValid() || root.IsSampled() || sameSpan(root, other) || root.TraceID() == other.TraceID() {
		t.Errorf("minted %v and %v", root, other)
	}
	child := Mint(mustParse(t, sampledContext))
	if child.TraceID() != mustParse(t, sampledContext).TraceID() || child.SpanID() == mustParse(t, sampledContext).SpanID() || child.IsSampled() {
		t.Errorf("minted child %v", child)
	}
	if FormatTraceparent(trace.SpanContext{}) != "" {
		t.Error("no context has a traceparent")
	}
}

func TestNewID(t *testing.T) {
	id := newID()
	if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.Count(id, "-") != 4 || id == newID() {
		t.Errorf("not a UUID of version 4: %s", id)
	}
}

func TestMalformedTraceparents(t *testing.T) {
	for name, s := range map[string]string{
		"VersionFF": "ff" + sampledContext[2:], "VersionFFWithMore": "ff" + sampledContext[2:] + "-more", "Version00WithMore": sampledContext + "-more",
		"UpperCase": strings.ToUpper(sampledContext), "NoTrace": "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "NoSpan": "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
	} {
		if sc, ok := ParseTraceparent(s); ok || sc.IsValid() {
			t.Errorf("%s: %v", name, sc)
		}
	}
	if _, ok := ParseTraceparent("fe" + sampledContext[2:] + "-more"); !ok {
		t.Error("a later version was not read")
	}
}

// Every byte of a minted context is random: over a thousand of them each takes
// many values, and none is there twice.
func TestMintIsRandom(t *testing.T) {
	const contexts = 1000
	seen := map[trace.SpanID]bool{}
	var values [24]map[byte]bool
	for range contexts {
		sc := Mint(trace.SpanContext{})
		traceID, spanID := sc.TraceID(), sc.SpanID()
		if seen[spanID] || !sc.IsValid() || sc.IsSampled() {
			t.Fatalf("%v", sc)
		}
		seen[spanID] = true
		for i, b := range append(traceID[:], spanID[:]...) {
			if values[i] == nil {
				values[i] = map[byte]bool{}
			}
			values[i][b] = true
		}
		if child := Mint(sc); child.TraceID() != traceID || child.SpanID() == spanID {
			t.Fatalf("%v under %v", child, sc)
		}
	}
	for i, v := range values {
		if len(v) < 128 {
			t.Errorf("byte %d took %d values", i, len(v))
		}
	}
}
