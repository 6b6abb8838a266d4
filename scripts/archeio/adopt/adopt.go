package adopt

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"archeio/infra/leftover"
	"archeio/infra/stage"
)

// findings is everything that blocks a deployment of a stage.
type findings struct {
	Stage string `json:"stage"`
	// Adoptable reports whether all of it can be adopted.
	Adoptable bool      `json:"adoptable"`
	Stacks    []finding `json:"stacks"`
	Buckets   []finding `json:"buckets"`
}

type finding struct {
	Region    string `json:"region"`
	Name      string `json:"name"`
	Stack     string `json:"stack,omitempty"` // of a bucket
	Adoptable bool   `json:"adoptable"`
	Details   string `json:"details"`
}

// find searches the account for what blocks a deployment.
func find(ctx context.Context, a account, s *stage.Stage) (*findings, error) {
	found := &findings{Stage: s.Name, Adoptable: true, Stacks: []finding{}, Buckets: []finding{}}
	for _, st := range s.Stacks() {
		f, err := leftover.CheckStack(ctx, a, s, st)
		if err != nil {
			return nil, fmt.Errorf("checking stack %s in %s: %w", st.Name, st.Region, err)
		}
		found.add(&found.Stacks, f)
	}
	for _, b := range s.RetainedBuckets() {
		_, f, err := leftover.CheckBucket(ctx, a, s, b)
		if err != nil {
			return nil, fmt.Errorf("checking bucket %s in %s: %w", b.Name, b.Region, err)
		}
		found.add(&found.Buckets, f)
	}
	return found, nil
}

func (f *findings) add(to *[]finding, x *leftover.Finding) {
	if x != nil {
		*to = append(*to, finding(*x))
		f.Adoptable = f.Adoptable && x.Adoptable
	}
}

type adopter struct {
	account account
	stage   *stage.Stage
	cdk     []string // command and arguments
	program programFunc
	log     io.Writer
}

// adopt deletes the stacks and imports the buckets that were found. If it is
// interrupted, it can be run again.
func (a *adopter) adopt(ctx context.Context, found *findings) error {
	for _, f := range found.Stacks {
		fmt.Fprintf(a.log, "deleting stack %s\n", f.Name)
		if err := a.account.DeleteStack(ctx, f.Region, f.Name); err != nil {
			return fmt.Errorf("deleting stack %s in %s: %w", f.Name, f.Region, err)
		}
	}
	if len(found.Buckets) > 0 {
		args := append(slices.Clone(a.cdk[1:]), "deploy")
		for _, f := range found.Buckets {
			// The bucket of a stack that was only partly deleted may still have its
			// policy, and CloudFormation does not create a policy if there is one.
			// Until its stack is created, the bucket cannot be read.
			if err := a.account.DeletePolicy(ctx, f.Region, f.Name); err != nil {
				return fmt.Errorf("deleting the policy of bucket %s in %s: %w", f.Name, f.Region, err)
			}
			args = append(args, f.Stack)
		}
		args = append(args, "--import-existing-resources", "-c", "stage="+a.stage.Name)
		if err := a.program(ctx, a.log, a.cdk[0], args...); err != nil {
			return fmt.Errorf("running %s %s: %w", a.cdk[0], strings.Join(args, " "), err)
		}
	}
	_, err := fmt.Fprintf(a.log, "done; run make deploy STAGE=%s to deploy the rest\n", a.stage.Name)
	return err
}
