package alarmscmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// past has the flags that select a history.
type past struct {
	metrics string
	since   time.Duration
	reach   int
	on      account.Flags
}

func (p *past) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.metrics, "metrics", "", "read metric lines (EMF) from `FILE` instead of CloudWatch; - means standard input")
	flags.DurationVar(&p.since, "since", 15*24*time.Hour, "read this `DURATION` of history from CloudWatch, which keeps one-minute data for 15 days")
	flags.IntVar(&p.reach, "range", 0, "the number of periods that an evaluation looks at; 0 means two more than the alarm's own number")
	p.on.Bind(flags)
}

// read returns the data of the alarms, and its first and last time.
func (p past) read(cmd *cobra.Command, a app, s alarms.Set) (data eval.Data, from, to time.Time, err error) {
	if p.metrics != "" {
		recording, err := readRecording(cmd, p.metrics)
		if err != nil {
			return nil, from, to, err
		}
		from, to = recording.Span()
		return recording, from, to, nil
	}
	if p.since < time.Minute || p.since > 455*24*time.Hour {
		return nil, from, to, terminal.Misuse("--since must be between a minute and 455 days")
	}
	cfg, err := p.on.Config(cmd.Context(), a.configure)
	if err != nil {
		return nil, from, to, err
	}
	to = a.now().UTC().Truncate(time.Minute)
	from = to.Add(-p.since)
	bar := terminal.NewProgress(cmd)
	table, err := cloudwatch.Fetch(cmd.Context(), cloudwatch.NewClient(cfg), s, from, to, func(done, of int) { bar.Show("read %d of %d metrics", done, of) })
	bar.End()
	return table, from, to, err
}

func (a app) backtest() *cobra.Command {
	var spec specOptions
	var p past
	var most float64
	var sweep bool
	cmd := &cobra.Command{
		Use:   "backtest [ALARM…]",
		Short: "Show how often alarms would have paged in the past",
		Long: `backtest evaluates each alarm over history as CloudWatch does, with M-of-N datapoints and
missing data. It prints how often the alarm would have paged, and how long it would have
been in ALARM. --sweep also prints how often other thresholds would have paged.

Exit code 1: an alarm would have paged more often in a week than --max-pages allows.`,
		Example: `  throughline alarms backtest --metrics build/demo/metrics.jsonl
  throughline alarms backtest orders-errors --since 168h --sweep --max-pages 3`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := spec.resolve(cmd)
			if err != nil {
				return err
			}
			if s, err = choose(s, args); err != nil {
				return err
			}
			data, from, to, err := p.read(cmd, a, s)
			if err != nil {
				return err
			}
			results := []tested{}
			bar := terminal.NewProgress(cmd)
			defer bar.End()
			for i, alarm := range s.Alarms {
				bar.Show("replaying %d of %d alarms", i+1, len(s.Alarms))
				r := tested{alarm: alarm}
				if r.Report, err = eval.Backtest(alarm, data, from, to, p.reach); err != nil {
					return err
				}
				r.PagesAWeek = r.Report.PagesAWeek()
				if sweep && r.Known {
					if r.Sweep, err = eval.Sweep(alarm, data, from, to, p.reach, 12); err != nil {
						return err
					}
				}
				results = append(results, r)
			}
			bar.End()
			return printBacktest(cmd, results, from, to, p.reach, spec.json, most)
		},
	}
	cmd.ValidArgsFunction = spec.complete
	spec.bind(cmd.Flags())
	p.bind(cmd)
	cmd.Flags().Float64Var(&most, "max-pages", -1, "exit with 1 if an alarm would page more often than this in a week; below 0 means no limit")
	cmd.Flags().BoolVar(&sweep, "sweep", false, "also show how often other thresholds would page")
	return cmd
}

type tested struct {
	eval.Report
	PagesAWeek float64     `json:"pages_a_week"`
	Sweep      []eval.Step `json:"sweep,omitempty"`

	alarm alarms.Alarm
}

func (t tested) readable(f float64) string { return alarms.Readable(t.alarm, f) }

// lookBack describes the number of periods in which CloudWatch is assumed to look for
// datapoints.
func lookBack(reach int) string {
	if reach == 0 {
		return "two periods more than the alarm has (--range): CloudWatch does not publish the number"
	}
	return fmt.Sprintf("%d periods, or two more than the alarm has if that is more", reach)
}

