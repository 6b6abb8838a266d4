package refresher

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/ranges/compile"
)

// The keys in the state bucket. Tables have the suffix tableSuffix, and next to them
// is the record of the change with recordSuffix.
const (
	stateKey      = config.RangesPrefix + "state.json"
	historyPrefix = config.RangesPrefix + "history/"
	waitingPrefix = config.RangesPrefix + "waiting/"
	tableSuffix   = ".bin"
	recordSuffix  = ".json"

	// maxHistory is how many changes are kept.
	maxHistory = 30
	// idFormat is the beginning of an ID: the time of the change in UTC. The rest is
	// random, so that two refreshers do not write the same objects.
	idFormat = "20060102T150405Z"
)

// ErrChanged is the error of Put if the object is not the one that was read.
var ErrChanged = errors.New("another run has changed it")

// Store is a bucket.
type Store interface {
	// Get returns an object and its entity tag, nil if there is none.
	Get(ctx context.Context, key string) (data []byte, etag string, err error)
	// Put writes an object. It replaces only the one with an entity tag, or with the
	// empty tag none; otherwise the error is ErrChanged. It returns the new tag.
	Put(ctx context.Context, key string, data []byte, replaces string) (etag string, err error)
	// Delete deletes an object, if there is one.
	Delete(ctx context.Context, key string) error
	// Keys returns the keys with a prefix, in ascending order.
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// state is what must outlive a run.
type state struct {
	// Current is the ID of the published table. Its object is next to the history
	// until another one is published.
	Current string `json:"current,omitempty"`
	// Checked is when the document of AWS was last checked with success.
	Checked time.Time `json:"checked,omitzero"`
	// Held is whether a rollback holds.
	Held bool `json:"held,omitempty"`
	// Waiting is the ID of the table that waits for an approval.
	Waiting string `json:"waiting,omitempty"`
	// Unreadable are the clouds with a document of an unknown form.
	Unreadable []string `json:"unreadable,omitempty"`
	// Accepted are conflicts that were approved.
	Accepted []string `json:"accepted,omitempty"`
	// Reported is when the last weekly mail was sent, Unreported what the next one
	// will have.
	Reported   time.Time `json:"reported,omitzero"`
	Unreported []string  `json:"unreported,omitempty"`

	etag  string
	saved []byte
}

// newID returns the ID of a change at a time.
func newID(at time.Time) string {
	return at.UTC().Format(idFormat) + "-" + strings.ToLower(rand.Text()[:4])
}

// timeOf returns the time of an ID.
func timeOf(id string) (time.Time, error) {
	text, _, _ := strings.Cut(id, "-")
	at, err := time.Parse(idFormat, text)
	if err != nil {
		return at, fmt.Errorf("reading the state of the range tables: ID %.40q: want one that begins with a time", id)
	}
	return at, nil
}

// record is what is kept of a change.
type record struct {
	ID       string            `json:"id"`
	Notes    []string          `json:"notes,omitempty"`
	Problems []compile.Problem `json:"problems,omitempty"`
	Report   compile.Report    `json:"report"`
	Text     string            `json:"text"`
}

func (r *Refresher) load(ctx context.Context) (*state, error) {
	data, etag, err := r.State.Get(ctx, stateKey)
	if err != nil {
		return nil, fmt.Errorf("reading the state of the range tables: %w", err)
	}
	st := &state{etag: etag, saved: data}
	if data == nil {
		return st, nil
	}
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("reading the state of the range tables: %s: %w: restore an earlier version of the object", stateKey, err)
	}
	return st, nil
}

// save replaces the state that was loaded.
func (r *Refresher) save(ctx context.Context, st *state) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	if bytes.Equal(st.saved, data) {
		return nil
	}
	etag, err := r.State.Put(ctx, stateKey, data, st.etag)
	if err != nil {
		return fmt.Errorf("writing the state of the range tables: %w", err)
	}
	st.etag, st.saved = etag, data
	return nil
}

// current returns the published table, or the embedded one if that is newer.
func (r *Refresher) current(ctx context.Context, st *state) (ranges.Table, error) {
	embedded := ranges.Embedded()
	if st.Current == "" {
		return embedded, nil
	}
	t, err := r.table(ctx, historyPrefix+st.Current)
	if err == nil && embedded.Newer(t) {
		t = embedded
	}
	return t, err
}

func (r *Refresher) table(ctx context.Context, key string) (ranges.Table, error) {
	data, _, err := r.State.Get(ctx, key+tableSuffix)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %s: %w", key, err)
	}
	t, err := ranges.Parse(data)
	if err != nil {
		return ranges.Table{}, fmt.Errorf("reading the table %s: %w", key, err)
	}
	return t, nil
}

func (r *Refresher) record(ctx context.Context, key string) (rec record, err error) {
	data, _, err := r.State.Get(ctx, key+recordSuffix)
	if err == nil {
		// Only the problems are needed, and not all of the report can be read back.
		var in struct {
			Problems []compile.Problem `json:"problems"`
		}
		err = json.Unmarshal(data, &in)
		rec.Problems = in.Problems
	}
	if err != nil {
		return record{}, fmt.Errorf("reading the record %s: %w", key, err)
	}
	return rec, nil
}

// put writes a table and its record over what may be there.
func (r *Refresher) put(ctx context.Context, key string, data []byte) error {
	_, etag, err := r.State.Get(ctx, key)
	if err == nil {
		_, err = r.State.Put(ctx, key, data, etag)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

func (r *Refresher) putRecord(ctx context.Context, prefix string, t ranges.Table, rec record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := r.put(ctx, prefix+rec.ID+tableSuffix, t.Bytes()); err != nil {
		return err
	}
	return r.put(ctx, prefix+rec.ID+recordSuffix, data)
}

func (r *Refresher) remove(ctx context.Context, key string) error {
	return errors.Join(r.State.Delete(ctx, key+tableSuffix), r.State.Delete(ctx, key+recordSuffix))
}

// history returns the IDs of the changes, the earliest first.
func (r *Refresher) history(ctx context.Context) ([]string, error) {
	keys, err := r.State.Keys(ctx, historyPrefix)
	if err != nil {
		return nil, fmt.Errorf("listing the history of the range tables: %w", err)
	}
	var ids []string
	for _, key := range keys {
		if id, ok := strings.CutSuffix(strings.TrimPrefix(key, historyPrefix), recordSuffix); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// drop removes the table that waits, if there is one.
func (r *Refresher) drop(ctx context.Context, st *state) error {
	if st.Waiting == "" {
		return nil
	}
	id := st.Waiting
	st.Waiting = ""
	return r.remove(ctx, waitingPrefix+id)
}
