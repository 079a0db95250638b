// Package spansource has the flags that select where a command reads spans: a file, the
// store of throughline dev, Jaeger, X-Ray, or CloudWatch's Transaction Search.
package spansource

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Flags are the flags. [Flags.Bind] sets their defaults. The zero value reads the file
// "".
type Flags struct {
	file, dev, jaeger, logGroup string
	xray, transactionSearch     bool
	since                       time.Duration
	aws                         account.Flags
}

// DefaultFile is the file that is read without a flag: the spans of the demo.
const DefaultFile = "build/demo/spans.jsonl"

// Bind adds the flags to a command. At most one source can be named.
func (f *Flags) Bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "file", DefaultFile, "read spans from `FILE`: OTLP/JSON, one request a line, or an export of aws/spans")
	flags.StringVar(&f.dev, "dev", "", "read the spans that throughline dev keeps: in a `FOLDER`, or for a page's port; without a value, those of the application whose template is in or below the working folder, else of the one that was started last, else of port "+devfolder.DefaultPort)
	flags.Lookup("dev").NoOptDefVal = devfolder.WorkingFolder
	flags.StringVar(&f.jaeger, "jaeger", "", "read spans from Jaeger's query API at `URL`")
	flags.BoolVar(&f.xray, "xray", false, "read spans from X-Ray")
	flags.BoolVar(&f.transactionSearch, "transaction-search", false, "read spans from CloudWatch's Transaction Search")
	flags.StringVar(&f.logGroup, "log-group", spanstore.SpansLogGroup, "the `NAME` or ARN of Transaction Search's log group")
	const day = 24 * time.Hour
	flags.DurationVar(&f.since, "since", day, "search this `DURATION` of Jaeger, X-Ray and Transaction Search; files are read completely")
	f.aws.Bind(flags)
	cmd.MarkFlagsMutuallyExclusive("file", "dev", "jaeger", "xray", "transaction-search")
}

// Account returns the account that the flags name, for other reads of the command.
func (f *Flags) Account() account.Flags { return f.aws }

// Given reports whether the command line names a source, or the default file exists.
func (f *Flags) Given(cmd *cobra.Command) bool {
	for _, name := range []string{"file", "dev", "jaeger", "xray", "transaction-search"} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	_, err := os.Stat(f.file)
	return err == nil
}

// Since returns how far back sources other than files are read.
func (f *Flags) Since() time.Duration { return f.since }

// Source is a place that spans are read from.
type Source struct {
	spanstore.Store
	Where string // as in "no span … in build/demo/spans.jsonl"
	Hint  string // the next step if something was not found; can be empty
	// Interval is the time between reads of the source. In AWS, spans arrive late and
	// reads are billed.
	Interval time.Duration

	tell spanstore.Tell
}

// Open returns the source that the flags select. now is the clock, and tell gets the
// source's progress and notes. It returns errors of AWS's configuration and of wrong
// flags.
func (f *Flags) Open(ctx context.Context, configure account.Configure, now time.Time, tell spanstore.Tell) (Source, error) {
	if f.since <= 0 {
		return Source{}, terminal.Misuse("--since must be more than zero")
	}
	const ahead = time.Minute // for functions whose clocks are ahead of this one
	window := spanstore.Window{From: now.Add(-f.since), To: now.Add(ahead)}
	const soon, later = 250 * time.Millisecond, 5 * time.Second
	back := " of the last " + strings.TrimSuffix(strings.TrimSuffix(f.since.String(), "0s"), "0m")
	switch {
	case f.jaeger != "":
		if u, err := url.Parse(f.jaeger); err != nil || u.Host == "" {
			return Source{}, terminal.Misuse("--jaeger %s: give the URL of Jaeger's query API, such as http://127.0.0.1:16686", f.jaeger)
		}
		const patience = 2 * time.Minute
		return Source{spanstore.Jaeger{URL: f.jaeger, Client: &http.Client{Timeout: patience}, Window: window, Tell: tell}, "in Jaeger" + back, ": search further back with --since", soon, tell}, nil
	case f.xray:
		cfg, err := f.aws.Config(ctx, configure)
		return Source{spanstore.XRay{Client: xray.NewFromConfig(cfg), Window: window, Tell: tell}, "in X-Ray's index" + back,
			": search further back with --since, or search all spans with --transaction-search: X-Ray indexes only a part of them", later, tell}, err
	case f.transactionSearch:
		cfg, err := f.aws.Config(ctx, configure)
		return Source{spanstore.TransactionSearch{Client: cloudwatchlogs.NewFromConfig(cfg), LogGroup: f.logGroup, Window: window, Tell: tell}, "in " + f.logGroup + back,
			": search further back with --since", later, tell}, err
	case f.dev != "":
		dir, err := f.folder(tell)
		return Source{spanstore.Folder(dir, tell), "in " + dir, hint(dir) + elsewhere(dir), soon, tell}, err
	default:
		file := spanstore.File{Path: f.file, Tell: tell}
		if f.file == DefaultFile {
			file.Absent = "no spans at " + f.file + ": run `make demo`, or name a file with --file, throughline dev with --dev, Jaeger with --jaeger, or AWS with --xray or --transaction-search"
		}
		return Source{file, "in " + f.file, "", soon, tell}, nil
	}
}

