//go:build !race

package copier

// raced reports whether the tests run under the race detector.
const raced = false
