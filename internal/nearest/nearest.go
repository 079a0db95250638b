// Package nearest finds the known name that is most similar to a misspelt
// one.
package nearest

import "strings"

// Of returns the name in known with the smallest edit distance to wanted, regardless of
// case; "" if none is similar. If several are equally similar, it returns the first.
func Of(wanted string, known []string) string {
	best, distance := "", 3+len(wanted)/4
	for _, k := range known {
		if d := edits(strings.ToLower(wanted), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// Hint returns the result of [Of] as the end of a message: "; did you mean NAME?", or "".
func Hint(wanted string, known []string) string {
	if near := Of(wanted, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitution := diagonal
			if a[i-1] != b[j-1] {
				substitution++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, substitution)
		}
	}
	return row[len(b)]
}
