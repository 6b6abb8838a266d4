package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"archeio/scripts/lab/pull"
)

// patience is what one command of a client gets.
const patience = time.Minute

// client is a program that pulls. Each pull begins with nothing of it there.
type client struct {
	name string
	// all: it takes an index with every platform, not just this machine's;
	// instance: of an index it keeps only the image for this machine; artifacts:
	// it pulls what is no image.
	all, instance, artifacts bool
	// start starts what the client needs, stop ends it; both may be nil.
	start func(ctx context.Context, log io.Writer) error
	stop  func()
	// pull takes a reference and answers the digests that it says it has.
	pull func(ctx context.Context, ref string) (digests string, err error)
	// run starts a container of what was pulled and answers what it printed;
	// nil where the client is no engine.
	run func(ctx context.Context, ref string) (string, error)
	// remove removes what was pulled; it may be nil.
	remove func(ctx context.Context, ref string) error
	// tags lists all tags of host/repository; nil where the client cannot.
	// onePage is why it cannot follow a link to another page, with what it then
	// says.
	tags    func(ctx context.Context, repo string) (string, error)
	onePage string
	// referrers lists what refers to an image; nil where the client cannot.
	referrers func(ctx context.Context, ref string) (string, error)
	version   []string
}

// tools runs commands in a home of their own, so that nobody's logins, caches
// and settings play a part.
type tools struct{ dir string }

func (t tools) command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + t.dir, "TMPDIR=" + t.dir, "XDG_RUNTIME_DIR=" + t.dir,
		"DOCKER_CONFIG=" + t.dir, "DOCKER_HOST=unix://" + filepath.Join(t.dir, "docker.sock"),
		"REGISTRY_AUTH_FILE=" + filepath.Join(t.dir, "auth.json"),
	}
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("%s %s: no end after %s", name, args[0], patience)
		}
		return "", fmt.Errorf("%s %s: %v: %s", name, args[0], err, lastLine(errs.String()))
	}
	return out.String(), nil
}

func (t tools) clients() []*client {
	policy := filepath.Join(t.dir, "policy.json")
	layout := filepath.Join(t.dir, "layout")
	// pulled checks an OCI layout that a client has written.
	pulled := func(_ string, err error) (string, error) {
		if err != nil {
			return "", err
		}
		return checkLayout(layout)
	}
	remove := func(context.Context, string) error { return os.RemoveAll(layout) }
	host := func(ref string) string { return ref[:strings.IndexByte(ref, '/')] }
	return []*client{
		{
			name: "crane", all: true, artifacts: true, remove: remove, version: []string{"version"},
			pull: func(ctx context.Context, ref string) (string, error) {
				return pulled(t.command(ctx, "crane", "pull", "--format", "oci", ref, layout))
			},
			tags:    func(ctx context.Context, repo string) (string, error) { return t.command(ctx, "crane", "ls", repo) },
			onePage: "pagination URL host does not match registry host",
		},
		{
			name: "oras", all: true, artifacts: true, remove: remove, version: []string{"version"},
			pull: func(ctx context.Context, ref string) (string, error) {
				return pulled(t.command(ctx, "oras", "cp", "--no-tty", "--from-plain-http", ref, "--to-oci-layout", layout+":pulled"))
			},
			tags: func(ctx context.Context, repo string) (string, error) {
				return t.command(ctx, "oras", "repo", "tags", "--plain-http", repo)
			},
			referrers: func(ctx context.Context, ref string) (string, error) {
				return t.command(ctx, "oras", "discover", "--plain-http", "--format", "json", ref)
			},
		},
		{
			name: "regctl", all: true, artifacts: true, remove: remove, version: []string{"version", "--format", "{{.VCSTag}}"},
			pull: func(ctx context.Context, ref string) (string, error) {
				return pulled(t.command(ctx, "regctl", "--host", "reg="+host(ref)+",tls=disabled", "image", "copy", ref, "ocidir://"+layout+":pulled"))
			},
			tags: func(ctx context.Context, repo string) (string, error) {
				return t.command(ctx, "regctl", "--host", "reg="+host(repo)+",tls=disabled", "tag", "ls", repo)
			},
			referrers: func(ctx context.Context, ref string) (string, error) {
				return t.command(ctx, "regctl", "--host", "reg="+host(ref)+",tls=disabled", "artifact", "list", "--format", "{{jsonPretty .}}", ref)
			},
		},
		{
			name: "skopeo", artifacts: true, instance: true, remove: remove, version: []string{"--version"},
			pull: func(ctx context.Context, ref string) (string, error) {
				// Not --all: this version writes an index anew.
				if _, err := t.command(ctx, "skopeo", "--policy", policy, "copy", "--src-tls-verify=false", "docker://"+ref, "dir:"+layout); err != nil {
					return "", err
				}
				return checkFolder(layout)
			},
			tags: func(ctx context.Context, repo string) (string, error) {
				return t.command(ctx, "skopeo", "list-tags", "--tls-verify=false", "docker://"+repo)
			},
		},
		t.podman(policy), t.ctr(), t.docker(),
	}
}

