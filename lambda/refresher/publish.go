package refresher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/ranges"
	"archeio/ranges/compile"
)

// tableKey is the key of the table in a mirror.
const tableKey = config.BlobPrefix + config.RangesName

// refuse records a table that the checks refuse. It changes nothing else. A table that
// waits already is not reported again.
func (r *Refresher) refuse(ctx context.Context, st *state, after ranges.Table, report compile.Report, notes []string) (Result, error) {
	result := Result{Outcome: Refused, ID: st.Waiting, Notes: notes, Text: report.Text()}
	if st.Waiting != "" {
		if t, err := r.table(ctx, waitingPrefix+st.Waiting); err == nil && slices.Equal(t.Bytes(), after.Bytes()) {
			return result, r.save(ctx, st)
		}
	}
	superseded := st.Waiting
	st.Waiting = newID(r.Now())
	result.ID = st.Waiting
	if err := r.putRecord(ctx, waitingPrefix, after, record{st.Waiting, notes, report.Problems, report, result.Text}); err != nil {
		return result, err
	}
	if err := r.save(ctx, st); err != nil {
		return result, err
	}
	if superseded != "" && superseded != st.Waiting {
		if err := r.remove(ctx, waitingPrefix+superseded); err != nil {
			return result, err
		}
	}
	r.log("range table refused", result, compile.Texts(report.Problems))
	return result, r.mail(ctx, "IP ranges refused: "+st.Waiting,
		fmt.Sprintf("The new IP ranges are not used, because %s.\n\nTo use them: archeio ranges approve -stage %s %s\n\n%s", compile.Texts(report.Problems), r.Stage, st.Waiting, result.Text))
}

// publish makes a table the current one and writes it into the mirrors.
func (r *Refresher) publish(ctx context.Context, st *state, before, after ranges.Table, report compile.Report, notes []string) (Result, error) {
	now := r.Now()
	previous := st.Current
	if previous == "" { // so that there is one to roll back to
		previous = newID(before.Latest())
		if err := r.putRecord(ctx, historyPrefix, before, record{ID: previous, Notes: []string{"the first table"}, Text: "the first table\n"}); err != nil {
			return Result{}, err
		}
	}
	issued, err := timeOf(previous)
	if err != nil {
		return Result{}, err
	}
	if issued = issued.Add(time.Second); issued.Before(now) { // IDs are in order
		issued = now
	}
	id := newID(issued)
	after = after.Issue(issued)
	result := Result{Outcome: Published, ID: id, Notes: notes, Text: report.Text()}
	changes := len(report.Changes) > 0
	if changes {
		if err := r.putRecord(ctx, historyPrefix, after, record{id, notes, nil, report, result.Text}); err != nil {
			return result, err
		}
	} else if err := r.put(ctx, historyPrefix+id+tableSuffix, after.Bytes()); err != nil {
		return result, err
	}
	waiting := st.Waiting
	st.Current, st.Waiting = id, ""
	elsewhere := changes && len(report.Stage.Mirrors) > 0
	if changes && !elsewhere {
		st.Unreported = append(st.Unreported, id+"\n"+result.Text)
	}
	if err := r.save(ctx, st); err != nil {
		return result, errors.Join(err, r.remove(ctx, historyPrefix+id))
	}
	err = r.write(ctx, after)
	if waiting != "" {
		err = errors.Join(err, r.remove(ctx, waitingPrefix+waiting))
	}
	err = errors.Join(err, r.prune(ctx, id))
	if changes {
		r.log("range table published", result, "")
	}
	if elsewhere {
		err = errors.Join(err, r.mail(ctx, "IP ranges changed: clients get another mirror", strings.Join(append(notes, result.Text), "\n")))
	}
	return result, err
}

// prune deletes tables of a history that is too long, and those without a change
// except for the current one.
func (r *Refresher) prune(ctx context.Context, current string) error {
	ids, err := r.history(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids[:max(0, len(ids)-maxHistory)] {
		if err := r.remove(ctx, historyPrefix+id); err != nil {
			return err
		}
	}
	keys, err := r.State.Keys(ctx, historyPrefix)
	if err != nil {
		return err
	}
	for _, key := range keys {
		id, isTable := strings.CutSuffix(strings.TrimPrefix(key, historyPrefix), tableSuffix)
		if isTable && id != current && !slices.Contains(ids, id) {
			if err := r.State.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes a table into every mirror that has an older one. It returns an error for
// each mirror that it could not write to, and writes to the others.
func (r *Refresher) write(ctx context.Context, t ranges.Table) error {
	if t.Issued().IsZero() { // it is embedded in every function
		return nil
	}
	regions := slices.Sorted(maps.Keys(r.Mirrors))
	errs := make([]error, len(regions))
	var group sync.WaitGroup
	for i, region := range regions {
		group.Go(func() {
			if err := r.writeTo(ctx, r.Mirrors[region], t); err != nil {
				errs[i] = fmt.Errorf("writing the range table to the mirror in %s: %w", region, err)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (r *Refresher) writeTo(ctx context.Context, s Store, t ranges.Table) (err error) {
	for range attempts {
		data, etag, err := s.Get(ctx, tableKey)
		if err != nil {
			return err
		}
		// One that is damaged or of the future is not used by any redirector.
		if there, err := ranges.Parse(data); err == nil && !t.Newer(there) && !there.Latest().After(r.Now().Add(index.Skew)) {
			return nil
		}
		if _, err = s.Put(ctx, tableKey, t.Bytes(), etag); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
}

// log writes the one entry of a change. The report is a list of lines, which CloudWatch
// shows one below the other.
func (r *Refresher) log(message string, result Result, problems string) {
	lines := strings.Split(strings.TrimRight(result.Text, "\n"), "\n")
	r.Log.Info(message, "id", result.ID, "stage", r.Stage, "problems", problems, "notes", result.Notes, "report", lines)
}

// week is the time between two mails about changes that need no attention.
const week = 7 * 24 * time.Hour

// weekly sends the mail about changes that need no attention, if it is due.
func (r *Refresher) weekly(ctx context.Context, st *state) error {
	now := r.Now()
	if st.Reported.IsZero() {
		st.Reported = now
		return r.save(ctx, st)
	}
	if now.Sub(st.Reported) < week || len(st.Unreported) == 0 {
		return nil
	}
	text := strings.Join(st.Unreported, "\n\n")
	n := len(st.Unreported)
	st.Reported, st.Unreported = now, nil
	if err := r.save(ctx, st); err != nil {
		return err
	}
	return r.mail(ctx, "IP ranges of the last week", fmt.Sprintf("Changes that give no client another mirror: %d\n\n%s", n, text))
}

// maxMail is below the limit of SNS for a message, in bytes.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const maxMail = 200_000

func (r *Refresher) mail(ctx context.Context, subject, text string) error {
	if r.Mail == nil {
		return nil
	}
	if len(text) > maxMail {
		text = text[:maxMail] + "\n…"
	}
	if err := r.Mail(ctx, "Archeio "+r.Stage+": "+subject, text); err != nil {
		return fmt.Errorf("sending the mail %q: %w", subject, err)
	}
	return nil
}
