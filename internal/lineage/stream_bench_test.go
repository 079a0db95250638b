package lineage

import (
	"testing"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/hostile"
)

// BenchmarkStream reads Lambda's largest payloads as they pass, and whole.
func BenchmarkStream(b *testing.B) {
	for _, p := range hostile.Payloads() {
		payload := p.Make(1)
		r := NewReader(Config{})
		digested := func(e *Event) { e.Digest = dedupe.Digest(e.Detail) }
		b.Run(p.Name+"/AsItPasses", func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				s := r.Stream("request-1", digested, nil, nil)
				for rest := payload; len(rest) > 0; {
					n := min(len(rest), 32<<10) // as a proxy copies
					s.Write(rest[:n])
					rest = rest[n:]
				}
				s.Close()
			}
		})
		b.Run(p.Name+"/Whole", func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				d := r.Read(payload)
				d.Each(digested)
			}
		})
	}
}
