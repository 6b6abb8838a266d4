// Command page checks the page of the registry in Chromium: the built function
// behind a simulated distribution, with the configuration of a stage, as a phone and
// a desktop, in light and dark, with and without JavaScript, from several places.
//
//	make page                      checks
//	make page ARGS=-screenshots    writes .github/page-*.png too
//
// check.js drives the browser with playwright-core, and checks accessibility with
// axe-core. Both are installed from npm, at the versions of package-lock.json.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

func main() {
	name := flag.String("stage", "production", "`NAME` of the stage in cdk.json with the configuration")
	screenshots := flag.Bool("screenshots", false, "write .github/page-*.png")
	serve := flag.Bool("serve", false, "only serve the page, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *name, *screenshots, *serve)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// client is a simulated client and what its page must show.
type client struct {
	Address string `json:"address"`
	// Place and Mirror are texts on the page. Mirror is empty for the default one.
	Place  string `json:"place"`
	Mirror string `json:"mirror"`
}

func clients() []client {
	return []client{
		{system.Address(ranges.AWS, "eu-west-3").String(), "AWS eu-west-3", "eu-west-3"},
		{system.Address(ranges.AWS, "ap-southeast-6").String(), "AWS ap-southeast-6", "ap-southeast-2"},
		{system.Address(ranges.GCP, "europe-west9").String(), "GCP europe-west9", ""},
		{"203.0.113.7", "outside of the known clouds", ""},
	}
}

func run(ctx context.Context, name string, screenshots, serve bool) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	env, err := environment(filepath.Join(root, "cdk.json"), name)
	if err != nil {
		return err
	}
	bootstrap, err := build.Bootstrap(ctx, "redirector")
	if err != nil {
		return err
	}
	api, err := runtimeapi.Listen()
	if err != nil {
		return err
	}
	defer api.Close()
	process, err := api.Start(bootstrap, env, io.Discard)
	if err != nil {
		return err
	}
	defer process.Stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	none, _ := url.Parse("http://127.0.0.1:1")
	server := &http.Server{Handler: entrypoint.CloudFront(api.Invoke, none), ReadHeaderTimeout: time.Minute}
	go server.Serve(l)
	defer server.Close()
	base := "http://" + l.Addr().String()
	if serve {
		fmt.Println(base)
		<-ctx.Done()
		return nil
	}
	return check(ctx, root, base, screenshots)
}

// environment returns that of the first redirector of a stage, without downloads.
func environment(file, name string) (map[string]string, error) {
	s, err := stage.Read(file, name)
	if err != nil {
		return nil, err
	}
	c, err := s.Config(s.Redirectors[0])
	if err != nil {
		return nil, err
	}
	env := c.Env()
	maps.Copy(env, map[string]string{"AWS_REGION": s.Redirectors[0], "MIRROR_INDEX_REFRESH": "none", "RANGES_REFRESH": "none"})
	return env, nil
}

// check installs the modules of package-lock.json, unless they are installed, and
// runs check.js.
func check(ctx context.Context, root, base string, screenshots bool) error {
	browser, err := chromium()
	if err != nil {
		return err
	}
	source, modules := filepath.Join(root, "scripts", "prove", "page"), filepath.Join(root, ".build", "page")
	if err := install(ctx, source, modules); err != nil {
		return err
	}
	settings := map[string]any{"base": base, "browser": browser, "root": os.Getuid() == 0, "clients": clients(), "modules": filepath.Join(modules, "node_modules")}
	if screenshots {
		settings["screenshots"] = filepath.Join(root, ".github")
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join(source, "check.js"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("checking the page: %w", err)
	}
	return nil
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil {
			return file, nil
		}
	}
	return "", errors.New("no Chromium on this machine: install it, on Debian by apt-get install chromium")
}

// install runs npm ci in dir, if it was not run for this package-lock.json yet. npm
// checks the hash of each package.
func install(ctx context.Context, source, dir string) error {
	const lock = "package-lock.json"
	want, err := os.ReadFile(filepath.Join(source, lock))
	if err != nil {
		return err
	}
	done := filepath.Join(dir, "installed.json")
	if got, err := os.ReadFile(done); err == nil && bytes.Equal(got, want) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"package.json", lock} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.Discard, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("installing the modules of %s: npm ci: %w", lock, err)
	}
	return os.WriteFile(done, want, 0o644)
}
