package compile

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"archeio/ranges"
)

// ReadFile reads a table from a file. Its errors wrap fs.ErrNotExist or
// ranges.ErrDamaged where these apply.
func ReadFile(name string) (ranges.Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %q: %w", name, cause(err))
	}
	defer f.Close()
	// One byte more than Parse accepts is enough for it to refuse the file.
	data, err := io.ReadAll(io.LimitReader(f, ranges.MaxSize+1))
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %q: %w", name, cause(err))
	}
	t, err := ranges.Parse(data)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %q: %w", name, err)
	}
	return t, nil
}

// WriteFile writes a table to a file. It replaces the file in one step, so that
// neither a reader nor a crash can meet half of a table.
func WriteFile(name string, table ranges.Table) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("writing the table %q: %w", name, cause(err))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(table.Bytes())
	err = cmp.Or(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("writing the table %q: %w", name, cause(err))
	}
	return nil
}
