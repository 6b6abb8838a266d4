package refresher

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/lab/clouds"
)

// memory is a Store.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	down    error
	// beforePut is called before each Put, if it is not nil.
	beforePut func(key string)
	puts      int
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}} }

func etag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (m *memory) Get(_ context.Context, key string) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if m.down != nil || !ok {
		return nil, "", m.down
	}
	return data, etag(data), nil
}

func (m *memory) Put(_ context.Context, key string, data []byte, replaces string) (string, error) {
	if m.beforePut != nil {
		m.beforePut(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	there, ok := m.objects[key]
	switch {
	case m.down != nil:
		return "", m.down
	case !ok && replaces != "", ok && etag(there) != replaces:
		return "", ErrChanged
	}
	m.objects[key] = bytes.Clone(data)
	m.puts++
	return etag(data), nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return m.down
}

func (m *memory) Keys(_ context.Context, prefix string) (keys []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, m.down
}

// world is a refresher with documents that a test changes.
type world struct {
	*Refresher
	state     *memory
	near, far *memory
	metrics   bytes.Buffer
	log       bytes.Buffer

	mu        sync.Mutex
	documents map[ranges.Cloud]compile.Document
	texts     map[ranges.Cloud][]byte // instead of a document
	failing   map[ranges.Cloud]error
	mails     []string
	now       time.Time
}

// start is later than the embedded table.
var start = ranges.Date().Add(100 * 24 * time.Hour).Truncate(time.Second)

// newWorld returns a refresher that has published the documents of small clouds.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{state: newMemory(), near: newMemory(), far: newMemory(), documents: map[ranges.Cloud]compile.Document{}, texts: map[ranges.Cloud][]byte{}, failing: map[ranges.Cloud]error{}, now: start}
	regions := map[ranges.Cloud][]string{ranges.AWS: {"eu-west-1", "us-east-1"}, ranges.GCP: {"europe-west9"}, ranges.Azure: {"westeurope"}, ranges.OCI: {"eu-paris-1"}}
	var all []compile.Document
	for i, cloud := range ranges.Clouds {
		d := compile.Document{Cloud: cloud, Version: "change 1", Date: start.Add(-time.Hour)}
		for j := range 200 {
			region := regions[cloud][j%len(regions[cloud])]
			d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + i), byte(j), 0, 0}), 24), Place: ranges.Place{Cloud: cloud, Region: region}})
		}
		w.documents[cloud] = d
		p, err := compile.Providers[i].Parse("d.json", clouds.JSON(d))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	w.Refresher = &Refresher{
		Stage: "test", Mirrors: map[string]Store{"eu-west-1": w.near, "us-east-1": w.far}, State: w.state,
		First: func(p ranges.Place) string {
			if p.Cloud == ranges.AWS {
				return "mirror " + p.Region
			}
			return "default mirror"
		},
		Fetch: w.fetch,
		Mail: func(_ context.Context, subject, text string) error {
			w.mails = append(w.mails, subject+"\n"+text)
			return nil
		},
		Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Metrics: &w.metrics,
		Now: func() time.Time { return w.now },
	}
	table, _, err := compile.Compile(all)
	if err != nil {
		t.Fatal(err)
	}
	st := &state{Checked: start, Reported: start}
	if _, err := w.publish(t.Context(), st, table, table, compile.Report{Stage: &compile.StageChange{}}, nil); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	return w
}

func (w *world) fetch(_ context.Context, p compile.Provider) (string, []byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text := w.texts[p.Cloud]; text != nil {
		return "d.json", text, nil
	}
	return "d.json", clouds.JSON(w.documents[p.Cloud]), w.failing[p.Cloud]
}

// edit publishes a new document of a cloud.
func (w *world) edit(cloud ranges.Cloud, change func(*compile.Document)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.documents[cloud]
	d.Prefixes = slices.Clone(d.Prefixes)
	d.Date, d.Version = w.now, "change "+fmt.Sprint(w.now.Unix()%100_000_000)
	change(&d)
	w.documents[cloud] = d
}

// added is the address of a prefix that add adds.
var added = netip.MustParseAddr("198.18.7.1")

