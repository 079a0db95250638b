package lambdalocal

import (
	"testing"
)

const everything = `{"schemaVersion":"2025-01-29","types":["platform","function","extension"],
	"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":25},
	"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:PORT"}}`

func TestSmoke(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("echo", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a"))
	if got := w.invoke(d, `{"a":1}`); string(got.Payload) != `{"a":1}` {
		t.Fatalf("answer %s %+v", got.Payload, got)
	}
	if got := w.invoke(d, `{"a":2}`); string(got.Payload) != `{"a":2}` {
		t.Fatalf("answer %s", got.Payload)
	}
	w.settled()
	for _, e := range d.Environments() {
		e.Shutdown("")
	}
	for _, r := range w.records("ext-a", "") {
		t.Logf("%s %s", r.Type, r.Record)
	}
	t.Logf("%+v", d.Invocations())
	t.Logf("%q", w.logged("platform"))
}
