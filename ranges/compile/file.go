package compile

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"archeio/ranges"
)

// ReadTable reads a table from a file or an https URL, see [Provider.Fetch] for its
// client and redirects. Its errors wrap fs.ErrNotExist or ranges.ErrDamaged where
// these apply.
func ReadTable(ctx context.Context, client *http.Client, from string) (ranges.Table, error) {
	data, err := fetch(ctx, client, from, ranges.MaxSize)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %q: %w", from, err)
	}
	t, err := ranges.Parse(data)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %q: %w", from, err)
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
