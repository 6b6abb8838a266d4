// Package leftover finds what an earlier deployment of a stage has left in its
// account: stacks whose creation or deletion failed, and buckets that outlived
// their stack. Both keep the next deployment from being made.
package leftover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"archeio/infra/stage"
)

// Account is what is asked of AWS.
type Account interface {
	// Status is a stack's, empty where there is none.
	Status(ctx context.Context, region, stack string) (string, error)
	// Resources are those of a stack that are still there and are no buckets,
	// each with its type.
	Resources(ctx context.Context, region, stack string) ([]string, error)
	// Owner is the stack that has a bucket, empty for none; the one that should
	// is asked first.
	Owner(ctx context.Context, region, stack, bucket string) (string, error)
	// Bucket tells whether a bucket's name is taken, and by whom.
	Bucket(ctx context.Context, region, bucket string) (Whose, error)
	// Stage is the stage that a bucket's tag names, empty for none.
	Stage(ctx context.Context, region, bucket string) (string, error)
}

// Whose tells whose a bucket is.
type Whose int

// The answers to whose a bucket is.
const (
	Nobodys Whose = iota
	Ours
	Others
)

// Found is what stands in the way of a deployment, or is left over.
type Found struct {
	// Region and Name are the stack's or the bucket's.
	Region, Name string
	// Stack is the stack that a bucket belongs into, empty for a stack.
	Stack string
	// Adoptable tells that adopt can put it right.
	Adoptable bool
	// Says what it is, and what to do about it.
	Says string
}

// Failed tells of a stack's status that nothing can be made of the stack but to
// delete it: its creation failed, or its deletion did.
func Failed(status string) bool {
	return slices.Contains([]string{"REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}, status)
}

// Stack looks at one stack; nil where it is not in the way.
func Stack(ctx context.Context, a Account, s *stage.Stage, st stage.Stack) (*Found, error) {
	status, err := a.Status(ctx, st.Region, st.Name)
	if err != nil {
		return nil, err
	}
	f := &Found{Region: st.Region, Name: st.Name}
	switch {
	case Failed(status):
		left, err := a.Resources(ctx, st.Region, st.Name)
		if err != nil {
			return nil, err
		}
		if len(left) > 0 {
			f.Says = fmt.Sprintf("it is in %s and still has %s; find out why in its events, then delete it by aws cloudformation delete-stack --region %s --stack-name %s", status, strings.Join(left, ", "), st.Region, st.Name)
			return f, nil
		}
		f.Adoptable = true
		f.Says = fmt.Sprintf("it is in %s, and nothing is left of it but perhaps its bucket; run make adopt STAGE=%s", status, s.Name)
		return f, nil
	case status == "UPDATE_ROLLBACK_FAILED":
		f.Says = fmt.Sprintf("it is in %s; find out why in its events, then run aws cloudformation continue-update-rollback --region %s --stack-name %s", status, st.Region, st.Name)
		return f, nil
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		f.Says = fmt.Sprintf("it is in %s; wait for it: aws cloudformation describe-stacks --region %s --stack-name %s", status, st.Region, st.Name)
		return f, nil
	}
	return nil, nil
}

// Bucket looks at one bucket, and answers whose it is beside what is found; nil
// where it is not in the way.
func Bucket(ctx context.Context, a Account, s *stage.Stage, b stage.Retained) (Whose, *Found, error) {
	whose, err := a.Bucket(ctx, b.Region, b.Name)
	if err != nil || whose == Nobodys {
		return whose, nil, err
	}
	f := &Found{Region: b.Region, Name: b.Name, Stack: b.Stack}
	if whose == Others {
		f.Says = "the bucket belongs to another account or region; take another mirrorPrefix"
		return whose, f, nil
	}
	owner, err := a.Owner(ctx, b.Region, b.Stack, b.Name)
	if err != nil {
		return whose, nil, err
	}
	status := ""
	if owner == b.Stack {
		if status, err = a.Status(ctx, b.Region, owner); err != nil {
			return whose, nil, err
		}
	}
	if owner != "" && !Failed(status) {
		if owner == b.Stack {
			return whose, nil, nil
		}
		f.Says = fmt.Sprintf("the bucket belongs to the stack %s; take another mirrorPrefix", owner)
		return whose, f, nil
	}
	tag, err := a.Stage(ctx, b.Region, b.Name)
	switch {
	case err != nil:
		return whose, nil, err
	case tag != s.Name:
		f.Says = fmt.Sprintf("the bucket belongs to no stack, and its tag %s is %q; if it is the stage's, put the tag %s=%s on it, else take another mirrorPrefix", stage.Tag, tag, stage.Tag, s.Name)
		return whose, f, nil
	case slices.Contains(s.Retiring, b.Region):
		f.Says = fmt.Sprintf("the mirror has retired, its stack is deleted and its bucket stays; take %s out of mirrors and retiring, or run make adopt STAGE=%s to have it back", b.Region, s.Name)
	default:
		f.Says = fmt.Sprintf("an earlier deployment has left the bucket behind, and its stack cannot make it again; run make adopt STAGE=%s", s.Name)
	}
	f.Adoptable = true
	return whose, f, nil
}