func (w *world) add(region string) {
	w.edit(ranges.AWS, func(d *compile.Document) {
		d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: netip.PrefixFrom(added, 24).Masked(), Place: ranges.Place{Cloud: ranges.AWS, Region: region}})
	})
}

// region returns where a mirror's table has the added address.
func regionIn(t testing.TB, m *memory) string {
	t.Helper()
	table, err := ranges.Parse(m.objects[tableKey])
	if err != nil {
		t.Fatal(err)
	}
	p, _ := table.Lookup(added)
	return p.Region
}

func (w *world) run(t testing.TB, want string) Result {
	t.Helper()
	result, err := w.Run(t.Context(), nil)
	if err != nil || result.Outcome != want {
		t.Fatalf("outcome %q, error %v; want %q; notes %q\n%s", result.Outcome, err, want, result.Notes, result.Text)
	}
	w.now = w.now.Add(time.Hour)
	return result
}

func TestNothingNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	puts := w.near.puts
	w.run(t, Unchanged)
	if w.near.puts != puts || len(w.mails) != 0 {
		t.Errorf("%d writes and mails %q, want none", w.near.puts-puts, w.mails)
	}
	if text := w.metrics.String(); !strings.Contains(text, `"RangesUnchecked":0`) || !strings.Contains(text, `"RangesRefused":0`) {
		t.Errorf("metrics %s", text)
	}
}

// A new prefix is in every mirror after a run, in one log entry, and in a mail because
// its clients get another mirror.
func TestNewPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("eu-west-3")
	result := w.run(t, Published)
	for _, m := range []*memory{w.near, w.far} {
		if got := regionIn(t, m); got != "eu-west-3" {
			t.Errorf("region %q, want eu-west-3", got)
		}
	}
	if n := strings.Count(w.log.String(), "\n"); n != 1 || !strings.Contains(w.log.String(), "198.18.7.0/24") {
		t.Errorf("%d log entries, want one with the prefix: %s", n, w.log.String())
	}
	if len(w.mails) != 1 || !strings.Contains(w.mails[0], "mirror eu-west-3") || !strings.Contains(w.mails[0], "256 IPv4 addresses") {
		t.Errorf("mails %q, want one with the change", w.mails)
	}
	if ids, _ := w.history(t.Context()); !slices.Contains(ids, result.ID) {
		t.Errorf("history %q, want %s in it", ids, result.ID)
	}
	w.run(t, Unchanged)
}

// Changes that give no client another mirror are in one mail a week.
func TestWeeklyMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.edit(ranges.GCP, func(d *compile.Document) {
			d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, byte(i), 0}), 24), Place: ranges.Place{Cloud: ranges.GCP, Region: "europe-west9"}})
		})
		w.run(t, Published)
	}
	if len(w.mails) != 0 {
		t.Fatalf("mails %q, want none before a week has passed", w.mails)
	}
	w.now = start.Add(week + time.Hour)
	w.run(t, Unchanged)
	w.run(t, Unchanged)
	if len(w.mails) != 1 || !strings.Contains(w.mails[0], "another mirror: 3") || !strings.Contains(w.mails[0], "198.19.2.0/24") {
		t.Errorf("mails %q, want one with three changes", w.mails)
	}
}

