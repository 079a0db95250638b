package app

import (
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// TestStores: tables and buckets are moto's; streams and notifications reach functions.
func TestStores(t *testing.T) {
	server := peertest.Command(t, "moto_server")
	s := playing(t, "testdata/stores/template.yaml", Flags{moto: server, concurrency: 1})
	if out := s.must("", "invoke", "Save"); strings.TrimSpace(out) != `{"total":6,"body":"1,2,3"}` {
		t.Errorf("%s", out)
	}
	s.says("changed INSERT o-1 of Orders", "changed REMOVE o-1 of Orders", "uploaded ObjectCreated:Put in/a+b.csv 5", "uploaded ObjectRemoved:Delete in/a+b.csv None", "told of in/a b.csv, 5 bytes")
	s.settle()
	s.says("picky INSERT 1", "picky MODIFY 3", "picky REMOVE 1", "skipped: 1 record of FailingS, after 3 attempts", "skipped: 1 record of BoundedS, after 2 attempts", `failure of stream 1 RetryAttemptsExhausted 2`)
	s.quiet("picky INSERT 2", "picky MODIFY 4", "picky REMOVE 2", "changed MODIFY", "uploaded ObjectCreated:Put out/c.csv", "told of out/c.csv")
	if visible, _, _ := s.stage.Count("Uploads"); visible != 2 {
		t.Errorf("%d messages are in the queue\n%s", visible, s.out)
	}
}

func TestStoresWithoutMoto(t *testing.T) {
	s := playing(t, "testdata/stores/template.yaml", Flags{moto: "no-such-server"})
	if out := s.printed(); !strings.Contains(out, "not played: the table Orders, because no-such-server is not installed: pip install 'moto[server]'") || !strings.Contains(out, "not played: the bucket Files") {
		t.Errorf("%s", out)
	}
	if out, err := s.run("", "invoke", "Save"); err == nil || !strings.Contains(out, "errorType") {
		t.Errorf("%v %s", err, out)
	}
	s.says("a call to dynamodb.us-east-1.amazonaws.com was refused: real AWS needs --aws real")
}
