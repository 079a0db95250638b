package otelglobal

import (
	"os"
	"os/exec"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// A process's global provider is set once, so the test runs in a process of its own.
func TestTheGlobalProviderIsIdleUntilItIsSet(t *testing.T) {
	const alone = "TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		return
	}
	p := TracerProvider()
	idle, ok := p.(interface{ Idle() bool })
	if !ok || !idle.Idle() {
		t.Fatalf("without an SDK it is a %T", p)
	}
	tracer := p.Tracer("test")
	if _, span := tracer.Start(t.Context(), "before"); span.IsRecording() {
		t.Error("a span is recorded before there is an SDK")
	}
	otel.SetTracerProvider(sdktrace.NewTracerProvider())
	if idle.Idle() {
		t.Error("with an SDK it is idle")
	}
	if _, span := tracer.Start(t.Context(), "after"); !span.IsRecording() {
		t.Error("with an SDK no span is recorded")
	}
	if _, ok := TracerProvider().(*sdktrace.TracerProvider); !ok {
		t.Errorf("with an SDK it is a %T", TracerProvider())
	}
}
