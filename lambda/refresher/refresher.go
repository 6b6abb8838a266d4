// Package refresher keeps the range tables of a stage's mirrors up to date. It fetches
// the documents of the clouds, checks them, compiles them, and publishes a table that
// differs into every mirror. Every change has a record that can be reviewed, and can be
// rolled back. What the checks refuse waits for an approval and changes nothing.
//
// The state is one object, which is replaced only as it was read. So any number of
// refreshers may run at the same time: the one that is later starts again. Mirrors
// follow the state; one that was unavailable is repaired by the next run.
package refresher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"archeio/lambda/index"
	"archeio/lambda/metrics"
	"archeio/ranges"
	"archeio/ranges/compile"
)

// Refresher is the refresher of a stage. All fields but Mail are required. It is safe
// for concurrent use.
type Refresher struct {
	// Stage is its name.
	Stage string
	// Mirrors are the buckets of the mirrors by their regions.
	Mirrors map[string]Store
	// State is the bucket with the state.
	State Store
	// First returns where blobs come from first for a client at a place, see
	// [compile.Report.InStage].
	First func(ranges.Place) string
	// Fetch returns the name and the text of a provider's document.
	Fetch func(context.Context, compile.Provider) (name string, text []byte, err error)
	// Mail sends a mail to the operators. It may be nil.
	Mail func(ctx context.Context, subject, text string) error
	Log  *slog.Logger
	// Metrics is where lines of metrics are written.
	Metrics io.Writer
	Now     func() time.Time
}

// Result is what a run has done.
type Result struct {
	// Outcome is one of the constants below.
	Outcome string `json:"outcome"`
	// ID is that of the published or of the refused table.
	ID string `json:"id,omitempty"`
	// Notes are what else is to be known, for example a document that could not be
	// fetched.
	Notes []string `json:"notes,omitempty"`
	// Text is the report for a reader.
	Text string `json:"text,omitempty"`
}

// The outcomes.
const (
	Unchanged = "unchanged"
	Published = "published"
	// Refused: the table waits for an approval.
	Refused = "refused"
)

// attempts is how often a run starts again after another refresher changed the state.
const attempts = 5

// Run fetches the documents and publishes what has changed. notice is that of AWS, nil
// on a schedule.
func (r *Refresher) Run(ctx context.Context, notice *Notice) (Result, error) {
	return r.again(func() (Result, error) { return r.run(ctx, notice) })
}

// again calls f until the state has not changed during the call.
func (r *Refresher) again(f func() (Result, error)) (result Result, err error) {
	for range attempts {
		if result, err = f(); !errors.Is(err, ErrChanged) {
			return result, err
		}
	}
	return result, fmt.Errorf("writing the state of the range tables: %w %d times: run it again", err, attempts)
}

func (r *Refresher) run(ctx context.Context, notice *Notice) (Result, error) {
	st, err := r.load(ctx)
	if err != nil {
		return Result{}, err
	}
	before, err := r.current(ctx, st)
	if err != nil {
		return Result{}, err
	}
	now := r.Now()
	f, err := r.documents(ctx, before, notice)
	if err != nil {
		return Result{}, err
	}
	after, report, err := compile.Update(before, f.documents, now)
	if err != nil {
		return Result{}, err
	}
	report.InStage(r.Stage, r.First)
	problems := slices.DeleteFunc(report.Problems, func(p compile.Problem) bool {
		return p.Check == compile.Conflicting && slices.Contains(st.Accepted, p.Text)
	})
	if st.Held && len(report.Changes) > 0 {
		problems = append(problems, compile.Problem{Check: "held", Text: "a rollback holds until a table is approved"})
	}
	report.Problems = problems
	if f.awsRead && !slices.ContainsFunc(problems, func(p compile.Problem) bool { return strings.HasPrefix(p.Text, string(ranges.AWS)+" ") }) {
		st.Checked = now
	}
	alarming := slices.ContainsFunc(f.unreadable, func(cloud string) bool { return !slices.Contains(st.Unreadable, cloud) })
	st.Unreadable = f.unreadable
	result := Result{Outcome: Unchanged, Notes: f.notes}
	switch {
	case len(problems) > 0:
		result, err = r.refuse(ctx, st, after, report, f.notes)
	case len(report.Changes) > 0 || !slices.Equal(before.Sources(), after.Sources()):
		result, err = r.publish(ctx, st, before, after, report, f.notes)
	default:
		if err = r.drop(ctx, st); err == nil {
			err = r.save(ctx, st)
		}
		if err == nil {
			err = r.write(ctx, before)
		}
	}
	if errors.Is(err, ErrChanged) {
		return result, err
	}
	if alarming {
		err = errors.Join(err, r.mail(ctx, "documents of IP ranges of an unknown form", strings.Join(f.notes, "\n")))
	}
	r.measure(st, before)
	return result, errors.Join(err, r.weekly(ctx, st), f.retry)
}

