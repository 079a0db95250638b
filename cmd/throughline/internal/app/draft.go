package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/gateway"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Validate returns an error if the flags or the template are wrong. It writes nothing.
func (f Flags) Validate(path string) error {
	_, err := f.draft(path, io.Discard)
	return err
}

// draft is an application that is not started yet.
type draft struct {
	app    *App
	data   []byte // the template
	folder string // the template's folder, an absolute path
	given  []faults.Rule
}

// draft checks the flags, and plans the application of a template. It sets the defaults of
// flags.
func (f *Flags) draft(path string, out io.Writer) (d draft, err error) {
	if d.given, err = parseFaults(f.faults); err != nil {
		return d, err
	}
	if f.speed == 0 {
		f.speed = 1
	}
	if f.speed < 0 || f.speed > 10_000 {
		return d, terminal.Misuse("--speed must be above 0 and at most 10000")
	}
	a := &App{path: path, log: newLog(out, f.quiet), faults: new(faults.Set), files: templates{played: map[string][]byte{}}}
	d.app, a.files.told = a, a.log.tell
	if d.data, err = a.files.read(path); err != nil {
		return d, terminal.Misuse("read the template: %v: name a SAM or CloudFormation template", err)
	}
	if d.folder, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return d, err
	}
	if f.extension, err = f.findExtension(); err != nil {
		return d, err
	}
	if err := a.build(d, f.set, plan.Options{}); err != nil {
		return d, err
	}
	a.permissions = permissionsOf(d.data, f.set)
	return d, a.strikes(d.given)
}

// build plans the application. The options have the URLs of the local services.
func (a *App) build(d draft, values map[string]string, o plan.Options) (err error) {
	o.Values, o.Open = values, func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return a.files.read(name)
		}
		return a.files.read(filepath.Join(d.folder, filepath.FromSlash(name)))
	}
	if a.plan, err = plan.Build(d.data, o); err != nil {
		return terminal.Misuse("%s: %v", a.path, err)
	}
	if len(a.plan.Functions) == 0 {
		return terminal.Misuse("%s has no function that can be played\n%s", a.path, strings.Join(notPlayed(a.plan), "\n"))
	}
	return nil
}

// strikes returns an error if a fault has a name that the application does not have.
func (a *App) strikes(rules []faults.Rule) error {
	for _, r := range rules {
		if names := a.strikable(r.Kind); r.Of != "" && names != nil && !slices.ContainsFunc(names, func(name string) bool { return name == r.Of || gateway.Matches(name, []string{r.Of}) }) {
			return terminal.Misuse("--fault %s matches nothing: the names are %s", r, join(names))
		}
	}
	return nil
}

// strikable are the names that faults of a kind can have, nil where it is of hosts.
func (a *App) strikable(kind faults.Kind) []string {
	var names []string
	for _, f := range a.plan.Functions {
		names = append(names, f.Name)
	}
	switch kind {
	case faults.HTTP, faults.HTTPDelay:
		return nil
	case faults.Throttle:
		return append(names, "PutEvents")
	case faults.Freeze, faults.Kill, faults.Timeout, faults.Cold:
		return names
	}
	for _, q := range a.plan.Queues {
		names = append(names, q.Name)
	}
	for _, t := range a.plan.Topics {
		names = append(names, t.Name)
	}
	for _, r := range a.plan.Rules {
		names = append(names, r.Name)
	}
	for _, sub := range a.plan.Subscribers {
		names = append(names, sub.Name)
	}
	for _, b := range a.plan.NewBuses {
		names = append(names, b.Name)
	}
	return append(names, a.plan.Buses...)
}

func parseFaults(texts []string) ([]faults.Rule, error) {
	var rules []faults.Rule
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		r, err := faults.Parse(text)
		if err != nil {
			return nil, terminal.Misuse("--fault %v", err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// findExtension returns the path of the extension's binary.
func (f Flags) findExtension() (string, error) {
	if f.extension == "" {
		own, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find the extension: %w; name it with --extension", err)
		}
		f.extension = filepath.Join(filepath.Dir(own), "throughline-extension")
	}
	path, err := filepath.Abs(f.extension)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", terminal.As(terminal.CouldNot, fmt.Errorf("find the extension: %w; build it with `make build`, or name another one with --extension", err))
	}
	return path, nil
}