func (t tools) podman(policy string) *client {
	podman := func(ctx context.Context, args ...string) (string, error) {
		return t.command(ctx, "podman", append([]string{
			"--root", filepath.Join(t.dir, "podman"), "--runroot", filepath.Join(t.dir, "podman-run"), "--tmpdir", filepath.Join(t.dir, "podman-tmp"),
			"--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs", "--runtime", "runc",
		}, args...)...)
	}
	return &client{
		name: "podman", version: []string{"--version"},
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := podman(ctx, "pull", "-q", "--tls-verify=false", "--signature-policy", policy, ref); err != nil {
				return "", err
			}
			return podman(ctx, "image", "inspect", "--format", "{{.RepoDigests}}", ref)
		},
		run: func(ctx context.Context, ref string) (string, error) {
			return podman(ctx, "run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", ref)
		},
		remove: func(ctx context.Context, ref string) error {
			_, err := podman(ctx, "rmi", "-f", ref)
			return err
		},
	}
}

func (t tools) ctr() *client {
	socket := filepath.Join(t.dir, "containerd.sock")
	ctr := func(ctx context.Context, args ...string) (string, error) {
		return t.command(ctx, "ctr", append([]string{"-a", socket}, args...)...)
	}
	var d *daemon
	containers := 0
	return &client{
		name: "ctr", version: []string{"--version"},
		start: func(ctx context.Context, log io.Writer) (err error) {
			config := filepath.Join(t.dir, "containerd.toml")
			text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n",
				filepath.Join(t.dir, "containerd"), filepath.Join(t.dir, "containerd-run"), socket)
			if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
				return err
			}
			d, err = startDaemon(ctx, log, func(ctx context.Context) error {
				_, err := ctr(ctx, "version")
				return err
			}, "containerd", "--config", config)
			return err
		},
		stop: func() { d.stop() },
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := ctr(ctx, "images", "pull", "--plain-http", "--snapshotter", "native", ref); err != nil {
				return "", err
			}
			return ctr(ctx, "images", "ls", "name=="+ref)
		},
		run: func(ctx context.Context, ref string) (string, error) {
			containers++
			return ctr(ctx, "run", "--rm", "--snapshotter", "native", ref, fmt.Sprintf("e2e-%d", containers))
		},
		remove: func(ctx context.Context, ref string) error {
			_, err := ctr(ctx, "images", "rm", "--sync", ref)
			return err
		},
	}
}

func (t tools) docker() *client {
	docker := func(ctx context.Context, args ...string) (string, error) {
		return t.command(ctx, "docker", args...)
	}
	var d *daemon
	return &client{
		name: "docker", version: []string{"version", "--format", "client {{.Client.Version}}, daemon {{.Server.Version}}"},
		start: func(ctx context.Context, log io.Writer) (err error) {
			// No network of its own: nothing on this machine is changed.
			d, err = startDaemon(ctx, log, func(ctx context.Context) error {
				_, err := docker(ctx, "version")
				return err
			}, "dockerd", "--host", "unix://"+filepath.Join(t.dir, "docker.sock"), "--data-root", filepath.Join(t.dir, "docker"),
				"--exec-root", filepath.Join(t.dir, "docker-run"), "--pidfile", filepath.Join(t.dir, "docker.pid"),
				"--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs")
			return err
		},
		stop: func() { d.stop() },
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := docker(ctx, "pull", "-q", ref); err != nil {
				return "", err
			}
			return docker(ctx, "image", "inspect", "--format", "{{.RepoDigests}}", ref)
		},
		run: func(ctx context.Context, ref string) (string, error) {
			return docker(ctx, "run", "--rm", "--network", "none", ref)
		},
		remove: func(ctx context.Context, ref string) error {
			id, err := docker(ctx, "image", "inspect", "--format", "{{.Id}}", ref)
			if err == nil {
				_, err = docker(ctx, "rmi", "-f", strings.TrimSpace(id))
			}
			return err
		},
	}
}

// checkLayout hashes every blob of an OCI layout and answers the digests that
// its index names.
func checkLayout(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(text, &index); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		blob, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != filepath.Base(file) {
			return "", fmt.Errorf("blob %s does not hash to its digest", filepath.Base(file)[:12])
		}
	}
	var digests []string
	for _, m := range index.Manifests {
		digests = append(digests, m.Digest)
	}
	return strings.Join(digests, " "), nil
}

// checkFolder hashes every file of skopeo's own layout and answers the digest of
// its manifest.
func checkFolder(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	digest := ""
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(data)
		is, should := hex.EncodeToString(sum[:]), strings.TrimSuffix(filepath.Base(file), ".manifest.json")
		switch {
		case should == "manifest.json":
			digest = "sha256:" + is
		case should != "version" && should != is:
			return "", fmt.Errorf("%s does not hash to its name", should)
		}
	}
	return digest, nil
}

// ran checks what a container printed.
func ran(out string, err error) error {
	if err == nil && !strings.Contains(out, pull.Hello) {
		err = errors.New("the container printed " + fmt.Sprintf("%q", out))
	}
	return err
}
