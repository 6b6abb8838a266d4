package leftover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"archeio/infra/stage"
)

// Lister is an AWS account with deployed stacks.
type Lister interface {
	// Stacks returns the names of all stacks of a region.
	Stacks(ctx context.Context, region string) ([]string, error)
	// Output returns an output of a stack, empty if the stack or the output does not
	// exist.
	Output(ctx context.Context, region, stack, key string) (string, error)
}

// Abandoned is a deployed stack that the stage does not have, or only until it is
// deleted because its mirror is retiring.
type Abandoned struct {
	stage.Stack
	// Retired is whether the stage still has it, for a retiring mirror.
	Retired bool
	// User is a deployed stack that refers to it, empty for none.
	User string
}

// FindAbandoned returns the abandoned stacks of a region, each before those that it
// depends on.
func FindAbandoned(ctx context.Context, l Lister, s *stage.Stage, region string) ([]Abandoned, error) {
	names, err := l.Stacks(ctx, region)
	if err != nil {
		return nil, err
	}
	var all []Abandoned
	for _, kind := range slices.Backward(stage.Kinds) {
		st := stage.Stack{What: kind, Region: region, Name: s.Stack(kind, region)}
		retired := slices.Contains(s.Stacks(), st)
		if !slices.Contains(names, st.Name) || retired && !s.IsRetired(kind, region) {
			continue
		}
		all = append(all, Abandoned{Stack: st, Retired: retired})
	}
	for i := range all {
		if all[i].User, err = user(ctx, l, s, all[i].Stack); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// user returns a deployed stack of the stage that refers to another one, empty for none.
func user(ctx context.Context, l Lister, s *stage.Stage, of stage.Stack) (string, error) {
	refers := map[string]struct {
		key   string
		kinds []string
	}{
		"mirror":     {stage.UsesMirrors, []string{"mirror", "filler", "refresh", "redirector", "edge"}},
		"redirector": {stage.UsesRedirectors, []string{"edge"}},
		"edge":       {stage.DomainTarget, []string{"domain"}},
	}[of.What]
	for _, st := range s.Stacks() {
		if !slices.Contains(refers.kinds, st.What) || st == of {
			continue
		}
		value, err := l.Output(ctx, st.Region, st.Name, refers.key)
		if err != nil {
			return "", err
		}
		if want := map[bool]string{true: stage.ToDistribution, false: of.Region}[of.What == "edge"]; slices.Contains(strings.Split(value, ","), want) {
			return st.Name, nil
		}
	}
	return "", nil
}

// CheckAbandoned returns what to do about the abandoned stacks of a region. The deployment
// may go on if blocks is false: it makes the deployed stacks stop referring to them.
func CheckAbandoned(s *stage.Stage, all []Abandoned) (details string, blocks bool) {
	if len(all) == 0 {
		return "", false
	}
	var names []string
	region := all[0].Region
	command := fmt.Sprintf("make destroy STAGE=%s REGION=%s", s.Name, region)
	for _, a := range all {
		if a.What == "home" {
			return fmt.Sprintf(`%s has the state and the list of withdrawn blobs of this stage; set "home": %q`, a.Name, region), true
		}
		if a.What == "mirror" && !a.Retired && a.User != "" {
			return fmt.Sprintf("%s is still in use by %s; put %s into mirrors and retiring, and deploy that first", a.Name, a.User, region), true
		}
		names = append(names, a.Name)
	}
	list := strings.Join(names, ", ")
	if slices.ContainsFunc(all, func(a Abandoned) bool { return a.What == "filler" }) {
		return fmt.Sprintf("%s fills the mirrors on its own schedule; run %s before this deployment", list, command), true
	}
	for _, a := range all {
		if a.User != "" {
			return fmt.Sprintf("%s: no longer in the stage, and not in use after this deployment; then run %s", list, command), false
		}
	}
	if !slices.ContainsFunc(all, func(a Abandoned) bool { return !a.Retired }) {
		return fmt.Sprintf("%s: the mirror is retired; run %s", list, command), false
	}
	return fmt.Sprintf("%s: not in the stage; run %s", list, command), true
}
