package alpacaproxy

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alpaca"
)

func TestFaults(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "delay=2s": true, " delay=2s , error=503:10% ": true, "rate-limit=100,error=500": true,
		"delay=2m": false, "delay=-1s": false, "error=200": false, "error=503:101%": false, "error=503:NaN%": false, "error=503:-0.1%": false,
		"rate-limit=-1": false, "rate-limit=1.5": false, "slow": false, "error": false,
	} {
		if err := new(faults).set(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzFaults: what is set stays within its bounds, and what is refused changes nothing.
func FuzzFaults(f *testing.F) {
	for _, seed := range []string{"delay=2s,error=503:10%,rate-limit=100", "error=503:NaN%", "rate-limit=-9223372036854775808", "delay=1e9h", ",=,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var before, set faults
		if err := set.set(text); err != nil {
			if set.delay != before.delay || set.status != 0 || set.share != 0 || set.limit != 0 || set.text != "" {
				t.Errorf("%q is refused, and sets %+v", text, &set)
			}
			return
		}
		if set.delay < 0 || set.delay > time.Minute || math.IsNaN(set.share) || set.share < 0 || set.share > 1 || set.limit < 0 {
			t.Errorf("%q sets %+v", text, &set)
		}
		now := time.Unix(1795813267, 0)
		for range 3 {
			if delay, status := set.next(now); delay != set.delay || status != 0 && http.StatusText(status) == "" && (status < 400 || status > 599) {
				t.Errorf("%q makes %v and %d", text, delay, status)
			}
		}
	})
}

// FuzzHost: whatever path comes, a call goes to a host of Alpaca's or nowhere.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"/paper/v2/orders", "/data", "//evil.example/x", "/paper-api.alpaca.markets/v2", "/paper@evil.example/", "/paper%2fx", "/PAPER/x", "/.alpaca.markets/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		host, rest, ok := alpaca.Host(path)
		switch {
		case !ok:
			if host != "" || rest != "" {
				t.Errorf("%q is nobody's, at %q %q", path, host, rest)
			}
		case !strings.HasSuffix(host, ".alpaca.markets") || strings.ContainsAny(host, "/@:?# ") || !strings.HasPrefix(rest, "/") || !strings.HasSuffix(path, strings.TrimPrefix(rest, "/")):
			t.Errorf("%q is %q at %q", path, rest, host)
		}
	})
}
