package dynamo

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
)

// BenchmarkBesideHandler is a handler that takes as long as the table's answer,
// alone, with the check beside it, with one that gets no answer, and with one
// in front of it.
func BenchmarkBesideHandler(b *testing.B) {
	for _, latency := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(latency)
			_, _ = io.WriteString(w, "{}")
		}))
		store := table(b, server.URL, "seen")
		// The table's answer as its caller sees it is what the handler takes.
		answer := func() time.Duration {
			least := time.Hour
			for i := range 20 {
				start := time.Now()
				if _, _, err := store.Claim(b.Context(), strconv.Itoa(i), seen, at); err != nil {
					b.Fatal(err)
				}
				least = min(least, time.Since(start))
			}
			return least
		}()
		handle := func() { time.Sleep(answer) }
		b.Run(fmt.Sprint(latency, "/WithCheck"), func(b *testing.B) { // and without, in turn
			c := dedupe.New(dedupe.Config{Store: store})
			unknown := 0
			var alone, with time.Duration
			for i := 0; b.Loop(); i++ {
				begun := time.Now()
				handle()
				between := time.Now()
				p := c.Start(b.Context(), []dedupe.Delivery{{Consumer: "f", EventID: strconv.Itoa(i), EnvelopeID: strconv.Itoa(i), RequestID: "r", At: at}})
				handle()
				if p.Verdicts(b.Context())[0].Unknown {
					unknown++
				}
				p.Done(b.Context(), false)
				alone, with = alone+between.Sub(begun), with+time.Since(between)
			}
			b.ReportMetric(alone.Seconds()*1000/float64(b.N), "alone-ms")
			b.ReportMetric(with.Seconds()*1000/float64(b.N), "with-ms")
			b.ReportMetric(100*float64(unknown)/float64(b.N), "%unknown")
		})
		b.Run(fmt.Sprint(latency, "/WithTableThatHangs"), func(b *testing.B) {
			hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			defer hung.Close()
			c := dedupe.New(dedupe.Config{Store: table(b, hung.URL, "seen")})
			for i := 0; b.Loop(); i++ { // the first waits a little, and the others no more
				p := c.Start(b.Context(), []dedupe.Delivery{{Consumer: "f", EventID: strconv.Itoa(i), EnvelopeID: strconv.Itoa(i), RequestID: "r", At: at}})
				handle()
				p.Verdicts(b.Context())
				p.Done(b.Context(), false)
			}
		})
		b.Run(fmt.Sprint(latency, "/CheckInFront"), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, _, err := store.Claim(b.Context(), strconv.Itoa(i), seen, at); err != nil {
					b.Fatal(err)
				}
				handle()
			}
		})
		server.Close()
	}
}
