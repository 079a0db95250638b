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

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
)

// TokenHeader is the header with the token of the running process. Requests that change
// something need it.
const TokenHeader = "Throughline-Token"

// control lets other commands reach this process, and no other user: only this user can
// read its token.
type control struct {
	path string
	file devfolder.Application
}

func newControl(dir, page, template, endpoint string) (*control, error) {
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	if absolute, err := filepath.Abs(template); err == nil {
		template = absolute
	}
	c := &control{path: filepath.Join(dir, devfolder.ApplicationFile), file: devfolder.Application{Page: page, Token: hex.EncodeToString(secret[:]), PID: os.Getpid(), Template: template, Endpoint: endpoint}}
	data, err := json.Marshal(c.file)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(c.path) // so that the new file has the right mode
	file, err := os.OpenFile(c.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the file for other commands: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	return c, errors.Join(err, file.Close())
}

func (c *control) close() { _ = os.Remove(c.path) }

// link returns the page's address with the token after #, which browsers do not send.
func (c *control) link() string { return c.file.Page + "/#token=" + c.file.Token }

// flag returns the flag that other commands need to find this process, with a space
// before it, or "".
func (c *control) flag() string {
	if pattern, err := devfolder.Of("*"); err == nil {
		if found, err := filepath.Match(pattern, filepath.Dir(c.path)); err == nil && found {
			return ""
		}
	}
	return " --dir " + filepath.Dir(c.path)
}

// own refuses requests without the token.
func (c *control) own(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(c.file.Token)) != 1 {
			refuse(w, http.StatusUnauthorized, "the token is missing or wrong: open the page with the address that throughline dev printed")
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
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
