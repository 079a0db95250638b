package expectcmd

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// report is the output of --json. Workflow is set if an expectation is not met.
type report struct {
	Met           bool               `json:"met"`
	CorrelationID string             `json:"correlation_id,omitempty"`
	WaitedMS      int64              `json:"waited_ms"`
	Expectations  []verdict          `json:"expectations"`
	Workflow      *workflow.Document `json:"workflow,omitempty"`
}

func (r report) print(out io.Writer, w *workflow.Workflow, asJSON bool) error {
	if asJSON {
		if !r.Met && w != nil {
			d := w.Document()
			r.Workflow = &d
		}
		return terminal.PrintJSON(out, r)
	}
	const hang = 6
	return terminal.Fit(out, hang, func(out io.Writer) error { return r.write(out, w) })
}

func (r report) write(out io.Writer, w *workflow.Workflow) error {
	paint := terminal.Painter(out)
	for _, v := range r.Expectations {
		mark := paint.Green("ok  ")
		if !v.Met {
			mark = paint.Red("FAIL")
		}
		text := v.Expected
		if v.Detail != "" {
			text += ": " + v.Detail
		}
		if _, err := fmt.Fprintf(out, "%s  %s\n", mark, text); err != nil {
			return err
		}
	}
	if r.Met || w == nil {
		return nil
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return workflow.WriteText(out, w)
}

// suite and its parts are the JUnit report that CI systems read.
type suite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Time     float64    `xml:"time,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    float64  `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
}

// junit writes the report as JUnit XML, a test case for each expectation.
func (r report) junit(out io.Writer) error {
	s := suite{Name: "throughline expect", Tests: len(r.Expectations), Time: float64(r.WaitedMS) / 1000}
	class := "throughline.expect"
	for _, v := range r.Expectations {
		c := testCase{Class: class, Name: v.Expected, Time: v.AfterMS / 1000}
		if !v.Met {
			s.Failures++
			c.Failure = &failure{v.Detail}
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(out)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	_, err := io.WriteString(out, "\n")
	return err
}