// What the checks refuse changes nothing, raises the alarm, is mailed once, and is
// published by an approval.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   string // a part of the problem
	}{
		{"shrunk", func(w *world) {
			w.edit(ranges.AWS, func(d *compile.Document) { d.Prefixes = d.Prefixes[:150] })
		}, "shrinks"},
		{"moved", func(w *world) {
			w.edit(ranges.AWS, func(d *compile.Document) {
				for i := range 20 {
					d.Prefixes[i].Place.Region = "eu-west-3"
				}
			})
		}, "moves"},
		{"older", func(w *world) {
			w.add("eu-west-3")
			w.edit(ranges.AWS, func(d *compile.Document) { d.Date = start.Add(-48 * time.Hour) })
		}, "goes back"},
		{"future", func(w *world) {
			w.edit(ranges.AWS, func(d *compile.Document) { d.Date = w.now.Add(48 * time.Hour) })
		}, "ahead of the clock"},
		{"republished", func(w *world) {
			before := w.documents[ranges.AWS]
			w.add("eu-west-3")
			w.edit(ranges.AWS, func(d *compile.Document) { d.Date, d.Version = before.Date, before.Version })
		}, "its version is still"},
		{"conflict", func(w *world) {
			w.edit(ranges.GCP, func(d *compile.Document) {
				d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: w.documents[ranges.AWS].Prefixes[0].Prefix, Place: ranges.Place{Cloud: ranges.GCP, Region: "europe-west9"}})
			})
		}, "claimed for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := bytes.Clone(w.near.objects[tableKey])
			tt.change(w)
			result := w.run(t, Refused)
			again := w.run(t, Refused)
			if !bytes.Equal(w.near.objects[tableKey], before) {
				t.Error("the mirror has another table")
			}
			if again.ID != result.ID || len(w.mails) != 1 || !strings.Contains(w.mails[0], tt.want) || !strings.Contains(w.mails[0], "archeio ranges approve -stage test "+result.ID) {
				t.Errorf("IDs %s and %s, mails %q; want the same, and one mail with %q", result.ID, again.ID, w.mails, tt.want)
			}
			if !strings.Contains(w.metrics.String(), `"RangesRefused":1`) {
				t.Errorf("metrics %s, want RangesRefused", w.metrics.String())
			}
			if _, err := w.Approve(t.Context(), "20010101T000000Z"); err == nil || !strings.Contains(err.Error(), result.ID) {
				t.Errorf("approving another ID: error %v, want one with the right ID", err)
			}
			if tt.name == "future" {
				if _, err := w.Approve(t.Context(), result.ID); err == nil || !strings.Contains(err.Error(), "ahead of the clock") {
					t.Errorf("approving: error %v, want one about the clock", err)
				}
				return
			}
			if r, err := w.Approve(t.Context(), result.ID); err != nil || r.Outcome != Published {
				t.Fatalf("approving: %+v, %v", r, err)
			}
			if bytes.Equal(w.near.objects[tableKey], before) {
				t.Error("the mirror does not have the approved table")
			}
			w.metrics.Reset()
			w.now = w.now.Add(time.Hour)
			w.run(t, Unchanged)
			if !strings.Contains(w.metrics.String(), `"RangesRefused":0`) {
				t.Errorf("metrics %s, want RangesRefused 0 after the approval", w.metrics.String())
			}
		})
	}
}

// A refused table that its provider corrects does not wait any more.
func TestCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := w.documents[ranges.AWS].Prefixes
	w.edit(ranges.AWS, func(d *compile.Document) { d.Prefixes = d.Prefixes[:100] })
	id := w.run(t, Refused).ID
	w.edit(ranges.AWS, func(d *compile.Document) { d.Prefixes = whole })
	w.run(t, Published)
	if _, err := w.Approve(t.Context(), id); err == nil || !strings.Contains(err.Error(), "no table waits") {
		t.Errorf("error %v, want that no table waits", err)
	}
	if keys, _ := w.state.Keys(t.Context(), waitingPrefix); len(keys) != 0 {
		t.Errorf("keys %q are left", keys)
	}
}