// folder returns where throughline dev keeps its spans.
func (f *Flags) folder(tell spanstore.Tell) (string, error) {
	dir := f.dev
	if dir == devfolder.WorkingFolder {
		dir = devfolder.DefaultPort
		running, err := devfolder.Running()
		if err != nil {
			return "", err
		}
		if len(running) > 0 {
			if dir = running[0].Dir; (len(running) > 1 || !running[0].Here()) && tell.Note != nil {
				tell.Note("reading the spans of %s; select others with --dev=PORT", running[0].Template)
			}
		}
	}
	if strings.Trim(dir, "0123456789") == "" {
		var err error
		if dir, err = devfolder.Of(dir); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the folder of throughline dev cannot be read: %w; start throughline dev, or name its folder with --dev=FOLDER%s", err, elsewhere(dir))
	}
	return filepath.Clean(dir), nil
}

// Events returns the file with the events that the application of throughline dev
// received, or "" if --dev is not given or there is no such file.
func (f *Flags) Events() string {
	if f.dev == "" {
		return ""
	}
	dir, err := f.folder(spanstore.Tell{}) // Open returns the error
	if err != nil {
		return ""
	}
	path := filepath.Join(dir, devfolder.EventsFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// hint returns the next step if something is not in a folder of throughline dev.
func hint(dir string) string {
	parts, _ := spanstore.Parts(dir) // the pattern is valid
	if !slices.ContainsFunc(parts, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	}) {
		return ": it has no spans yet; start throughline dev, and send an event or export spans to it"
	}
	return ": the page of throughline dev shows what is there, traces without a correlation ID too"
}

// elsewhere returns the flags for other folders in which throughline dev has kept spans,
// the newest first, or "".
func elsewhere(dir string) string {
	all, err := devfolder.Of("*")
	if err != nil {
		return ""
	}
	newest := map[string]time.Time{}
	parts, _ := filepath.Glob(filepath.Join(all, "spans-*.jsonl")) // the pattern is valid
	for _, part := range parts {
		folder := filepath.Dir(part)
		if info, err := os.Stat(part); err == nil && info.Size() > 0 && folder != filepath.Clean(dir) && info.ModTime().After(newest[folder]) && port(folder) != "" {
			newest[folder] = info.ModTime()
		}
	}
	folders := slices.SortedFunc(maps.Keys(newest), func(a, b string) int {
		return cmp.Or(newest[b].Compare(newest[a]), cmp.Compare(a, b))
	})
	const show = 3
	var flags []string
	for _, folder := range folders[:min(show, len(folders))] {
		flags = append(flags, "--dev="+port(folder))
	}
	if len(flags) == 0 {
		return ""
	}
	return "; other folders of throughline dev have spans: " + strings.Join(flags, ", ")
}

// port returns the port in a folder's name, or "".
func port(folder string) string {
	_, port, _ := strings.Cut(filepath.Base(folder), "dev-")
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return ""
	}
	return port
}

// Tell returns the printer of a source's progress and notes, and a function that clears
// the progress. Equal notes are printed once.
func Tell(cmd *cobra.Command) (tell spanstore.Tell, end func()) {
	bar := terminal.NewProgress(cmd)
	told := map[string]bool{} // a source that is read twice repeats its notes
	return spanstore.Tell{Progress: bar.Show, Note: func(format string, args ...any) {
		text := fmt.Sprintf("note: "+format, args...)
		if bar.End(); !told[text] {
			fmt.Fprintln(cmd.ErrOrStderr(), text)
		}
		told[text] = true
	}}, bar.End
}
