package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"
)

// Want reads the wanted result of the event in a file, in JSON. It is nil if
// there is no NAME.want.json next to NAME.json.
func Want(file string) ([]byte, error) {
	want, err := os.ReadFile(strings.TrimSuffix(file, ending) + wantEnding)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the wanted result: %w", err)
	}
	return want, nil
}

// runName matches the name of a run of the mirror function, which holds the time
// when it began.
var runName = regexp.MustCompile(`\b(plan|status)-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z`)

// Equal reports whether a result is the wanted one: the same JSON value, where
// plan-TIME and status-TIME stand for the name of any such run.
func Equal(result, want []byte) (bool, error) {
	var got, wanted any
	if err := json.Unmarshal(runName.ReplaceAll(result, []byte("$1-TIME")), &got); err != nil {
		return false, fmt.Errorf("reading the result: %w", err)
	}
	if err := json.Unmarshal(want, &wanted); err != nil {
		return false, fmt.Errorf("reading the wanted result: %w", err)
	}
	return reflect.DeepEqual(got, wanted), nil
}
