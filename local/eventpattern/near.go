package eventpattern

import (
	"strings"
	"unicode"
)

// Alike reports whether one name may be a misspelling of the other: they differ only in
// case, white space and punctuation, or in few letters. Names that differ only in digits
// are different names. Equal names are alike.
func Alike(a, b string) bool { return bare(a) == bare(b) || misspelt(a, b) }

// misspelt reports whether two texts differ in at most two letters of six or more, or in
// one of four or five.
func misspelt(a, b string) bool {
	a, b = bare(a), bare(b)
	const few, some = 4, 6
	allowed := 0
	switch n := min(len(a), len(b)); {
	case n >= some:
		allowed = 2
	case n >= few:
		allowed = 1
	}
	return a != b && allowed > 0 && undigited(a) != undigited(b) && distance(a, b) <= allowed
}

// unspaced returns a text in lower case without white space and invisible characters.
func unspaced(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// bare returns the letters and digits of a text in lower case.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

func undigited(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s)
}

// distance returns the number of edits between two texts: inserted, removed or replaced
// bytes, and swapped neighbours (Damerau-Levenshtein). For texts that are long or differ
// much in length, it returns a large number.
func distance(a, b string) int {
	const longest, apart = 128, 2
	if max(len(a), len(b)) > longest || max(len(a), len(b))-min(len(a), len(b)) > apart {
		return longest
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, last[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = last, next
	}
	return row[len(b)]
}
