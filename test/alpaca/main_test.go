package alpaca_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { // alpaca-trade-api-go leaves the body of a 429 open, and with it http.Client's
	// timer until the client's time limit.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.setRequestCancel.func4"))
}
