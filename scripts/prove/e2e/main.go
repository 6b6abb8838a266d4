// Command e2e shows that pulls through the whole system on this machine
// succeed: with real clients, real servers and faults.
//
//	go run ./scripts/prove/e2e
//	go run ./scripts/prove/e2e -only 'skopeo/.*tags'
//
// It installs the clients where it may. The exit code is 1 if anything failed, and
// 130 after Ctrl-C.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `Usage: go run ./scripts/prove/e2e [flags]

Starts the whole system on this machine, and before it what writes down every
request. Real clients pull through it; then the redirect is checked at the level
of HTTP, one part after the other is made to fail, and many clients ask at once.
All traffic stays on loopback, and everything that was started is stopped.

Clients that are not there are installed: crane, oras and regctl by go install
at pinned versions, the others by apt-get where one is root. One that cannot be
had here is named in the table as skipped.

`

type options struct {
	only    *regexp.Regexp
	parts   []string
	json    bool
	verbose bool
	full    bool
	load    load
}

func main() {
	o := options{}
	only := flag.String("only", "", "run only what matches this `expression`, as client/front/place/what or part/check")
	parts := flag.String("parts", "clients,contract,faults,load", "which `parts` to run")
	flag.BoolVar(&o.json, "json", false, "print one JSON document instead of tables")
	flag.BoolVar(&o.verbose, "v", false, "show what the servers and the daemons write")
	flag.BoolVar(&o.full, "full", false, "wait for what takes minutes as well")
	flag.IntVar(&o.load.requests, "load-requests", 1_000_000, "how many requests the part load makes at least")
	flag.DurationVar(&o.load.least, "load-time", time.Minute, "how long it makes them at least")
	flag.DurationVar(&o.load.most, "load-limit", 9*time.Minute, "how long it makes them at most; then it has failed")
	flag.IntVar(&o.load.clients, "load-clients", 64, "how many clients ask side by side")
	flag.IntVar(&o.load.processes, "load-processes", 4, "how many processes of the function answer")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "e2e: -only takes a regular expression, and there are no arguments; see -h")
		os.Exit(2)
	}
	if o.load.requests < 1 || o.load.clients < 1 || o.load.processes < 1 || o.load.most <= o.load.least {
		fmt.Fprintln(os.Stderr, "e2e: -load-requests, -load-clients and -load-processes take at least 1, -load-limit more than -load-time; see -h")
		os.Exit(2)
	}
	o.parts = strings.Split(*parts, ",")
	for _, p := range o.parts {
		if !slices.Contains([]string{"clients", "contract", "faults", "load"}, p) {
			fmt.Fprintf(os.Stderr, "e2e: -parts: there is no part %q; see -h\n", p)
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	bad, err := run(ctx, o)
	stopped := ctx.Err() != nil
	stop()
	if stopped {
		fmt.Fprintln(os.Stderr, "e2e: stopped")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	if bad > 0 {
		os.Exit(1)
	}
}

// report is what -json prints.
type report struct {
	Versions map[string]string `json:"versions"`
	Clients  []row             `json:"clients"`
	Checks   []check           `json:"checks"`
	Load     *loaded           `json:"load,omitempty"`
	Seconds  float64           `json:"seconds"`
}

func run(ctx context.Context, o options) (bad int, err error) {
	began := time.Now()
	log := io.Writer(io.Discard)
	if o.verbose {
		log = os.Stderr
	}
	say := func(what string) { fmt.Fprintln(os.Stderr, "e2e:", what) }
	w, err := start(ctx, log, say)
	if err != nil {
		return 0, err
	}
	defer w.stop()
	images, err := w.publish(ctx)
	if err != nil {
		return 0, err
	}
	r := report{Versions: map[string]string{}}
	for _, part := range o.parts {
		switch part {
		case "clients":
			r.Clients, err = w.clients(ctx, o, images, r.Versions, say)
		case "contract":
			say("trying the redirect's contract")
			r.Checks = append(r.Checks, w.contract(ctx, o, images)...)
		case "faults":
			say("having one part after the other fail (two or three minutes)")
			r.Checks = append(r.Checks, w.faults(ctx, o, images)...)
		case "load":
			if !o.only.MatchString("load/answers") && !o.only.MatchString("load/memory") && !o.only.MatchString("load/concurrent mode") {
				continue
			}
			say(fmt.Sprintf("having %d clients make %d requests (some minutes)", o.load.clients, o.load.requests))
			var checks []check
			checks, r.Load, err = w.underLoad(ctx, o, images, say)
			r.Checks = append(r.Checks, checks...)
		}
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return 0, err
		}
	}
	r.Seconds = time.Since(began).Seconds()
	return r.print(o)
}

// clients has every client pull. One that is not to be had is a row that says
// so.
func (w *world) clients(ctx context.Context, o options, images *images, versions map[string]string, say func(string)) (rows []row, err error) {
	dir, err := os.MkdirTemp("", "archeio-e2e-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for file, text := range map[string]string{"policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`, "auth.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	t := tools{dir: dir}
	clients := slices.DeleteFunc(t.clients(), func(c *client) bool {
		for _, d := range w.doors {
			for _, what := range []string{"pull", "tags", "tags, one page", "referrers", "referrers, apart", "signature", "signature, apart"} {
				if o.only.MatchString(strings.Join([]string{c.name, d.front, d.client.Name, what}, "/")) {
					return false
				}
			}
		}
		return true
	})
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	missing, err := install(ctx, names, say)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		skip := func(why string) {
			rows = append(rows, row{Client: c.name, Front: "-", Place: "-", What: "-", Verdict: "skipped: " + why})
		}
		if why := missing[c.name]; why != "" {
			skip(why)
			continue
		}
		if c.start != nil {
			if err := c.start(ctx, w.log); err != nil {
				skip(err.Error())
				continue
			}
		}
		if out, err := t.command(ctx, c.name, c.version...); err == nil {
			first, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
			versions[c.name] = first
		}
		say("pulling with " + c.name)
		rows = append(rows, w.pulls(ctx, c, images, o.only.MatchString)...)
		if c.stop != nil {
			c.stop()
		}
	}
	return rows, nil
}

