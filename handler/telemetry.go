package handler

import "github.com/throughline/throughline/internal/handling"

// WithTelemetry configures the handler with the result of export.Setup: the
// TracerProvider and its flush, the metrics and their output, the detection
// of repeats, whether the extension is attached, and how the environment was
// initialised. Put it before other options.
func WithTelemetry(t interface{ Handler() handling.Telemetry }) Option {
	h := t.Handler()
	return optionFunc(func(w *wrapped) {
		w.handling.Tracing, w.handling.Metrics, w.handling.Dedupe = h.Tracing, h.Metrics, h.Dedupe
		w.out, w.flush, w.extension, w.initKind = h.Out, h.Flush, h.Extension, h.InitKind
	})
}
