// Package leftover finds what earlier deployments of a stage left behind: stacks
// that failed to be created or deleted, and buckets without a stack. Both block
// the next deployment.
package leftover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"archeio/infra/stage"
)

// Account is an AWS account that is searched for leftovers.
type Account interface {
	// StackStatus returns the status of a stack, empty if there is no such stack.
	StackStatus(ctx context.Context, region, stack string) (string, error)
	// StackResources returns the resources that a stack still has, except buckets,
	// each as its type and its physical ID.
	StackResources(ctx context.Context, region, stack string) ([]string, error)
	// StackOf returns the stack that a bucket belongs to, empty if it belongs to
	// none. The stack want is searched first.
	StackOf(ctx context.Context, region, want, bucket string) (string, error)
	// Ownership returns who owns the bucket with a name.
	Ownership(ctx context.Context, region, bucket string) (Ownership, error)
	// StageTag returns the value of a bucket's tag [stage.Tag], empty if it has
	// none.
	StageTag(ctx context.Context, region, bucket string) (string, error)
}

// Ownership is who owns the bucket with a name.
type Ownership int

// Values of Ownership.
const (
	// Free means that no bucket has the name.
	Free Ownership = iota
	// Own means that the bucket belongs to the account and is in the region.
	Own
	// Foreign means that the bucket is in another account or region.
	Foreign
)

// Finding is a stack or a bucket that blocks a deployment.
type Finding struct {
	// Region and Name are those of the stack or the bucket.
	Region, Name string
	// Stack is the stack that a bucket must belong to, empty for a stack.
	Stack string
	// Adoptable reports whether archeio adopt can fix it.
	Adoptable bool
	// Details is what was found and how to fix it.
	Details string
}

// MustBeDeleted reports whether a stack with this status can only be deleted: it
// was never created, or its deletion failed.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
func MustBeDeleted(status string) bool {
	return slices.Contains([]string{"REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}, status)
}

// CheckStack checks one stack of a stage. It returns nil if the stack does not
// block a deployment.
func CheckStack(ctx context.Context, a Account, s *stage.Stage, st stage.Stack) (*Finding, error) {
	status, err := a.StackStatus(ctx, st.Region, st.Name)
	if err != nil {
		return nil, err
	}
	f := &Finding{Region: st.Region, Name: st.Name}
	switch {
	case MustBeDeleted(status):
		left, err := a.StackResources(ctx, st.Region, st.Name)
		if err != nil {
			return nil, err
		}
		if len(left) > 0 {
			f.Details = fmt.Sprintf("the stack is in %s and still has %s; find the cause in its events, then run aws cloudformation delete-stack --region %s --stack-name %s", status, strings.Join(left, ", "), st.Region, st.Name)
			return f, nil
		}
		f.Adoptable = true
		f.Details = fmt.Sprintf("the stack is in %s and has no resources left, except possibly its bucket; run make adopt STAGE=%s", status, s.Name)
		return f, nil
	case status == "UPDATE_ROLLBACK_FAILED":
		f.Details = fmt.Sprintf("the stack is in %s; find the cause in its events, then run aws cloudformation continue-update-rollback --region %s --stack-name %s", status, st.Region, st.Name)
		return f, nil
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		f.Details = fmt.Sprintf("the stack is in %s; wait for it: aws cloudformation describe-stacks --region %s --stack-name %s", status, st.Region, st.Name)
		return f, nil
	}
	return nil, nil
}

// CheckBucket checks one bucket of a stage and returns who owns it. The finding is
// nil if the bucket does not block a deployment.
func CheckBucket(ctx context.Context, a Account, s *stage.Stage, b stage.Retained) (Ownership, *Finding, error) {
	ownership, err := a.Ownership(ctx, b.Region, b.Name)
	if err != nil || ownership == Free {
		return ownership, nil, err
	}
	f := &Finding{Region: b.Region, Name: b.Name, Stack: b.Stack}
	if ownership == Foreign {
		f.Details = "the bucket is in another account or region; set another mirrorPrefix"
		return ownership, f, nil
	}
	stack, err := a.StackOf(ctx, b.Region, b.Stack, b.Name)
	if err != nil {
		return ownership, nil, err
	}
	status := ""
	if stack == b.Stack {
		if status, err = a.StackStatus(ctx, b.Region, stack); err != nil {
			return ownership, nil, err
		}
	}
	if stack != "" && !MustBeDeleted(status) {
		if stack == b.Stack {
			return ownership, nil, nil
		}
		f.Details = fmt.Sprintf("the bucket belongs to the stack %s; set another mirrorPrefix", stack)
		return ownership, f, nil
	}
	tag, err := a.StageTag(ctx, b.Region, b.Name)
	switch {
	case err != nil:
		return ownership, nil, err
	case tag != s.Name:
		f.Details = fmt.Sprintf("the bucket belongs to no stack, and its tag %s is %q; if it belongs to this stage, tag it %s=%s, otherwise set another mirrorPrefix", stage.Tag, tag, stage.Tag, s.Name)
		return ownership, f, nil
	case slices.Contains(s.Retiring, b.Region):
		f.Details = fmt.Sprintf("the mirror is retired: its stack is deleted and its bucket is kept; remove %s from mirrors and retiring, or run make adopt STAGE=%s to restore the mirror", b.Region, s.Name)
	default:
		f.Details = fmt.Sprintf("the bucket is left over from an earlier deployment, and its stack cannot create it again; run make adopt STAGE=%s", s.Name)
	}
	f.Adoptable = true
	return ownership, f, nil
}
