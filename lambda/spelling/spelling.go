// Package spelling suggests the known name that a misspelled one was meant to
// be, for error messages. It uses the standard library only.
package spelling

import (
	"fmt"
	"iter"
	"strings"
)

const (
	// maxLength is the longest name in bytes that is compared. It bounds the
	// work per known name.
	maxLength = 64
	// maxEdits is how many edits away a suggestion may be.
	maxEdits = 2
)

// Suggest returns the known name closest to name, or the empty string if none
// is close: at most two edits, one in a name of two to four bytes. An edit
// inserts, deletes or replaces a byte, or swaps two neighbors. Case is ignored.
// Among equally close names it returns the one that sorts first, so the order
// of known does not matter.
func Suggest(name string, known iter.Seq[string]) string {
	name = strings.ToLower(name)
	if len(name) > maxLength {
		return ""
	}
	best, bestEdits := "", min(maxEdits, (len(name)+1)/3)
	for candidate := range known {
		folded := strings.ToLower(candidate)
		if len(folded) > maxLength {
			continue
		}
		n := edits(name, folded)
		if n < bestEdits || n == bestEdits && (best == "" || candidate < best) {
			best, bestEdits = candidate, n
		}
	}
	return best
}

// DidYouMean returns the suggestion as the end of an error message,
// ` (did you mean "us-east-1"?)`, or the empty string if there is none.
func DidYouMean(name string, known iter.Seq[string]) string {
	if s := Suggest(name, known); s != "" {
		return fmt.Sprintf(" (did you mean %q?)", s)
	}
	return ""
}

// edits returns the optimal string alignment distance of two strings of at
// most maxLength bytes.
func edits(a, b string) int {
	// Rows of the distance matrix, for the prefixes of a that end before the
	// previous byte, before this byte and after it.
	var before, last, row [maxLength + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
