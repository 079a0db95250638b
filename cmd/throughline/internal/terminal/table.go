package terminal

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes rows in columns, two spaces apart. The first right columns are
// right-aligned, the others left-aligned. If the report has to fit a terminal, the last
// cell of a row is cut; see [Fit]. Cells must not have marks.
func Table(out io.Writer, right int, rows [][]string) error {
	widths := widthsOf(rows)
	var b strings.Builder
	for _, row := range rows {
		line, at := "", 0
		for i, cell := range row {
			if i == len(row)-1 && i >= right {
				if columns := Columns(out); columns > 0 {
					cell = Cut(cell, max(columns-at, least))
				}
				line += cell
				break
			}
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			at += widths[i] + gap
			if i < right {
				line += space + cell + "  "
			} else {
				line += cell + space + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// gap is the number of spaces between two columns.
const gap = 2

// TableWidth returns the width of rows in [Table] without a limit.
func TableWidth(rows [][]string) (width int) {
	for _, w := range widthsOf(rows) {
		width += w + gap
	}
	return max(0, width-gap)
}

func widthsOf(rows [][]string) (widths []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// least is the least number of characters that remain of a cell.
const least = 8
