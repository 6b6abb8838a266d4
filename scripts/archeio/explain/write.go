package explain

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"archeio/scripts/archeio/cli"
)

// now is the clock for the age of the range data; tests replace it.
var now = time.Now

// missingWhat is the error for a request without a path.
const missingWhat = "missing WHAT: a path or an image reference"

// stdin explains each line of in: an address, white space, and a path or image.
func (e *explainer) stdin(ctx context.Context, in io.Reader, out io.Writer, asJSON bool) error {
	buffered := bufio.NewWriter(out)
	defer buffered.Flush()
	lines := bufio.NewReader(in)
	for first, last := true, false; !last; {
		if lines.Buffered() == 0 {
			// A caller that waits for an answer before it writes the next line gets it.
			if err := buffered.Flush(); err != nil {
				return err
			}
		}
		line, err := lines.ReadString('\n')
		if last = err == io.EOF; err != nil && !last {
			return fmt.Errorf("reading standard input: %w", err)
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		addr, what := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			addr, what = line[:i], strings.TrimSpace(line[i:])
		}
		path, host, err := pathOf(what)
		if err != nil {
			path = what // the redirector refuses it, which is an answer
		}
		x := e.explain(ctx, addr, path)
		x.host = host
		if what == "" {
			x.missing = missingWhat
		}
		if !first && !asJSON {
			fmt.Fprintln(buffered)
		}
		first = false
		if err := x.write(buffered, asJSON); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (x *explanation) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(x)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, cli.Printable(value))
		}
	}
	client := x.IP
	if !x.addr.IsValid() {
		client += "  (invalid address)"
	}
	row("client", client)
	if x.missing != "" {
		row("error", x.missing)
		return t.Flush()
	}
	row("cloud", cmp.Or(x.Cloud, "unknown"))
	row("region", x.Region)
	row("range", x.Range)
	row("range data", rangeData(x.date))
	row("function", x.function)
	row("host", x.host)
	row("request", x.Method+" "+x.Path)
	row("kind", cmp.Or(x.Kind, "not part of the registry API"))
	row("name", x.Name)
	if algorithm, _, ok := strings.Cut(x.Reference, ":"); ok {
		row("digest", x.Reference+"  ("+algorithm+")")
	} else {
		row("tag", x.Reference)
	}
	var candidates []string
	for _, c := range x.targets {
		if c.distance != nil {
			c.name += fmt.Sprintf(" (%d km)", *c.distance)
		}
		candidates = append(candidates, c.name)
	}
	row("candidates", strings.Join(candidates, ", "))
	row("reason", x.Reason)
	row("answer", answer(x.Status, x.Location+x.assigned(x.Location), x.Relayed))
	row("body", x.body)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, o := range x.outcomes {
		if _, err := fmt.Fprintf(w, "\n%s: %s\n  %s%s\n", o.condition, o.reason, cli.Printable(o.answer), x.assigned(strings.TrimPrefix(o.answer, "to "))); err != nil {
			return err
		}
	}
	return nil
}

// answer describes a response: its status, and where it leads or what is relayed.
func answer(status int, location, relayed string) string {
	switch {
	case relayed != "" && status == http.StatusTemporaryRedirect:
		return fmt.Sprint(status, " to the storage of the upstream, relayed from ", relayed)
	case relayed != "":
		return fmt.Sprint(status, ", relayed from ", relayed)
	case location != "":
		return fmt.Sprint(status, " to ", location)
	}
	return fmt.Sprint(status)
}

// assigned returns a note about a location at the distribution if its name is not known.
func (x *explanation) assigned(location string) string {
	if x.unnamed && strings.HasPrefix(location, "https://"+exampleHost+"/") {
		return " (the name that CloudFront assigns)"
	}
	return ""
}

// rangeData returns the date of a range table and its age.
func rangeData(date time.Time) string {
	if date.IsZero() {
		return "without a date"
	}
	days := int(now().Sub(date).Hours() / 24)
	age := fmt.Sprintf("%d days old", days)
	if days == 1 {
		age = "1 day old"
	}
	return date.Format(time.DateOnly) + ", " + age
}
