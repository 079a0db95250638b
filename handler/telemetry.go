package handler

import "github.com/throughline/throughline/internal/handling"

// WithTelemetry makes the handler follow what export.Setup found: spans and
// where they are flushed to, metrics and where they are written, repeats, the
// extension, and how the environment was initialised. It comes before other
// options.
func WithTelemetry(t interface{ Handler() handling.Telemetry }) Option {
	h := t.Handler()
	return optionFunc(func(w *wrapped) {
		w.handling.Tracing, w.handling.Metrics, w.handling.Dedupe = h.Tracing, h.Metrics, h.Dedupe
		w.out, w.flush, w.extension, w.initKind = h.Out, h.Flush, h.Extension, h.InitKind
	})
}
