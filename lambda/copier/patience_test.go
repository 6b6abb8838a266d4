package copier

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, header string
		want         time.Duration
		ok           bool
	}{
		{"seconds", "7", 7 * time.Second, true},
		{"zero", "0", 0, true},
		{"date", "Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second, true},
		{"past", "Fri, 02 Jan 2026 03:04:00 GMT", 0, true},
		{"negative", "-1", 0, false},
		{"none", "", 0, false},
		{"nonsense", "soon", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := retryAfter(tt.header, now); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// What is written is read again, and a file is replaced as a whole or not at
// all.
func TestMemory(t *testing.T) {
	var m, again Memory
	m.Put(a, &Contents{Blobs: []Blob{{b, 1}}, LeftOut: 1})
	m.Put(b, &Contents{Children: []string{a}})
	file := filepath.Join(t.TempDir(), "memory")
	if err := errors.Join(again.ReadFile(file), m.WriteFile(file), again.ReadFile(file)); err != nil {
		t.Fatal(err)
	}
	if len(again.held) != 2 || !reflect.DeepEqual(again.Get(a), m.Get(a)) || !reflect.DeepEqual(again.Get(b), m.Get(b)) {
		t.Errorf("read %+v, written was %+v", again.held, m.held)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{5, len(text) / 2, len(text) - 1} {
		var damaged Memory
		if err := damaged.Read(bytes.NewReader(text[:cut])); err == nil {
			t.Errorf("the first %d of %d bytes are taken for everything", cut, len(text))
		}
	}
	if err := m.WriteFile(filepath.Join(file, "not-a-folder")); err == nil {
		t.Error("a file below a file can be written")
	}
}
