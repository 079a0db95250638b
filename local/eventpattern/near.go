package eventpattern

import (
	"strings"
	"unicode"
)

// Alike reports whether someone may have written one name for the other: they differ in
// capitals, white space and punctuation alone, or in few letters. Names that differ in
// digits alone are different names. Equal ones are alike.
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

// unspaced is a text in lower case without what nobody sees.
func unspaced(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// bare is a text in lower case, letters and digits alone.
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

// distance is the number of bytes to insert, remove or replace (Levenshtein), and of
// two neighbours to exchange; of texts that are long or differ much in length, many.
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
