package mirror

// TestInterrupted: Ctrl-C ends a run, what it did stays, and the next one goes
// on from there.
func TestInterrupted(t *testing.T) {
	s := start(t)
	for i := range 4 {
		s.push(t, fmt.Sprintf("image-%d:v1", i), 20_000, 4)
	}
	s.create(t, "interrupted", "interrupted-state")
	registry := &gate{next: passing(t, s.Upstream)}
	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	t.Setenv("AWS_ENDPOINT_URL_S3", serveHTTP(t, mirror))
	source := strings.TrimPrefix(serveHTTP(t, registry), "http://") + "/" + system.Prefix
	args := []string{"copy", "-source", source, "-bucket", "interrupted", "-state", "s3://interrupted-state", "-parallel", "2", "-json"}

	for _, tt := range []struct {
		name string
		arm  func(do func())
	}{
		{"within-the-plan", func(do func()) {
			registry.set(3, func(r *http.Request) bool {
				return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/")
			}, do)
		}},
		{"within-the-sixth-blob", func(do func()) { registry.set(6, isBlob, do) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, stdout, stderr := child(t, args...)
			started, ended := make(chan struct{}), make(chan struct{})
			// The request is held until the program has ended, so that it does
			// not end by itself.
			tt.arm(func() {
				<-started
				cmd.Process.Signal(os.Interrupt)
				<-ended
			})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			close(started)
			err := cmd.Wait()
			close(ended)
			if got := code(t, err); got != 130 {
				t.Errorf("exit code %d, want 130: %s", got, stderr)
			}
			if stdout.Len() > 0 || stderr.String() != "mirror: stopped; what was done stays, start it again to go on\n" {
				t.Errorf("says %q and %q, want one line", stdout, stderr)
			}
			kept, err := copier.StateBucket{Name: "interrupted-state", Client: s.client}.Names(t.Context(), "manifests/")
			if err != nil || len(kept) != 1 {
				t.Errorf("what was learnt is not kept: %q, error %v", kept, err)
			}
		})
	}

	cmd, stdout, stderr := child(t, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	var got copyReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if missing := got.Buckets[0].Missing; got.Fetched > 1 || missing != got.Copied.Blobs || missing == 0 || missing > len(s.blobs)-4 {
		t.Errorf("the next run says %+v, copied %+v; want it to go on", got, got.Copied)
	}
}

// TestInterruptedTwice: what the first Ctrl-C still waits for, here for what was
// learnt to be saved, the second one does not.
func TestInterruptedTwice(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 1)
	s.create(t, "twice")
	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	t.Setenv("AWS_ENDPOINT_URL_S3", serveHTTP(t, mirror))
	cmd, _, stderr := child(t, "plan", "-source", s.source, "-bucket", "twice", "-state", "s3://twice")
	started, ended := make(chan struct{}), make(chan struct{})
	mirror.set(1, isStatePut, func() {
		<-started
		for range 1000 {
			cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond): // it takes a moment to see one
			}
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	close(ended)
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the second one did not end it at once: %v, %s", err, stderr)
	}
}

