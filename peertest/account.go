package peertest

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// Account returns the ID of an AWS account that no other test uses. Moto keeps the
// state of each account as long as the test process runs, so a test that creates
// resources with fixed names needs a new account in each run.
func Account() string {
	const first, most = 100_000_000_000, 900_000_000_000
	return fmt.Sprint(first + rand.Int64N(most))
}

// MotoAccount returns the URL of moto for a new account, see [Account]. It skips
// the test as [Moto] does.
func MotoAccount(tb testing.TB) string {
	tb.Helper()
	moto, err := url.Parse(Moto(tb))
	if err != nil {
		tb.Fatal(err)
	}
	account := Account()
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(moto)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("x-moto-account-id", account)
	}})
	tb.Cleanup(server.Close)
	return server.URL
}