// Approve publishes the table that waits under an ID, and ends a rollback.
func (r *Refresher) Approve(ctx context.Context, id string) (Result, error) {
	return r.again(func() (Result, error) {
		st, err := r.load(ctx)
		if err != nil {
			return Result{}, err
		}
		if st.Waiting == "" || id != st.Waiting {
			return Result{}, fmt.Errorf("approving %.40q: %s", id, waiting(st))
		}
		before, err := r.current(ctx, st)
		if err != nil {
			return Result{}, err
		}
		after, err := r.table(ctx, waitingPrefix+id)
		if err != nil {
			return Result{}, err
		}
		if latest := after.Latest(); latest.After(r.Now().Add(index.Skew)) {
			return Result{}, fmt.Errorf("approving %s: it is of %s, ahead of the clock, so no redirector would use it: wait until then", id, latest.Format(time.RFC3339))
		}
		record, err := r.record(ctx, waitingPrefix+id)
		if err != nil {
			return Result{}, err
		}
		for _, p := range record.Problems {
			if p.Check == compile.Conflicting {
				st.Accepted = []string{p.Text}
			}
		}
		st.Held = false
		report := compile.Compare(before, after)
		report.InStage(r.Stage, r.First)
		result, err := r.publish(ctx, st, before, after, report, []string{"approved: " + id})
		if !errors.Is(err, ErrChanged) {
			r.measure(st, before)
		}
		return result, err
	})
}

func waiting(st *state) string {
	if st.Waiting == "" {
		return "no table waits for an approval"
	}
	return fmt.Sprintf("want the ID of the table that waits, %s", st.Waiting)
}

// Rollback publishes an earlier table again: the one with an ID, or the one before the
// last change. It holds until a table is approved.
func (r *Refresher) Rollback(ctx context.Context, id string) (Result, error) {
	return r.again(func() (Result, error) {
		st, err := r.load(ctx)
		if err != nil {
			return Result{}, err
		}
		ids, err := r.history(ctx)
		if err != nil {
			return Result{}, err
		}
		switch {
		case id == "" && st.Held:
			return Result{}, fmt.Errorf("rolling back: a rollback holds already: name the table: %s", strings.Join(ids, ", "))
		case id == "" && len(ids) < 2:
			return Result{}, errors.New("rolling back: there is no earlier table")
		case id == "":
			id = ids[len(ids)-2]
		case !slices.Contains(ids, id):
			return Result{}, fmt.Errorf("rolling back to %.40q: unknown ID: want one of %s", id, strings.Join(ids, ", "))
		}
		before, err := r.current(ctx, st)
		if err != nil {
			return Result{}, err
		}
		after, err := r.table(ctx, historyPrefix+id)
		if err != nil {
			return Result{}, err
		}
		st.Held = true
		report := compile.Compare(before, after)
		report.InStage(r.Stage, r.First)
		result, err := r.publish(ctx, st, before, after, report, []string{"rollback to " + id + ", until a table is approved"})
		if !errors.Is(err, ErrChanged) {
			r.measure(st, before)
		}
		return result, err
	})
}

// measure writes the metrics of a run.
func (r *Refresher) measure(st *state, before ranges.Table) {
	checked := st.Checked
	if checked.IsZero() {
		checked = before.Date()
	}
	now, refused := r.Now(), 0
	if st.Waiting != "" || len(st.Unreadable) > 0 {
		refused = 1
	}
	metrics.Write(r.Metrics, now, "", "",
		metrics.Datum{Name: metrics.RangesUnchecked, Unit: "Seconds", Value: max(0, now.Sub(checked).Seconds())},
		metrics.Datum{Name: metrics.RangesRefused, Unit: "Count", Value: refused})
}