func printBacktest(cmd *cobra.Command, results []tested, from, to time.Time, reach int, asJSON bool, most float64) error {
	out := cmd.OutOrStdout()
	over := slices.DeleteFunc(slices.Clone(results), func(r tested) bool { return most < 0 || r.PagesAWeek <= most })
	if asJSON {
		if err := terminal.PrintJSON(out, results); err != nil {
			return err
		}
	} else {
		p := terminal.Painter(out)
		fmt.Fprintf(out, "%s to %s UTC\n", from.Format(time.DateTime), to.Format(time.DateTime))
		fmt.Fprintf(out, "%6s %8s %10s %10s %8s  %s\n", "pages", "a week", "in alarm", "longest", "no data", "alarm")
		unknown := 0
		for _, r := range results {
			if !r.Known {
				unknown++
				continue
			}
			pages := fmt.Sprintf("%6d", r.Pages)
			if r.Pages > 0 {
				pages = p.Yellow(pages)
			}
			share := 100 * float64(r.NoData) / float64(max(1, to.Sub(from)))
			fmt.Fprintf(out, "%s %8.1f %10s %10s %7.0f%%  %s\n", pages, r.PagesAWeek, r.InAlarm, r.Longest, min(100, share), r.Alarm)
			for _, step := range r.Sweep {
				fmt.Fprintf(out, "%s\n", p.Dim(fmt.Sprintf("    threshold %-14s %5d pages, %6.1f a week, in alarm %3.0f%%", r.readable(step.Threshold), step.Pages, step.PerWeek, 100*step.InAlarm)))
			}
		}
		if unknown > 0 {
			fmt.Fprintf(out, "not evaluated, because nothing was recorded: %s\n", phrase.Count(unknown, "alarm"))
		}
		fmt.Fprintln(out, p.Dim("each evaluation looked back over "+lookBack(reach)))
		fmt.Fprintln(out, p.Dim(eval.Limits))
	}
	if len(over) == 0 {
		return nil
	}
	names := make([]string, len(over))
	for i, r := range over {
		names[i] = fmt.Sprintf("%s (%.1f)", r.Alarm, r.PagesAWeek)
	}
	return terminal.Finding("more than %g pages a week: %s", most, strings.Join(names, ", "))
}

func (a app) suggest() *cobra.Command {
	var spec specOptions
	var p past
	var pages float64
	cmd := &cobra.Command{
		Use:   "suggest [ALARM…]",
		Short: "Suggest thresholds that limit how often alarms page",
		Long: `suggest finds a threshold for each alarm: the one closest to normal values with which the
alarm would have paged at most --pages times in a week. It prints these thresholds as
overrides for the spec. It does not edit the spec. It needs at least a day of history.`,
		Example: `  throughline alarms suggest --metrics metrics.jsonl --pages 1
  throughline alarms suggest orders-errors --since 336h >> overrides.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := spec.resolve(cmd)
			if err != nil {
				return err
			}
			if s, err = choose(s, args); err != nil {
				return err
			}
			data, from, to, err := p.read(cmd, a, s)
			if err != nil {
				return err
			}
			return printSuggestions(cmd, s, data, from, to, p.reach, pages, spec.json)
		},
	}
	cmd.ValidArgsFunction = spec.complete
	spec.bind(cmd.Flags())
	p.bind(cmd)
	cmd.Flags().Float64Var(&pages, "pages", 1, "allow an alarm this many pages in a week")
	return cmd
}

type suggestion struct {
	Alarm     string  `json:"alarm"`
	Now       float64 `json:"threshold_now"`
	Threshold float64 `json:"threshold"`
	PerWeek   float64 `json:"pages_a_week"`
	Override  string  `json:"override"`

	was string
}

func printSuggestions(cmd *cobra.Command, s alarms.Set, data eval.Data, from, to time.Time, reach int, pages float64, asJSON bool) error {
	found := []suggestion{}
	bar := terminal.NewProgress(cmd)
	defer bar.End()
	for i, alarm := range s.Alarms {
		bar.Show("replaying %d of %d alarms", i+1, len(s.Alarms))
		step, ok, err := eval.Suggest(alarm, data, from, to, reach, pages)
		if err != nil {
			return err
		}
		if !ok || step.Threshold == alarm.Threshold {
			continue
		}
		found = append(found, suggestion{alarm.Name, alarm.Threshold, step.Threshold, step.PerWeek, alarms.OverrideText(alarm, step.Threshold), alarms.Readable(alarm, alarm.Threshold)})
	}
	bar.End()
	out := cmd.OutOrStdout()
	if asJSON {
		return terminal.PrintJSON(out, found)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "# nothing to suggest: the thresholds fit already, or nothing was recorded")
		return err
	}
	fmt.Fprintf(out, "# from %s to %s, at most %g pages a week\noverrides:\n", from.Format(time.DateTime), to.Format(time.DateTime), pages)
	for _, f := range found {
		fmt.Fprintf(out, "  %s  # %s: was %s, %.1f pages a week\n", f.Override, f.Alarm, f.was, f.PerWeek)
	}
	return nil
}
