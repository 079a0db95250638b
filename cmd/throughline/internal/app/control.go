package app

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// TokenHeader carries the token of a start: what changes anything asks for it.
const TokenHeader = "Throughline-Token"

// fileName is the file of a running application in its folder.
const fileName = "application.json"

// control is how other commands reach this start, and nobody else: a token that only this
// user can read.
type control struct {
	path string
	file started
}

// started is the file's content.
type started struct {
	Page     string `json:"page"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
	Template string `json:"template"`
}

func newControl(dir, page, template string) (*control, error) {
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	if absolute, err := filepath.Abs(template); err == nil {
		template = absolute
	}
	c := &control{path: filepath.Join(dir, fileName), file: started{page, hex.EncodeToString(secret[:]), os.Getpid(), template}}
	data, err := json.Marshal(c.file)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(c.path) // whatever modes it had
	file, err := os.OpenFile(c.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("tell other commands of this start: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	return c, errors.Join(err, file.Close())
}

func (c *control) close() { _ = os.Remove(c.path) }

// link is the page with the token behind #, which browsers send to nobody.
func (c *control) link() string { return c.file.Page + "/#token=" + c.file.Token }

// flag is what other commands need to find this start, with a space before it.
func (c *control) flag() string {
	if cache, err := os.UserCacheDir(); err == nil {
		if found, err := filepath.Match(filepath.Join(cache, "throughline", "dev-*"), filepath.Dir(c.path)); err == nil && found {
			return ""
		}
	}
	return " --dir " + filepath.Dir(c.path)
}

// own lets through what has the token.
func (c *control) own(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(c.file.Token)) != 1 {
			refuse(w, http.StatusUnauthorized, "open the page by the address that throughline dev printed: it has this start's token")
			return
		}
		next(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever is gone wants no answer
}