// A document that cannot be fetched or read is replaced by the last one, and the others
// are used.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(*world)
		refused string
	}{
		{"azure-page-without-link", func(w *world) { w.failing[ranges.Azure] = errors.New("the page has no link to a document") }, `"RangesRefused":0`},
		{"oracle-unreachable", func(w *world) { w.failing[ranges.OCI] = errors.New("connection refused") }, `"RangesRefused":0`},
		{"google-not-json", func(w *world) { w.texts[ranges.GCP] = []byte("<html>") }, `"RangesRefused":1`},
		{"google-empty", func(w *world) { w.texts[ranges.GCP] = []byte(`{"syncToken":"1","prefixes":[]}`) }, `"RangesRefused":1`},
		{"oracle-everything", func(w *world) {
			w.texts[ranges.OCI] = []byte(`{"last_updated_timestamp":"2026-11-01T00:00:00.0","regions":[{"region":"eu-paris-1","cidrs":[{"cidr":"0.0.0.0/0"}]}]}`)
		}, `"RangesRefused":1`},
		{"azure-too-long", func(w *world) {
			w.texts[ranges.Azure] = []byte(`{"changeNumber":9,"values":[{"name":"AzureCloud.x","properties":{"region":"x","addressPrefixes":["20.0.0.0/33"]}}]}`)
		}, `"RangesRefused":1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.add("eu-west-3")
			tt.change(w)
			result := w.run(t, Published)
			if len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "using the last document") {
				t.Errorf("notes %q, want one about the document", result.Notes)
			}
			if got := regionIn(t, w.near); got != "eu-west-3" {
				t.Errorf("region %q, want eu-west-3", got)
			}
			table, err := ranges.Parse(w.near.objects[tableKey])
			if err != nil || len(table.Sources()) != len(ranges.Clouds) {
				t.Errorf("sources %v, error %v; want all clouds", table.Sources(), err)
			}
			if !strings.Contains(w.metrics.String(), tt.refused) {
				t.Errorf("metrics %s, want %s", w.metrics.String(), tt.refused)
			}
		})
	}
}

// Without a document of AWS the age of its last check rises.
func TestUnchecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failing[ranges.AWS] = errors.New("connection refused")
	w.now = start.Add(31 * 24 * time.Hour)
	w.run(t, Unchanged)
	if want := fmt.Sprintf(`"RangesUnchecked":%d`, 31*24*3600); !strings.Contains(w.metrics.String(), want) {
		t.Errorf("metrics %s, want %s", w.metrics.String(), want)
	}
}

// A notice must belong to the document, and only its token and md5 count.
func TestNotice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		token time.Duration // from the document's
		md5   string        // empty for the document's
		want  string        // a part of the error, empty for none
	}{
		{"of-the-document", 0, "", ""},
		{"of-an-earlier-document", -time.Hour, "00000000000000000000000000000000", ""},
		{"of-a-later-document", time.Hour, "", "older than that of the notice"},
		{"of-another-text", 0, "00000000000000000000000000000000", "does not have the md5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.add("eu-west-3")
			d := w.documents[ranges.AWS]
			sum := md5.Sum(clouds.JSON(d))
			text := hex.EncodeToString(sum[:])
			if tt.md5 != "" {
				text = tt.md5
			}
			n, err := ParseNotice(fmt.Sprintf(`{"create-time":"now","synctoken":"%d","md5":%q,"url":"https://attacker.example/ip-ranges.json"}`, d.Date.Add(tt.token).Unix(), text))
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Run(t.Context(), n)
			got, want := regionIn(t, w.near), "eu-west-3"
			if tt.want != "" {
				want = ""
			}
			if got != want || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("region %q, error %v; want %q and %q", got, err, want, tt.want)
			}
		})
	}
}

func TestParseNotice(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", "[]", `{}`, `{"synctoken":1,"md5":"00000000000000000000000000000000"}`, `{"synctoken":"-5","md5":"00000000000000000000000000000000"}`,
		`{"synctoken":"99999999999999999999","md5":"00000000000000000000000000000000"}`, `{"synctoken":"1","md5":"0"}`, `{"synctoken":"1","md5":"zz000000000000000000000000000000"}`, strings.Repeat("[", 100_000)} {
		if n, err := ParseNotice(text); err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
			t.Errorf("ParseNotice(%.40q) = %+v, %v; want an error of one line", text, n, err)
		}
	}
}

// A rollback publishes the table before the last change, and holds until an approval.
func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("eu-west-3")
	w.run(t, Published)
	first, _ := ranges.Parse(w.near.objects[tableKey])
	if r, err := w.Rollback(t.Context(), ""); err != nil || r.Outcome != Published {
		t.Fatalf("rolling back: %+v, %v", r, err)
	}
	rolled, _ := ranges.Parse(w.near.objects[tableKey])
	if got := regionIn(t, w.near); got != "" || !rolled.Newer(first) {
		t.Errorf("region %q, newer %v; want none, and a newer table", got, rolled.Newer(first))
	}
	w.now = w.now.Add(time.Hour)
	id := w.run(t, Refused).ID
	w.edit(ranges.GCP, func(d *compile.Document) { d.Prefixes = d.Prefixes[1:] })
	if held := w.run(t, Refused); held.ID == id || regionIn(t, w.near) != "" {
		t.Errorf("the rollback does not hold, or the ID stays %s", id)
	} else {
		id = held.ID
	}
	if _, err := w.Rollback(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "name the table") {
		t.Errorf("a second rollback: error %v, want that it needs an ID", err)
	}
	if _, err := w.Rollback(t.Context(), "20010101T000000Z"); err == nil || !strings.Contains(err.Error(), "unknown ID") {
		t.Errorf("error %v, want an unknown ID", err)
	}
	if _, err := w.Approve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := regionIn(t, w.far); got != "eu-west-3" {
		t.Errorf("region %q after the approval, want eu-west-3", got)
	}
	w.now = w.now.Add(time.Hour)
	w.add("eu-west-3")
	w.run(t, Published)
}

// A mirror that is unavailable does not stop the others, and is repaired.
func TestMirrorDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("eu-west-3")
	w.far.down = errors.New("connection refused")
	if _, err := w.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "mirror in us-east-1") {
		t.Errorf("error %v, want one about the mirror", err)
	}
	if got := regionIn(t, w.near); got != "eu-west-3" {
		t.Errorf("region %q, want eu-west-3", got)
	}
	w.far.down = nil
	w.run(t, Unchanged)
	if got := regionIn(t, w.far); got != "eu-west-3" {
		t.Errorf("region %q after the next run, want eu-west-3", got)
	}
}

// Of two refreshers at once, one starts again and finds nothing to do.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("eu-west-3")
	second := *w.Refresher
	second.Log, second.Metrics = slog.New(slog.DiscardHandler), io.Discard
	second.Mail = nil
	var once sync.Once
	w.state.beforePut = func(key string) {
		if key == stateKey {
			once.Do(func() {
				w.state.beforePut = nil
				if r, err := second.Run(t.Context(), nil); err != nil || r.Outcome != Published {
					t.Errorf("the second: %+v, %v", r, err)
				}
			})
		}
	}
	w.run(t, Unchanged)
	if got := regionIn(t, w.near); got != "eu-west-3" {
		t.Errorf("region %q, want eu-west-3", got)
	}
	if ids, _ := w.history(t.Context()); len(ids) != 2 {
		t.Errorf("history %q, want the first table and one change", ids)
	}
}

// A mirror keeps a newer table, but not one that is damaged or ahead of the clock.
func TestNeverOlder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	table, err := ranges.Parse(w.near.objects[tableKey])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		there []byte
		kept  bool
	}{
		{"newer", table.Issue(w.now.Add(time.Minute)).Bytes(), true},
		{"future", table.Issue(w.now.Add(time.Hour)).Bytes(), false},
		{"damaged", []byte("x"), false},
	} {
		w.near.objects[tableKey] = tt.there
		w.run(t, Unchanged)
		if kept := bytes.Equal(w.near.objects[tableKey], tt.there); kept != tt.kept {
			t.Errorf("%s: kept %v, want %v", tt.name, kept, tt.kept)
		}
		w.now = w.now.Add(-time.Hour)
	}
}

// The history has the last thirty changes.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range maxHistory + 3 {
		key := historyPrefix + newID(start.Add(time.Duration(i-100)*time.Hour))
		w.state.objects[key+tableSuffix], w.state.objects[key+recordSuffix] = []byte{}, []byte("{}")
	}
	w.add("eu-west-3")
	id := w.run(t, Published).ID
	ids, err := w.history(t.Context())
	if err != nil || len(ids) != maxHistory || ids[maxHistory-1] != id {
		t.Errorf("IDs %q, error %v; want %d, the last %s", ids, err, maxHistory, id)
	}
	if keys, _ := w.state.Keys(t.Context(), historyPrefix); len(keys) != 2*maxHistory {
		t.Errorf("%d keys, want a table and a record of each", len(keys))
	}
}
