// Package destroy is the command archeio destroy: it deletes the stacks of a region that a
// stage no longer has, or only until they are deleted because the region's mirror is
// retiring, and no others. Buckets stay.
//
// It does not run the CDK, which deletes the stacks that depend on a stack too.
package destroy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/lambda/spelling"
	"archeio/ranges"
	"archeio/ranges/regions"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/query"
)

// Command returns the command.
func Command() *cobra.Command { return command(connect) }

// account is an AWS account with deployed stacks.
type account interface {
	leftover.Lister
	// Protected reports whether a stack is protected from deletion.
	Protected(ctx context.Context, region, stack string) (bool, error)
	// Unprotect lifts the protection of a stack and of its load balancer.
	Unprotect(ctx context.Context, region, stack string) error
	// DeleteStack deletes a stack and waits until it is deleted.
	DeleteStack(ctx context.Context, region, stack string) error
}

// connectFunc returns the account of the credentials and its ID.
type connectFunc func(context.Context) (id string, a account, err error)

func command(connect connectFunc) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "destroy [flags] -stage NAME -region REGION",
		Short: "delete the stacks of a region that a stage no longer has",
		Long: "Deletes the stacks of a region that a stage no longer has, or has only because\n" +
			"the region's mirror is retiring. It refuses to delete stacks that the deployed\n" +
			"stage still uses, and lifts the protection from deletion of exactly those that\n" +
			"it deletes. Buckets and their content stay.",
		Example: cli.Example(
			"archeio destroy -stage production -region eu-west-3 -dry-run",
			"archeio destroy -stage production -region eu-west-3"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.stage.Read()
			if err != nil {
				return err
			}
			return o.run(c.Context(), s, connect, c.InOrStdin(), c.OutOrStdout())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.StringVar(&o.region, "region", "", "`REGION` region of the stacks")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be deleted, and change nothing")
	f.BoolVar(&o.yes, "yes", false, "do not ask for confirmation")
	return c
}

type options struct {
	stage       *cli.Stage
	region      string
	dryRun, yes bool
}

func (o *options) run(ctx context.Context, s *stage.Stage, connect connectFunc, in io.Reader, out io.Writer) error {
	if o.region == "" {
		return cli.Usagef("missing -region REGION")
	}
	if _, known := regions.Find(string(ranges.AWS), o.region); !known {
		return cli.Usagef("-region %q: unknown region%s", o.region, spelling.DidYouMean(o.region, slices.Values(append(s.StackRegions(), names()...))))
	}
	id, a, err := connect(ctx)
	if err != nil {
		return err
	}
	if id != s.Account {
		return fmt.Errorf("the credentials are for account %s, but the stage is in %s; switch to a profile for that account", id, s.Account)
	}
	all, err := leftover.FindAbandoned(ctx, a, s, o.region)
	if err != nil {
		return fmt.Errorf("listing the stacks in %s: %w", o.region, err)
	}
	if len(all) == 0 {
		return nothing(s, o.region)
	}
	for _, st := range all {
		if err := refuse(ctx, a, s, st); err != nil {
			return err
		}
	}
	for _, st := range all {
		fmt.Fprintln(out, st.Name)
	}
	if o.dryRun {
		return nil
	}
	if !o.yes {
		fmt.Fprintf(out, "Delete these stacks in %s? Buckets stay. [y/N] ", o.region)
		if answer, _ := bufio.NewReader(in).ReadString('\n'); strings.TrimSpace(answer) != "y" {
			return fmt.Errorf("nothing was deleted; without a terminal, pass -yes")
		}
	}
	for _, st := range all {
		fmt.Fprintf(out, "deleting stack %s\n", st.Name)
		if err := a.Unprotect(ctx, st.Region, st.Name); err != nil {
			return fmt.Errorf("lifting the protection of stack %s: %w", st.Name, err)
		}
		if err := a.DeleteStack(ctx, st.Region, st.Name); err != nil {
			return fmt.Errorf("deleting stack %s: %w", st.Name, err)
		}
	}
	return nil
}

func names() (all []string) {
	for r := range regions.All(string(ranges.AWS)) {
		all = append(all, r.Name)
	}
	return all
}

// nothing returns the error for a region without abandoned stacks.
func nothing(s *stage.Stage, region string) error {
	switch {
	case slices.Contains(s.Mirrors, region) && !slices.Contains(s.Retiring, region):
		return fmt.Errorf("%s has a mirror of the stage %s; put it into retiring and deploy that first", region, s.Name)
	case slices.Contains(s.Redirectors, region):
		return fmt.Errorf("%s has a redirector of the stage %s; take it out of redirectors and deploy that first", region, s.Name)
	}
	return fmt.Errorf("the stage %s has nothing to delete in %s", s.Name, region)
}

// refuse returns an error if a stack must not be deleted.
func refuse(ctx context.Context, a account, s *stage.Stage, st leftover.Abandoned) error {
	switch {
	case st.What == "home":
		return fmt.Errorf("%s has the state and the list of withdrawn blobs; set \"home\": %q", st.Name, st.Region)
	case st.User != "":
		return fmt.Errorf("%s is still in use by %s; run make deploy STAGE=%s first", st.Name, st.User, s.Name)
	case !st.Retired || !s.Protected:
		return nil
	}
	// The deployment that retires a mirror lifts the protection of its stacks.
	protected, err := a.Protected(ctx, st.Region, st.Name)
	if err != nil {
		return err
	}
	if protected {
		return fmt.Errorf("%s is protected from deletion, so its mirror has not retired; run make deploy STAGE=%s first", st.Name, s.Name)
	}
	return nil
}

// sdk is an account that is accessed with the AWS SDK.
type sdk struct {
	*leftover.AWS
	config aws.Config
}

// Unprotect implements account.
func (s sdk) Unprotect(ctx context.Context, region, stack string) error {
	balancers, err := s.LoadBalancers(ctx, region, stack)
	if err != nil {
		return err
	}
	for _, arn := range balancers {
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyLoadBalancerAttributes.html
		if err := query.Call(ctx, s.config, "elasticloadbalancing", region, url.Values{
			"Action": {"ModifyLoadBalancerAttributes"}, "Version": {"2015-12-01"}, "LoadBalancerArn": {arn},
			"Attributes.member.1.Key": {"deletion_protection.enabled"}, "Attributes.member.1.Value": {"false"},
		}, &struct{}{}); err != nil {
			return err
		}
	}
	return s.AWS.Unprotect(ctx, region, stack)
}

func connect(ctx context.Context) (string, account, error) {
	c, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return "", nil, err
	}
	c.Region = stage.EdgeRegion
	identity, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", nil, cli.NoCredentials(err)
	}
	id := aws.ToString(identity.Account)
	return id, sdk{leftover.NewAWS(c, id), c}, nil
}
