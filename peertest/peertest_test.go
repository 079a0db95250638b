package peertest

import (
	"net/http"
	"testing"
)

func TestMoto(t *testing.T) {
	url := Moto(t)
	resp, err := http.Get(url + "/moto-api/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("moto answered %s", resp.Status)
	}
	if again := Moto(t); again != url {
		t.Errorf("second call started another server: %s, then %s", url, again)
	}
}
