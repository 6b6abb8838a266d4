package copier

import "testing"

// TestFoundLimits tests that the planner deletes exactly what it has added to the
// inventory, if workers have found more than it reads at once.
func TestFoundLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits foundLimits
		left   []int // objects after each run
	}{
		{"default", foundLimits{}, []int{0}},
		{"batches", foundLimits{objects: 100, batch: 2, size: 1 << 20}, []int{0}},
		{"objects", foundLimits{objects: 3, batch: 2, size: 1 << 20}, []int{4, 1, 0}},
		{"size", foundLimits{objects: 100, batch: 2, size: 3 * entrySize}, []int{3, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, all, state, _ := generate(2, 5000) // so that only the primary is listed
			plan := func() {
				t.Helper()
				if r, err := f.Plan(t.Context()); err != nil || !r.Done {
					t.Fatalf("%+v, error %v", r, err)
				}
			}
			missing := map[Digest]bool{}
			for i := range 7 {
				missing[all[0].digest(i*500)] = true
			}
			all[1].missing = missing
			plan()
			f.limits = tt.limits
			all[1].missing = nil // they arrive there
			for d := range missing {
				var x found
				x.add(1, d.String())
				if _, err := x.save(t.Context(), state, f.bucketNames()); err != nil {
					t.Fatal(err)
				}
			}
			for run, want := range tt.left {
				plan()
				names, _ := state.Names(t.Context(), foundPrefix)
				inv, err := f.loadInventory(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				known := 0
				for d := range missing {
					for i, part := range inv.Parts {
						content, err := f.piece(t.Context(), part.Piece)
						if err != nil {
							t.Fatal(err)
						}
						if content.within(inv.prefix(i)).mask(d) == 3 {
							known++
						}
					}
				}
				if len(names) != want || known != len(missing)-want {
					t.Errorf("run %d: %d objects are left, %d blobs are in the inventory; want %d, %d", run+1, len(names), known, want, len(missing)-want)
				}
			}
			x := indexOf(t, f.Buckets[0])
			for d := range missing {
				if !x.Has(d.String()) {
					t.Errorf("the index does not have %s", d)
				}
			}
		})
	}
}