func (r report) print(o options) (bad int, err error) {
	for _, x := range r.Clients {
		if failed(x.Verdict) {
			bad++
		}
	}
	for _, x := range r.Checks {
		if failed(x.Verdict) {
			bad++
		}
	}
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return bad, e.Encode(r)
	}
	colour := false
	if info, err := os.Stdout.Stat(); err == nil && os.Getenv("NO_COLOR") == "" {
		colour = info.Mode()&os.ModeCharDevice != 0
	}
	if len(r.Clients) > 0 {
		var cells [][]string
		for _, x := range r.Clients {
			cells = append(cells, x.cells())
		}
		table(os.Stdout, colour, rowHead, cells)
		fmt.Println()
		for _, name := range []string{"crane", "oras", "regctl", "skopeo", "podman", "ctr", "docker"} {
			if v := r.Versions[name]; v != "" {
				fmt.Printf("%-7s  %s\n", name, v)
			}
		}
	}
	if len(r.Checks) > 0 {
		var cells [][]string
		for _, x := range r.Checks {
			cells = append(cells, x.cells())
		}
		fmt.Println()
		table(os.Stdout, colour, checkHead, cells)
	}
	if r.Load != nil {
		fmt.Println()
		table(os.Stdout, false, memoryHead, r.Load.curves())
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", len(r.Clients)+len(r.Checks)-bad-r.skipped(), bad, r.skipped())
	return bad, nil
}

func (r report) skipped() (n int) {
	for _, x := range r.Clients {
		if strings.HasPrefix(x.Verdict, "skipped") {
			n++
		}
	}
	for _, x := range r.Checks {
		if strings.HasPrefix(x.Verdict, "skipped") {
			n++
		}
	}
	return n
}
