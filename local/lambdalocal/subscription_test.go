package lambdalocal

import (
	"strings"
	"testing"
)

func TestSubscriptionValidation(t *testing.T) {
	// The example of AWS's guide, with its schema version.
	const guide = `{"schemaVersion":"2022-12-13","types":["platform","function","extension"],
		"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}}`
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(guide) }
	for _, test := range []struct {
		name, body string
		mode       Mode
		ok         bool
	}{
		{"OK", guide, OnDemand, true},
		{"Newest", with("2022-12-13", "2025-01-29"), OnDemand, true},
		{"Oldest", with("2022-12-13", "2022-07-01"), OnDemand, true},
		{"UnknownSchema", with("2022-12-13", "2020-08-15"), OnDemand, false},
		{"ManagedNewest", with("2022-12-13", "2025-01-29"), ManagedInstances, true},
		{"ManagedOlder", guide, ManagedInstances, false},
		{"NoSchema", with(`"schemaVersion":"2022-12-13",`, ""), OnDemand, false},
		{"NoTypes", with(`["platform","function","extension"]`, "[]"), OnDemand, false},
		{"UnknownType", with(`"extension"`, `"kernel"`), OnDemand, false},
		{"NoBuffering", with(`"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},`, ""), OnDemand, true},
		{"ItemsLow", with(`"maxItems":1000`, `"maxItems":999`), OnDemand, false},
		{"ItemsHigh", with(`"maxItems":1000`, `"maxItems":10001`), OnDemand, false},
		{"ItemsMost", with(`"maxItems":1000`, `"maxItems":10000`), OnDemand, true},
		{"BytesLow", with("262144", "262143"), OnDemand, false},
		{"BytesMost", with("262144", "1048576"), OnDemand, true},
		{"BytesHigh", with("262144", "1048577"), OnDemand, false},
		{"TimeoutLeast", with(`"timeoutMs":100`, `"timeoutMs":25`), OnDemand, true},
		{"TimeoutLow", with(`"timeoutMs":100`, `"timeoutMs":24`), OnDemand, false},
		{"TimeoutMost", with(`"timeoutMs":100`, `"timeoutMs":30000`), OnDemand, true},
		{"TimeoutHigh", with(`"timeoutMs":100`, `"timeoutMs":30001`), OnDemand, false},
		{"Loopback", with("sandbox.localdomain", "127.0.0.1"), OnDemand, false},
		{"Sandbox", with("sandbox.localdomain", "sandbox"), OnDemand, true},
		{"HTTPS", with("http://", "https://"), OnDemand, false},
		{"ReservedPort", with("8080", "9001"), OnDemand, false},
		{"TCP", with(`"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"`, `"protocol":"TCP","port":4243`), OnDemand, true},
		{"TCPReserved", with(`"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"`, `"protocol":"TCP","port":9001`), OnDemand, false},
		{"TCPWithoutPort", with(`"protocol":"HTTP"`, `"protocol":"TCP"`), OnDemand, false},
		{"UDP", with(`"HTTP"`, `"UDP"`), OnDemand, false},
		{"NoDestination", with(`"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}`, `"x":1`), OnDemand, false},
		{"NotJSON", "{", OnDemand, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseSubscription([]byte(test.body), test.mode); (err == nil) != test.ok {
				t.Errorf("got error %v", err)
			}
		})
	}
	t.Run("Defaults", func(t *testing.T) {
		got, err := parseSubscription([]byte(with(`"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},`, "")), OnDemand)
		if want := (buffering{10000, 262144, 1000}); err != nil || got.Buffering != want {
			t.Errorf("got %+v, want %+v", got.Buffering, want)
		}
	})
}

func FuzzParseSubscription(f *testing.F) {
	f.Add([]byte(everything), true)
	f.Add([]byte(`{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"TCP","port":1}}`), false)
	f.Add([]byte(`{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:%zz"}}`), false)
	f.Fuzz(func(t *testing.T, body []byte, managed bool) {
		mode := OnDemand
		if managed {
			mode = ManagedInstances
		}
		want, err := parseSubscription(body, mode)
		if err != nil {
			return
		}
		want.deliverer().close() // what was accepted can be delivered to
		if len(want.Types) == 0 || want.Buffering.check() != nil || managed && want.SchemaVersion != schemaNewest {
			t.Errorf("accepted %s", body)
		}
	})
}
