package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func (t tools) podman() *client {
	podman := func(ctx context.Context, args ...string) (string, error) {
		return t.command(ctx, "podman", append([]string{
			"--root", filepath.Join(t.dir, "podman"), "--runroot", filepath.Join(t.dir, "podman-run"), "--tmpdir", filepath.Join(t.dir, "podman-tmp"),
			"--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs", "--runtime", "runc",
		}, args...)...)
	}
	return &client{
		name: "podman", version: []string{"--version"},
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := podman(ctx, "pull", "-q", "--tls-verify=false", "--signature-policy", t.policy(), ref); err != nil {
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
			// Without bridge and iptables, the daemon changes nothing on this machine.
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
